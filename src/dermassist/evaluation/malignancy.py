"""Malignant or not: the seven probabilities read as one risk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dermassist.diagnosis import CODES, MALIGNANT
from dermassist.evaluation.array import (
    BoolArray,
    FloatArray,
    checked_labels,
    checked_probabilities,
)
from dermassist.evaluation.ranking import RocCurve, roc_curve

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def malignant_probability(probabilities: ArrayLike) -> FloatArray:
    """Return the summed probability of mel, bcc and akiec ``(n,)``.

    Raises:
        DataError: not ``(n, 7)`` probabilities.
    """
    chances = checked_probabilities(probabilities, classes=len(CODES))
    return np.asarray(chances[:, [diagnosis.index for diagnosis in MALIGNANT]].sum(axis=1))


def is_malignant(y_true: ArrayLike) -> BoolArray:
    """Return which labels are mel, bcc or akiec ``(n,)``.

    Raises:
        DataError: labels out of range.
    """
    return np.isin(checked_labels(y_true), [diagnosis.index for diagnosis in MALIGNANT])


def malignancy_curve(
    y_true: ArrayLike, probabilities: ArrayLike, *, weights: ArrayLike | None = None
) -> RocCurve:
    """Return the ROC curve of the summed malignant probability.

    Raises:
        DataError: labels, probabilities or weights do not fit together.
    """
    return roc_curve(is_malignant(y_true), malignant_probability(probabilities), weights=weights)
