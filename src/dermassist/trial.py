"""One trial of a protocol from images to predictions on disk; pooled, the protocol's figures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from dermassist.answering import answer_records, metadata_of
from dermassist.config import TrainingConfig
from dermassist.data.cache import FieldCache
from dermassist.data.ham10000 import Record
from dermassist.data.protocol import Trial
from dermassist.decisions import members, refers
from dermassist.errors import DataError
from dermassist.evaluation.conformal import estimate_sets
from dermassist.evaluation.decision import estimate_referral
from dermassist.evaluation.document import to_document
from dermassist.evaluation.prediction_table import PredictionTable, pooled
from dermassist.evaluation.report import EvaluationReport, build_report
from dermassist.inference.classifier import Classifier
from dermassist.model.bundle import Bundle
from dermassist.model.network import MobileNetV2
from dermassist.model.weights import load_weights, read_weights
from dermassist.publication import Material, Origin, publish
from dermassist.storage import write_text
from dermassist.training.run import Parts, RunSettings, Start, read_record, train
from dermassist.training.teacher import read_teacher

MODEL_FOLDER = "model"
MODEL_NAME = "dermassist-mobilenetv2"


@dataclass(frozen=True)
class Bench:
    """What all trials of a protocol share.

    Attributes:
        recipe: how to train.
        cache: fields of all images.
        pixel_aspect: of the data set.
        initial_weights: to start from.
        initial_description: what those are, in words.
        weights: ``last`` epoch, or ``best`` by validation macro F1.
        teachers: runs of the same protocol whose networks teach these, each its own trial's.
    """

    recipe: TrainingConfig
    cache: FieldCache
    pixel_aspect: float
    initial_weights: dict[str, Tensor]
    initial_description: str
    weights: str = "last"
    teachers: Path | None = None


def train_trial(trial: Trial, bench: Bench, settings: RunSettings) -> bool:
    """Train a trial, or resume it; return whether it is finished."""
    origin = {**trial.origin, "initial_weights": bench.initial_description}
    teacher = None
    if bench.teachers is not None:
        taught_by = bench.teachers / trial.name / MODEL_FOLDER
        teacher = read_teacher(taught_by, trial.origin, bench.recipe.preprocessing)
    outcome = train(
        bench.recipe,
        Parts(trial.train, trial.validation),
        bench.cache,
        settings,
        start=Start(bench.initial_weights, teacher),
        origin=origin,
    )
    return outcome.finished


def answer_trial(
    trial: Trial,
    bench: Bench,
    run: Path,
    results: Path,
    *,
    advance: Callable[[int], None] | None = None,
) -> None:
    """Calibrate a trained network on validation images, answer the test images, write both.

    Args:
        trial: which images.
        bench: how it was trained.
        run: folder of the training; receives the model bundle.
        results: folder that receives ``NAME.csv`` and, last, ``NAME.json``.
        advance: called with the number of images read since the last call.
    """
    bundle = _publish(trial, bench, run, advance)
    answers = answer_records(
        trial.test, Classifier(bundle), pixel_aspect=bench.pixel_aspect, advance=advance
    )
    referral, conformal = bundle.manifest.referral, bundle.manifest.conformal
    if referral is None or conformal is None:
        raise DataError(f"{bundle.directory}: has no referral threshold or no prediction sets")
    table = PredictionTable(
        images=tuple(record.image_id for record in answers.records),
        labels=answers.labels,
        probabilities=answers.probabilities,
        referred=refers(referral, answers.probabilities),
        sets=members(conformal, answers.probabilities),
    ).to_csv()
    description = {
        "trial": trial.name,
        "training": bundle.manifest.training,
        "temperature": bundle.manifest.temperature,
        "graph_sha256": bundle.manifest.files["model.onnx"].sha256,
        "test_images": len(trial.test),
        "predictions_sha256": hashlib.sha256(table.encode()).hexdigest(),
    }
    write_text(_table_path(results, trial.name), table)
    write_text(_description_path(results, trial.name), json.dumps(description, indent=1) + "\n")


def is_tested(trial: Trial, results: Path) -> bool:
    """Tell whether a trial's predictions are there."""
    return _description_path(results, trial.name).is_file()


def check_recipe(
    tested: Sequence[Trial], results: Path, *, recipe: TrainingConfig, weights: str, taught: bool
) -> None:
    """Refuse to go on with trials that another recipe made: pooled, they would describe neither.

    Args:
        tested: trials whose predictions are there.
        results: their folder.
        recipe: that the protocol is run with.
        weights: ``last`` epoch, or ``best``.
        taught: whether its networks have teachers.

    Raises:
        DataError: a trial was trained with another recipe, or other weights of it were tested.
    """
    for trial in tested:
        path = _description_path(results, trial.name)
        try:
            training = json.loads(path.read_text(encoding="utf-8"))["training"]
            found = TrainingConfig.from_dict(training["config"], where=str(path))
            had_teacher = "teacher" in training["origin"]
            same = (found, training["weights"], had_teacher) == (recipe, weights, taught)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: does not say how it was trained ({error!r})") from error
        if not same:
            raise DataError(
                f"{path}: was made with another recipe, other weights or another kind of teacher; "
                "give the same, or another --results and --runs"
            )


def read_predictions(name: str, results: Path) -> PredictionTable:
    """Read and verify a trial's predictions.

    Raises:
        DataError: they are missing, or were changed after they were written.
    """
    path = _table_path(results, name)
    try:
        stated = json.loads(_description_path(results, name).read_text(encoding="utf-8"))
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: the trial's results cannot be read ({error})") from error
    if found != stated.get("predictions_sha256"):
        raise DataError(f"{path}: was changed after it was written; test the trial again")
    return PredictionTable.read(path)


def summarise_trials(
    tested: Sequence[Trial], results: Path, *, of: int, random: np.random.Generator
) -> tuple[dict[str, Any], EvaluationReport]:
    """Pool the predictions of trials into one document, with intervals by lesion.

    Args:
        tested: trials whose predictions are there.
        results: their folder.
        of: how many trials the protocol has.
        random: of the bootstrap.
    """
    table = pooled([read_predictions(trial.name, results) for trial in tested])
    records = _records_of(table, tested)
    lesions = np.array([record.lesion_id for record in records])
    report = build_report(
        table.labels,
        table.probabilities,
        groups=lesions,
        rng=random,
        metadata=metadata_of(records),
    )
    referral = estimate_referral(table.labels, table.referred, groups=lesions, rng=random)
    sets = estimate_sets(table.sets, table.labels, groups=lesions, rng=random)
    document = {
        "protocol": tested[0].origin["protocol"],
        "splits_sha256": tested[0].origin["splits_sha256"],
        "trials": [trial.name for trial in tested],
        "trials_of_protocol": of,
        "report": report.to_dict(),
        "referral": to_document(referral),
        "sets": to_document(sets),
    }
    return document, report


def _publish(
    trial: Trial, bench: Bench, run: Path, advance: Callable[[int], None] | None
) -> Bundle:
    network = MobileNetV2(dropout=bench.recipe.model.dropout)
    load_weights(network, read_weights(run / f"{bench.weights}_model.pth"))
    created = datetime.now(UTC).isoformat(timespec="seconds")
    described = {**read_record(run), "weights": bench.weights}
    return publish(
        network.eval(),
        bench.recipe.preprocessing,
        Origin(MODEL_NAME, f"0+{trial.name}", created, described),
        run / MODEL_FOLDER,
        material=Material(trial.train, trial.validation, bench.pixel_aspect),
        advance=advance,
    )


def _records_of(table: PredictionTable, tested: Sequence[Trial]) -> tuple[Record, ...]:
    by_name = {record.image_id: record for trial in tested for record in trial.test}
    if set(by_name) != set(table.images):
        raise DataError("the predictions are of other images than the protocol's test images")
    records = tuple(by_name[image] for image in table.images)
    if any(r.diagnosis.index != label for r, label in zip(records, table.labels, strict=True)):
        raise DataError("the predictions were made with other diagnoses than the data set has")
    return records


def _table_path(results: Path, name: str) -> Path:
    return results / f"{name}.csv"


def _description_path(results: Path, name: str) -> Path:
    return results / f"{name}.json"
