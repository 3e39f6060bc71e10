"""The confusion matrix, and what follows from it alone.

Every function takes ``(*batch, classes, classes)`` counts, rows the true and columns the predicted
class, and answers with ``(*batch, classes)`` or ``(*batch,)``: one call serves the point estimate
and all bootstrap resamples. What cannot be computed is nan, never 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dermassist.diagnosis import CODES
from dermassist.evaluation.array import (
    BoolArray,
    FloatArray,
    checked_labels,
    checked_weights,
    ratio,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def confusion_matrix(
    y_true: ArrayLike,
    y_predicted: ArrayLike,
    *,
    classes: int = len(CODES),
    weights: ArrayLike | None = None,
) -> FloatArray:
    """Count images by true class (rows) and predicted class (columns).

    Args:
        y_true: true classes ``(n,)``.
        y_predicted: predicted classes ``(n,)``.
        classes: number of classes.
        weights: multiplicities ``(*batch, n)``; one per image if absent.

    Returns:
        Counts ``(*batch, classes, classes)``.

    Raises:
        DataError: labels out of range or of different lengths.
    """
    truth = checked_labels(y_true, classes=classes)
    predicted = checked_labels(y_predicted, classes=classes, images=len(truth))
    multiplicity = checked_weights(weights, images=len(truth))
    cells = np.zeros((len(truth), classes * classes))
    cells[np.arange(len(truth)), truth * classes + predicted] = 1
    counts = multiplicity @ cells
    return counts.reshape(*counts.shape[:-1], classes, classes)


def support(confusion: FloatArray) -> FloatArray:
    """Return how many images each class truly has."""
    return np.asarray(confusion.sum(axis=-1))


def accuracy(confusion: FloatArray) -> FloatArray:
    """Return the share of images whose predicted class is the true one."""
    return ratio(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def recall(confusion: FloatArray) -> FloatArray:
    """Return, per class, the share of its images that were found; nan for a class without any."""
    return ratio(_diagonal(confusion), support(confusion))


def precision(confusion: FloatArray) -> FloatArray:
    """Return, per class, the share of its predictions that are true.

    It is nan for a class that was never predicted, and for a class without images: neither says
    anything about it. (scikit-learn fills in 0.)
    """
    values = ratio(_diagonal(confusion), confusion.sum(axis=-2))
    return np.where(support(confusion) > 0, values, np.nan)


def f1_score(confusion: FloatArray) -> FloatArray:
    """Return, per class, ``2 TP / (2 TP + FP + FN)``; nan for a class without images.

    A class that has images and is never predicted scores 0.
    """
    values = ratio(2 * _diagonal(confusion), support(confusion) + confusion.sum(axis=-2))
    return np.where(support(confusion) > 0, values, np.nan)


def macro_average(values: FloatArray, *, scored: BoolArray) -> FloatArray:
    """Return the plain mean over the scored classes; nan if one of them is undefined.

    Args:
        values: one value per class ``(*batch, classes)``.
        scored: the classes ``(classes,)`` to average over.
    """
    return ratio(values[..., scored].sum(axis=-1), scored.sum())


def weighted_average(values: FloatArray, *, counts: FloatArray, scored: BoolArray) -> FloatArray:
    """Return the mean over the scored classes, each counted by its images; nan as above.

    Args:
        values: one value per class ``(*batch, classes)``.
        counts: images per class ``(*batch, classes)``.
        scored: the classes ``(classes,)`` to average over.
    """
    weights = counts[..., scored]
    return ratio((values[..., scored] * weights).sum(axis=-1), weights.sum(axis=-1))


def _diagonal(confusion: FloatArray) -> FloatArray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)
