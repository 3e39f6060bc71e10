"""Does a report follow from its own rows? What stands in a published table must."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dermassist.diagnosis import CODES

if TYPE_CHECKING:
    from dermassist.evaluation.array import FloatArray
    from dermassist.evaluation.report import EvaluationReport
    from dermassist.evaluation.summary import ClassSummary, Summary

_TOLERANCE = 1e-9


def contradictions(report: EvaluationReport) -> tuple[str, ...]:
    """Return a sentence for every stated value that the report's own rows contradict.

    Accuracy, recall, precision, F1 and image counts are recomputed from the confusion matrix,
    averages from the rows of the scored classes. A report that was not edited has none.
    """
    counts = np.array(report.confusion, dtype=np.float64)
    rows = [row for row in report.summary.classes if row.scored]
    accuracy = float(np.trace(counts) / counts.sum())
    stated = [("accuracy", report.summary.overall.accuracy.value, accuracy)]
    stated += _averages(report.summary, rows)
    for row in rows:
        stated += _class_values(row, counts)
    return tuple(
        f"{name} is stated as {value:.6f}, its rows give {expected:.6f}"
        for name, value, expected in stated
        if not np.isclose(value, expected, rtol=0, atol=_TOLERANCE, equal_nan=True)
    )


def _averages(summary: Summary, rows: list[ClassSummary]) -> list[tuple[str, float, float]]:
    """Return name, stated value and what the rows give, of every average over classes."""
    images = np.array([row.images for row in rows], dtype=np.float64)

    def column(name: str) -> FloatArray:
        return np.array([getattr(row.measures, name).value for row in rows])

    expected = {
        "balanced_accuracy": column("recall").mean(),
        "macro_precision": column("precision").mean(),
        "macro_f1": column("f1").mean(),
        "macro_auc": column("auc").mean(),
        "weighted_precision": column("precision") @ images / images.sum(),
        "weighted_recall": column("recall") @ images / images.sum(),
        "weighted_f1": column("f1") @ images / images.sum(),
    }
    return [
        (name, getattr(summary.overall, name).value, float(value))
        for name, value in expected.items()
    ]


def _class_values(row: ClassSummary, counts: FloatArray) -> list[tuple[str, float, float]]:
    """Return name, stated value and what the confusion matrix gives, of one class."""
    place = CODES.index(row.code)
    hits, images, predicted = counts[place, place], counts[place].sum(), counts[:, place].sum()
    precision = hits / predicted if predicted else np.nan
    return [
        (f"images of {row.code}", row.images, float(images)),
        (f"recall of {row.code}", row.measures.recall.value, float(hits / images)),
        (f"precision of {row.code}", row.measures.precision.value, float(precision)),
        (f"F1 of {row.code}", row.measures.f1.value, float(2 * hits / (images + predicted))),
    ]
