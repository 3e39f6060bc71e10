"""What is said of the four sources: how the model does on each, and without having seen it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from docs import saved

from dermassist.decisions import SET_COVERAGE
from dermassist.evaluation.calibration import expected_calibration_error
from dermassist.evaluation.decision_tabulation import source_referral_table
from dermassist.evaluation.malignancy import is_malignant
from dermassist.evaluation.prediction_table import PredictionTable
from dermassist.evaluation.table import Table, render_markdown
from dermassist.measured import read_measured
from dermassist.model.bundle import read_bundle
from dermassist.model.manifest import NOT_MEASURED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dermassist.evaluation.array import BoolArray
    from dermassist.evaluation.summary import Summary
    from dermassist.pooling import ProtocolFigures

#: The only source that is not a collection of the clinic in Vienna.
OTHER_CLINIC = "rosendahl"


@dataclass(frozen=True)
class Counts:
    """What was said of some images, counted.

    Attributes:
        images: how many.
        right: of them, answered with their diagnosis.
        malignant: of them, of a malignant class.
        benign: the others.
        found: malignant images that were referred.
        alarms: benign images that were referred.
    """

    images: int
    right: int
    malignant: int
    benign: int
    found: int
    alarms: int


def count(table: PredictionTable, inside: BoolArray | None = None) -> Counts:
    """Count what was said of the images ``inside`` ``(n,)`` of a table; of all without it."""
    chosen = np.ones(len(table.images), bool) if inside is None else inside
    malignant = is_malignant(table.labels) & chosen
    benign = chosen & ~malignant
    right = (table.probabilities.argmax(axis=1) == table.labels) & chosen
    return Counts(
        images=int(chosen.sum()),
        right=int(right.sum()),
        malignant=int(malignant.sum()),
        benign=int(benign.sum()),
        found=int((malignant & table.referred).sum()),
        alarms=int((benign & table.referred).sum()),
    )


@cache
def left_out() -> Mapping[str, PredictionTable]:
    """Return the answers to each tested source by the network that was trained without it."""
    folder = saved.ROOT / "results" / "source"
    tested = saved.protocol("source").each
    return {trial.name: PredictionTable.read(folder / f"{trial.name}.csv") for trial in tested}


def shipped_by_source() -> dict[str, Counts]:
    """Return what the model that ships said of the test fold's images, source by source."""
    answers = saved.answers()
    return {
        name: count(answers, np.isin(answers.images, table.images))
        for name, table in left_out().items()
    }


def by_source() -> str:
    """What the threshold of the model that ships does on each source of the test fold."""
    measured = read_measured(read_bundle().manifest)
    if measured is None or not measured.referral_by_source:
        raise SystemExit("the bundle has no figures of each source; store its evaluation again")
    return render_markdown(source_referral_table(measured.referral_by_source))


_HEADER = ("Source", "Images", "Accuracy", "Malignant images referred", "Benign images referred")


def _cells(counts: Counts) -> tuple[str, ...]:
    return (
        str(counts.images),
        f"{counts.right / counts.images:.3f}",
        f"{counts.found} of {counts.malignant}",
        f"{counts.alarms} of {counts.benign} ({counts.alarms / counts.benign:.0%})",
    )


def easy_source() -> str:
    """What the source that is answered best does to the figures of all."""
    counts = shipped_by_source()
    easiest = max(counts, key=lambda name: counts[name].right / counts[name].images)
    others = [each for name, each in counts.items() if name != easiest]
    images, right, benign, alarms = (
        sum(getattr(each, name) for each in others)
        for name in ("images", "right", "benign", "alarms")
    )
    own = counts[easiest]
    return (
        f"**One source makes these figures look better**: {own.benign / (own.benign + benign):.0%} "
        f"of the benign images are from {easiest}, where {own.alarms / own.benign:.0%} were "
        f"referred and {own.right / own.images:.0%} of all images were answered right. In the "
        f"other sources {alarms / benign:.0%} of the benign images were referred, and "
        f"{right / images:.0%} of all were answered right."
    )


def source_gap() -> str:
    """What leaving a source out costs, in a few sentences."""
    path = saved.ROOT / "results" / "source.json"
    figures = saved.protocol("source") if path.is_file() else None
    if figures is None or len(figures.each) < figures.trials_of_protocol:
        return f"How the model does on images from other cameras: {NOT_MEASURED}."
    counts = {name: count(table) for name, table in left_out().items()}
    seen = _seen_sources()
    other = counts[OTHER_CLINIC]
    worst = min(counts, key=lambda name: counts[name].right / counts[name].images)
    blind = min(counts, key=lambda name: counts[name].found / counts[name].malignant)
    missed, held = counts[blind], figures.sets.lesion_coverage.value
    return (
        "**Expect less from another clinic.** Networks of a shorter recipe were trained without "
        f"one source each. Only one source, {OTHER_CLINIC}, is from another clinic than the rest: "
        f"{_right(other)} of its images were answered right, "
        f"{seen[OTHER_CLINIC].overall.accuracy.value:.0%} by networks that knew it. Of its "
        f"malignant images {other.found / other.malignant:.0%} were referred, but of its benign "
        f"ones {other.alarms / other.benign:.0%} too: the threshold does not carry over. Worst in "
        f"accuracy is {worst}, {_right(counts[worst])} instead of "
        f"{seen[worst].overall.accuracy.value:.0%}; the largest share of malignant images was "
        f"missed in {blind}, {missed.malignant - missed.found} of {missed.malignant}. "
        f"Prediction sets held the true diagnosis of {held:.0%} of all lesions "
        f"instead of {SET_COVERAGE:.0%}."
    )


def _right(counts: Counts) -> str:
    return f"{counts.right / counts.images:.0%}"


def gap_table(figures: ProtocolFigures) -> str:
    """The same images, answered by networks that had seen their source and by one that had not."""
    seen = _seen_sources()
    rows = []
    for trial in figures.each:
        overall, before = trial.summary.overall, seen[trial.name].overall
        cells = [
            f"{getattr(each, name).value:.3f}"
            for name in ("accuracy", "balanced_accuracy")
            for each in (before, overall)
        ]
        errors = (_seen_calibration_error(trial.name), overall.calibration_error.value)
        cells += [f"{error:.3f}" for error in errors]
        rows.append((trial.name, str(trial.summary.images), *cells))
    header = (
        "Source",
        "Images",
        *(
            f"{label}, {state}"
            for label in ("Accuracy", "Balanced accuracy", "ECE")
            for state in ("seen", "left out")
        ),
    )
    note = (
        "Seen: by the networks of the lesion-grouped folds, which saw other lesions of the source. "
        "Averages over classes with at least 20 images. Calibration errors are of single networks: "
        "seen, the mean of the five, each on its part of the source; chance raises it more, since "
        "such a part has a fifth of the images."
    )
    return render_markdown(Table("The same images", header, tuple(rows), (note,)))


def referral_by_source() -> str:
    """Referral by the networks that had not seen the source."""
    rows = tuple((name, *_cells(count(table))) for name, table in left_out().items())
    note = "Each at the threshold that its network's validation lesions gave, all of other sources."
    return render_markdown(Table("Each source, left out", _HEADER, rows, (note,)))


def class_images(figures: ProtocolFigures) -> str:
    """How many images of each class every source has."""
    rows = tuple(
        (trial.name, *(str(row.images) for row in trial.summary.classes)) for trial in figures.each
    )
    header = ("Source", *(row.code.upper() for row in figures.report.summary.classes))
    return render_markdown(Table("Images of each class", header, rows))


def _seen_calibration_error(source: str) -> float:
    """Return the calibration error on a source of a network that had seen it, mean of the folds'.

    Each of the lesion-grouped networks answers its own part of the source; pooled, errors of
    different networks would cancel, which those of the one that had not seen it cannot.
    """
    images = set(left_out()[source].images)
    errors = []
    for path in sorted((saved.ROOT / "results" / "lesion").glob("fold*.csv")):
        table = PredictionTable.read(path)
        inside = np.array([image in images for image in table.images])
        errors.append(expected_calibration_error(table.labels[inside], table.probabilities[inside]))
    return float(np.mean(errors))


def _seen_sources() -> dict[str, Summary]:
    groups = saved.protocol("lesion").report.subgroups_of("source")
    return {group.value: group.summary for group in groups}
