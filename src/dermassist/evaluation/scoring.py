"""Proper scores: what the probabilities are worth, not only the first of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dermassist.evaluation.array import (
    FloatArray,
    IntArray,
    checked_labels,
    checked_probabilities,
    checked_weights,
    ratio,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def brier_score(
    y_true: ArrayLike, probabilities: ArrayLike, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the mean squared distance between probabilities and truth, 0 to 2 ``(*batch,)``.

    Source: Brier, "Verification of forecasts expressed in terms of probability", 1950, equation 2.

    Raises:
        DataError: labels, probabilities or weights do not fit together.
    """
    labels, chances = _checked(y_true, probabilities)
    distances = ((chances - np.eye(chances.shape[1])[labels]) ** 2).sum(axis=1)
    return _mean(distances, weights)


def log_loss(
    y_true: ArrayLike, probabilities: ArrayLike, *, weights: ArrayLike | None = None
) -> FloatArray:
    """Return the mean negative log of the true class's probability, in nats ``(*batch,)``.

    A probability of 0 counts as the smallest step of float64, so that one wrong certainty costs
    36 nats and not infinity.

    Raises:
        DataError: labels, probabilities or weights do not fit together.
    """
    labels, chances = _checked(y_true, probabilities)
    given = chances[np.arange(len(labels)), labels]
    return _mean(-np.log(np.maximum(given, np.finfo(np.float64).eps)), weights)


def _checked(y_true: ArrayLike, probabilities: ArrayLike) -> tuple[IntArray, FloatArray]:
    chances = checked_probabilities(probabilities)
    return checked_labels(y_true, classes=chances.shape[1], images=len(chances)), chances


def _mean(values: FloatArray, weights: ArrayLike | None) -> FloatArray:
    multiplicity = checked_weights(weights, images=len(values))
    return ratio(multiplicity @ values, multiplicity.sum(axis=-1))
