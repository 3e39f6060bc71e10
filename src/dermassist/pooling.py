"""The trials of a protocol that were tested, as one set of answers: figures, tables, pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dermassist.answering import metadata_of
from dermassist.config import TrainingConfig
from dermassist.data.ham10000 import Record
from dermassist.data.protocol import Trial
from dermassist.data.split import Splits
from dermassist.errors import DataError
from dermassist.evaluation.array import FloatArray
from dermassist.evaluation.bootstrap import Estimate, bootstrap
from dermassist.evaluation.calibration import expected_calibration_error
from dermassist.evaluation.conformal import SetSummary, estimate_sets
from dermassist.evaluation.consistency import contradictions
from dermassist.evaluation.decision import ReferralMeasures, estimate_referral
from dermassist.evaluation.document import from_document, to_document
from dermassist.evaluation.figures import (
    render_confusion_matrix,
    render_reliability,
    render_roc,
)
from dermassist.evaluation.prediction_table import DIGITS, PredictionTable, pooled
from dermassist.evaluation.report import EvaluationReport, build_report
from dermassist.evaluation.subgroup import MINIMUM_CLASS_IMAGES
from dermassist.evaluation.summary import Summary, summarise
from dermassist.evaluation.temperature import apply_temperature
from dermassist.storage import write_bytes

FIGURES = {
    "confusion.png": render_confusion_matrix,
    "roc.png": render_roc,
    "reliability.png": render_reliability,
}


@dataclass(frozen=True)
class TrialFigures:
    """What one trial's network did on the images that tested it.

    Attributes:
        name: of the trial.
        summary: its figures; under the *source* protocol classes with fewer than 20 images are
            not scored.
    """

    name: str
    summary: Summary


@dataclass(frozen=True)
class ProtocolFigures:
    """Everything that is reported of a protocol.

    Attributes:
        protocol: ``lesion``, ``paper`` or ``source``.
        splits_sha256: of the splits that its trials come from.
        recipe: the training configuration of all of them, in plain types.
        weights: ``last`` epoch, or ``best`` by validation macro F1.
        trials_of_protocol: how many it has; ``each`` holds those that were tested.
        report: of all answers pooled.
        error_before: expected calibration error without the temperatures.
        error_after: with each trial's own.
        referral: at each trial's own threshold.
        sets: of each trial's own rule.
        each: trial by trial.
    """

    protocol: str
    splits_sha256: str
    recipe: dict[str, Any]
    weights: str
    trials_of_protocol: int
    report: EvaluationReport
    error_before: Estimate
    error_after: Estimate
    referral: ReferralMeasures[Estimate]
    sets: SetSummary
    each: tuple[TrialFigures, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe form."""
        return {
            "protocol": self.protocol,
            "splits_sha256": self.splits_sha256,
            "recipe": self.recipe,
            "weights": self.weights,
            "trials": [trial.name for trial in self.each],
            "trials_of_protocol": self.trials_of_protocol,
            "report": self.report.to_dict(),
            "error_before": to_document(self.error_before),
            "error_after": to_document(self.error_after),
            "referral": to_document(self.referral),
            "sets": to_document(self.sets),
            "each": {trial.name: to_document(trial.summary) for trial in self.each},
        }

    @classmethod
    def read(cls, path: Path) -> ProtocolFigures:
        """Read what ``to_dict`` wrote, as JSON.

        Raises:
            DataError: the file is missing or damaged, or a stated average is not what its rows
                give.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            figures = cls(
                protocol=document["protocol"],
                splits_sha256=document["splits_sha256"],
                recipe=document["recipe"],
                weights=document["weights"],
                trials_of_protocol=document["trials_of_protocol"],
                report=EvaluationReport.from_dict(document["report"]),
                error_before=from_document(Estimate, document["error_before"]),
                error_after=from_document(Estimate, document["error_after"]),
                referral=from_document(ReferralMeasures[Estimate], document["referral"]),
                sets=from_document(SetSummary, document["sets"]),
                each=tuple(
                    TrialFigures(name, from_document(Summary, summary))
                    for name, summary in document["each"].items()
                ),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: holds no figures of a protocol ({error!r:.200})") from error
        _check(figures.report)
        return figures


def check_tested(
    tested: Sequence[Trial],
    results: Path,
    *,
    recipe: TrainingConfig,
    weights: str,
    taught: bool,
    starts: Mapping[str, Mapping[str, Any]],
) -> None:
    """Refuse to go on with answers that were made otherwise: pooled, they would describe nothing.

    Args:
        tested: trials whose predictions are there.
        results: their folder.
        recipe: that the protocol is run with.
        weights: ``last`` epoch, or ``best``.
        taught: whether its networks have teachers.
        starts: what the records of these trials, and of trials to come, say of their start weights,
            by trial; empty where none is to come.

    Raises:
        DataError: a trial was trained with another recipe, other weights of it were tested, its
            answers are of another protocol, fold, source or split that bears the same name, it
            started from other weights, or from a network of another recipe than another trial.
    """
    earlier = [start.get("continues") for start in starts.values()]
    for trial in tested:
        path = description_path(results, trial.name)
        try:
            training = json.loads(path.read_text(encoding="utf-8"))["training"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _untold(path, error) from error
        check_trained(
            training,
            trial,
            where=path,
            recipe=recipe,
            weights=weights,
            taught=taught,
            start=starts[trial.name]["initial_weights"] if starts else None,
        )
        earlier.append(training["origin"].get("continues"))
    recipes = [
        each and TrainingConfig.from_dict(each["config"], where=str(results)) for each in earlier
    ]
    if any(recipe != recipes[0] for recipe in recipes):
        raise DataError(
            f"{results}: the networks that these trials started from are of different recipes; "
            "give another --results and --runs"
        )


def check_trained(
    training: Any,
    trial: Trial,
    *,
    where: Path,
    recipe: TrainingConfig,
    weights: str,
    taught: bool,
    start: str | None = None,
) -> None:
    """Refuse a training that is not what a protocol would make of one of its trials.

    Args:
        training: what is said of it, in a model's manifest or beside a trial's answers.
        trial: that it should be of.
        where: it is said, for messages.
        recipe: as in ``check_tested``, and so are the others.
        weights: of the training that were kept.
        taught: whether it should have had a teacher.
        start: the start weights.

    Raises:
        DataError: as in ``check_tested``.
    """
    try:
        found = TrainingConfig.from_dict(training["config"], where=str(where))
        origin = training["origin"]
        same = (found, training["weights"], "teacher" in origin) == (recipe, weights, taught)
    except (ValueError, KeyError, TypeError) as error:
        raise _untold(where, error) from error
    if not same:
        raise DataError(
            f"{where}: was made with another recipe, other weights or another kind of teacher; "
            "give the same, or another --results and --runs"
        )
    for key, wanted in trial.origin.items():
        if origin.get(key) != wanted:
            raise DataError(
                f"{where}: its {key} is {origin.get(key)}, not {wanted}; give another --results "
                "and --runs"
            )
    started = origin.get("initial_weights")
    if start not in {None, started}:
        raise DataError(
            f"{where}: started from {started}, not from {start}; give the same --init, or "
            "another --results and --runs"
        )


def _untold(where: Path, error: Exception) -> DataError:
    return DataError(f"{where}: does not say how it was trained ({error!r:.200})")


def read_predictions(name: str, results: Path, *, splits: Splits | None = None) -> PredictionTable:
    """Read and verify a trial's predictions.

    Args:
        name: of the trial.
        results: their folder.
        splits: that they must come from; ``None`` where their lesions are not asked for.

    Raises:
        DataError: they are missing, were changed after they were written, or come from other
            splits.
    """
    path = table_path(results, name)
    stated = _read_description(name, results)
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: the trial's results cannot be read ({error})") from error
    if found != stated.get("predictions_sha256"):
        raise DataError(f"{path}: was changed after it was written; test the trial again")
    if splits is not None:
        drawn = str(stated.get("training", {}).get("origin", {}).get("splits_sha256"))
        if drawn != splits.sha256:
            raise DataError(
                f"{description_path(results, name)}: was made with the splits {drawn[:12]}, not "
                f"{splits.sha256[:12]}; name the file of those"
            )
    return PredictionTable.read(path)


def summarise_trials(
    tested: Sequence[Trial], results: Path, *, of: int, rng: np.random.Generator
) -> ProtocolFigures:
    """Pool the predictions of trials, with intervals by lesion.

    Args:
        tested: trials whose predictions are there, at least one.
        results: their folder.
        of: how many trials the protocol has.
        rng: of the bootstrap.

    Raises:
        DataError: predictions are missing, were changed, or are of other images.
    """
    tables = [read_predictions(trial.name, results) for trial in tested]
    table = pooled(tables)
    records = _records_of(table, tested)
    lesions = np.array([record.lesion_id for record in records])
    report = build_report(
        table.labels,
        table.probabilities,
        groups=lesions,
        rng=rng,
        metadata=metadata_of(records),
    )
    _check(report)
    descriptions = [_read_description(trial.name, results) for trial in tested]
    raw = np.concatenate(
        [
            apply_temperature(
                kept_logits(part.probabilities, description["temperature"]), temperature=1.0
            )
            for part, description in zip(tables, descriptions, strict=True)
        ]
    )
    errors = bootstrap(
        lambda weights: {
            "before": expected_calibration_error(table.labels, raw, weights=weights),
            "after": expected_calibration_error(table.labels, table.probabilities, weights=weights),
        },
        groups=lesions,
        rng=rng,
    )
    origin, training = tested[0].origin, descriptions[0]["training"]
    return ProtocolFigures(
        protocol=str(origin["protocol"]),
        splits_sha256=str(origin["splits_sha256"]),
        recipe=training["config"],
        weights=training["weights"],
        trials_of_protocol=of,
        report=report,
        error_before=errors.estimate("before", grows=True),
        error_after=errors.estimate("after", grows=True),
        referral=estimate_referral(table.labels, table.referred, groups=lesions, rng=rng),
        sets=estimate_sets(table.sets, table.labels, groups=lesions, rng=rng),
        each=tuple(_figures_of_each(tested, tables, rng)),
    )


def write_figures(report: EvaluationReport, folder: Path) -> None:
    """Draw confusion matrix, ROC curves and reliability into a folder.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    for name, render in FIGURES.items():
        write_bytes(folder / name, render(report))


def is_tested(trial: Trial, results: Path) -> bool:
    """Tell whether a trial's predictions are there."""
    return description_path(results, trial.name).is_file()


def table_path(results: Path, name: str) -> Path:
    """Return where a trial's predictions are."""
    return results / f"{name}.csv"


def description_path(results: Path, name: str) -> Path:
    """Return where it is said how they were made; written last."""
    return results / f"{name}.json"


def _figures_of_each(
    tested: Sequence[Trial], tables: Sequence[PredictionTable], rng: np.random.Generator
) -> Iterator[TrialFigures]:
    for trial, table in zip(tested, tables, strict=True):
        lesions = np.array([record.lesion_id for record in _records_of(table, [trial])])
        summary = summarise(
            table.labels,
            table.probabilities,
            groups=lesions,
            rng=rng,
            # A source lacks whole classes; of others it has a handful of images.
            minimum_images=MINIMUM_CLASS_IMAGES if "source" in trial.origin else 1,
        )
        yield TrialFigures(trial.name, summary)


def kept_logits(probabilities: FloatArray, temperature: float | None) -> FloatArray:
    """Return logits ``(n, 7)`` of kept probabilities, up to a constant for each image.

    A softmax's temperature can be undone; a probability that the table rounds to nothing counts
    as half of the last decimal.

    Args:
        probabilities: of a prediction table ``(n, 7)``.
        temperature: that they were made with; ``None`` for none.
    """
    return np.log(np.maximum(probabilities, 0.5 * 10.0**-DIGITS)) * (temperature or 1.0)


def _check(report: EvaluationReport) -> None:
    found = contradictions(report)
    if found:
        raise DataError(f"the report contradicts its own rows: {found[0]}")


def _read_description(name: str, results: Path) -> dict[str, Any]:
    path = description_path(results, name)
    try:
        description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: the trial's results cannot be read ({error})") from error
    return description


def _records_of(table: PredictionTable, tested: Sequence[Trial]) -> tuple[Record, ...]:
    by_name = {record.image_id: record for trial in tested for record in trial.test}
    if set(by_name) != set(table.images):
        raise DataError("the predictions are of other images than the protocol's test images")
    records = tuple(by_name[image] for image in table.images)
    if any(r.diagnosis.index != label for r, label in zip(records, table.labels, strict=True)):
        raise DataError("the predictions were made with other diagnoses than the data set has")
    return records
