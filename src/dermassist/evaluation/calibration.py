"""Are the probabilities true? Reliability and expected calibration error.

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
section 2 and equation 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dermassist.evaluation.array import (
    FloatArray,
    checked_count,
    checked_labels,
    checked_probabilities,
    checked_weights,
    ratio,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: Number of equal-width bins of top-label confidence.
BINS = 15
_SIMULATIONS_AT_ONCE = 100


@dataclass(frozen=True)
class ReliabilityBins:
    """Confidence against accuracy, per bin of top-label confidence; empty bins are nan."""

    #: Bin borders, one more than bins; a bin holds its upper border, not its lower one.
    edges: tuple[float, ...]
    #: Images per bin.
    count: tuple[int, ...]
    #: Mean confidence per bin.
    confidence: tuple[float, ...]
    #: Share of right answers per bin.
    accuracy: tuple[float, ...]


@dataclass(frozen=True)
class CalibrationReference:
    """The calibration error that perfectly calibrated answers would show by chance."""

    mean: float
    #: Central 95 % of the simulated values.
    low: float
    high: float
    simulations: int


def expected_calibration_error(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    *,
    bins: int = BINS,
    weights: ArrayLike | None = None,
) -> FloatArray:
    """Return the mean gap between top-label confidence and accuracy over bins, by bin size.

    Args:
        y_true: labels ``(n,)``.
        probabilities: ``(n, classes)``.
        bins: number of equal-width bins.
        weights: multiplicities ``(*batch, n)``; one per image if absent.

    Returns:
        The error ``(*batch,)``, 0 to 1; nan where all weights are 0.

    Raises:
        DataError: labels, probabilities or weights do not fit together.
    """
    confidence, correct = _top_label(y_true, probabilities)
    multiplicity = checked_weights(weights, images=len(correct))
    gaps = multiplicity @ (_bin_indicator(confidence, bins) * (correct - confidence)[:, None])
    return ratio(np.abs(gaps).sum(axis=-1), multiplicity.sum(axis=-1))


def reliability_bins(
    y_true: ArrayLike, probabilities: ArrayLike, *, bins: int = BINS
) -> ReliabilityBins:
    """Return count, mean confidence and accuracy of every bin of top-label confidence.

    Raises:
        DataError: labels and probabilities do not fit together.
    """
    return _binned(*_top_label(y_true, probabilities), bins=bins)


def _binned(confidence: FloatArray, correct: FloatArray, *, bins: int) -> ReliabilityBins:
    indicator = _bin_indicator(confidence, bins)
    count = indicator.sum(axis=0)
    return ReliabilityBins(
        edges=tuple(np.linspace(0, 1, bins + 1).tolist()),
        count=tuple(int(images) for images in count),
        confidence=tuple(ratio(confidence @ indicator, count).tolist()),
        accuracy=tuple(ratio(correct @ indicator, count).tolist()),
    )


def reliability_by_answer(
    y_true: ArrayLike, probabilities: ArrayLike, *, bins: int = BINS
) -> tuple[ReliabilityBins, ...]:
    """Return the bins of the images that were given each class as their answer, in class order.

    How often answers of one confidence are right differs from class to class; over all answers
    together the commonest class speaks for the others.

    Raises:
        DataError: labels and probabilities do not fit together.
    """
    confidence, correct = _top_label(y_true, probabilities)
    answers = np.asarray(probabilities).argmax(axis=1)
    return tuple(
        _binned(confidence[answers == k], correct[answers == k], bins=bins)
        for k in range(np.shape(probabilities)[1])
    )


def calibration_reference(
    probabilities: ArrayLike, *, rng: np.random.Generator, simulations: int = 1000, bins: int = BINS
) -> CalibrationReference:
    """Simulate the calibration error of as many images whose probabilities are exactly true.

    Labels are drawn from the probabilities themselves. Only whether the top label is drawn matters
    to the error, which happens with the probability of the top label.

    Args:
        probabilities: ``(n, classes)``.
        rng: source of the draws.
        simulations: number of simulated label sets.
        bins: number of equal-width bins.

    Raises:
        DataError: values that are no probabilities.
    """
    checked_count(simulations, name="simulations")
    confidence = checked_probabilities(probabilities).max(axis=1)
    indicator = _bin_indicator(confidence, bins)
    errors = np.concatenate(
        [
            _simulated_errors(confidence, indicator, rng.random((size, len(confidence))))
            for size in _batch_sizes(simulations)
        ]
    )
    low, high = np.percentile(errors, [2.5, 97.5])
    return CalibrationReference(float(errors.mean()), float(low), float(high), simulations)


def _top_label(y_true: ArrayLike, probabilities: ArrayLike) -> tuple[FloatArray, FloatArray]:
    chances = checked_probabilities(probabilities)
    labels = checked_labels(y_true, classes=chances.shape[1], images=len(chances))
    return chances.max(axis=1), (chances.argmax(axis=1) == labels).astype(np.float64)


def _bin_indicator(confidence: FloatArray, bins: int) -> FloatArray:
    edges = np.linspace(0, 1, checked_count(bins, name="bins") + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    return np.eye(bins)[place]


def _simulated_errors(
    confidence: FloatArray, indicator: FloatArray, draws: FloatArray
) -> FloatArray:
    gaps = ((draws < confidence) - confidence) @ indicator
    return np.asarray(np.abs(gaps).sum(axis=1) / len(confidence))


def _batch_sizes(total: int) -> list[int]:
    full, rest = divmod(total, _SIMULATIONS_AT_ONCE)
    return [_SIMULATIONS_AT_ONCE] * full + [rest] * (rest > 0)
