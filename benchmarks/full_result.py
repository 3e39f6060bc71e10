"""What whole trainings of two recipes add up to: a table and a figure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from dermassist.evaluation.bootstrap import bootstrap
from dermassist.evaluation.confusion import accuracy, confusion_matrix, f1_score, recall
from dermassist.evaluation.document import to_document
from dermassist.storage import replacing, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dermassist.data.ham10000 import Record
    from dermassist.evaluation.array import FloatArray
    from dermassist.evaluation.bootstrap import Estimate
    from dermassist.evaluation.prediction_table import PredictionTable

#: The figures of merit; the first one is that which the search looked at, on validation.
MEASURES = {
    "macro_f1": "Macro F1",
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
}
_COLOURS = {"found": "#D55E00", "default": "#0072B2"}
_SEED = 0


@dataclass(frozen=True)
class FullRun:
    """One finished training: of which recipe, with which seed, and what it said of the test."""

    arm: str
    seed: int
    table: PredictionTable


@dataclass(frozen=True)
class Standing:
    """The finished trainings' figures.

    Attributes:
        runs: training by training: ``arm``, ``seed`` and the measures.
        means: over the seeds of each arm: measure by measure.
        differences: found minus default, mean of the seeds that both have, with a 95 % interval
            by lesion; empty until there is such a seed.
    """

    runs: list[dict[str, Any]]
    means: dict[str, dict[str, float]]
    differences: dict[str, Estimate]


def write_standing(
    runs: Sequence[FullRun], tested: Sequence[Record], results: Path, *, of: int
) -> None:
    """Write ``full.json``, ``full.md`` and ``full.png``.

    Args:
        runs: the finished trainings, at least one.
        tested: the test images of all of them.
        results: folder.
        of: how many trainings there will be.
    """
    standing = stand(runs, tested)
    document = {
        "trainings": len(runs),
        "trainings_in_all": of,
        "runs": standing.runs,
        "means": standing.means,
        "differences": {name: to_document(each) for name, each in standing.differences.items()},
    }
    write_text(results / "full.json", json.dumps(document, indent=1) + "\n")
    write_text(results / "full.md", _markdown(standing, of=of))
    with replacing(results / "full.png") as temporary:
        _figure(standing).savefig(temporary, dpi=130, metadata={"Software": None})


def stand(runs: Sequence[FullRun], tested: Sequence[Record]) -> Standing:
    """Return the figures of finished trainings on the same test images."""
    lesion_of = {record.image_id: record.lesion_id for record in tested}
    lesions = np.array([lesion_of[image] for image in runs[0].table.images])
    pairs = _pairs(runs)

    def differences(weights: FloatArray) -> dict[str, FloatArray]:
        each = [(_measured(f.table, weights), _measured(d.table, weights)) for f, d in pairs]
        return {
            name: np.mean([found[name] - default[name] for found, default in each], axis=0)
            for name in MEASURES
        }

    found = None
    if pairs:
        found = bootstrap(differences, groups=lesions, rng=np.random.default_rng(_SEED))
    rows = [_row(run) for run in runs]
    arms = dict.fromkeys(run.arm for run in runs)
    return Standing(
        runs=rows,
        means={
            arm: {
                name: float(np.mean([r[name] for r in rows if r["arm"] == arm]))
                for name in MEASURES
            }
            for arm in arms
        },
        differences={} if found is None else {name: found.estimate(name) for name in MEASURES},
    )


def _pairs(runs: Sequence[FullRun]) -> list[tuple[FullRun, FullRun]]:
    """Return the found and the default training of every seed that has both."""
    by_name = {(run.arm, run.seed): run for run in runs}
    seeds = sorted({run.seed for run in runs})
    both = [(by_name.get(("found", seed)), by_name.get(("default", seed))) for seed in seeds]
    return [(found, default) for found, default in both if found and default]


def _measured(table: PredictionTable, weights: FloatArray) -> dict[str, FloatArray]:
    """Return the measures, shape ``(resamples,)``, for weights ``(resamples, n)``."""
    predicted = table.probabilities.argmax(axis=1)
    counts = confusion_matrix(table.labels, predicted, weights=weights)
    present = np.bincount(table.labels, minlength=counts.shape[-1]) > 0
    return {
        "macro_f1": f1_score(counts)[..., present].mean(axis=-1),
        "balanced_accuracy": recall(counts)[..., present].mean(axis=-1),
        "accuracy": accuracy(counts),
    }


def _row(run: FullRun) -> dict[str, Any]:
    measures = _measured(run.table, np.ones((1, len(run.table.images))))
    return {
        "arm": run.arm,
        "seed": run.seed,
        **{name: float(each[0]) for name, each in measures.items()},
    }


def _markdown(standing: Standing, *, of: int) -> str:
    lines = [
        f"{len(standing.runs)} of {of} whole trainings, tested once each on the same lesions.\n",
        "| Training | " + " | ".join(MEASURES.values()) + " |",
        "|---" * (len(MEASURES) + 1) + "|",
    ]
    for row in standing.runs:
        values = " | ".join(f"{row[name]:.4f}" for name in MEASURES)
        lines.append(f"| {row['arm']}, seed {row['seed']} | {values} |")
    for arm, own in standing.means.items():
        values = " | ".join(f"**{own[name]:.4f}**" for name in MEASURES)
        lines.append(f"| **{arm}, mean** | {values} |")
    if standing.differences:
        values = " | ".join(_difference_text(standing.differences[name]) for name in MEASURES)
        lines.append(f"| found - default [95 % by lesion] | {values} |")
    return "\n".join(lines) + "\n"


def _difference_text(estimate: Estimate) -> str:
    return f"{estimate.value:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"


def _figure(standing: Standing) -> Figure:
    """Draw every training's measures, the seeds of an arm side by side, and the arms' means."""
    figure = Figure(figsize=(8.0, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for place, (arm, means) in enumerate(standing.means.items()):
        own = [row for row in standing.runs if row["arm"] == arm]
        for column, name in enumerate(MEASURES):
            x = column + 0.3 * (place - 0.5)
            spots = x + np.linspace(-0.06, 0.06, len(own))
            label = arm if column == 0 else None
            axes.plot(spots, [r[name] for r in own], "o", color=_COLOURS[arm], label=label)
            axes.hlines(means[name], x - 0.12, x + 0.12, color=_COLOURS[arm])
    axes.set_xticks(range(len(MEASURES)), list(MEASURES.values()))
    axes.set(ylabel="on test lesions", title="Whole trainings: a point a seed, a line the mean")
    axes.legend()
    return figure
