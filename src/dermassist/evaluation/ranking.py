"""How well a score ranks positives above negatives: ROC curves and what is read off them.

Convention everywhere: an image is called positive when ``score >= threshold``. Images of equal
score therefore change sides together, and no point between two observed operating points is
claimed. Thresholds fall along a curve, from +inf (nothing called positive) to the lowest score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dermassist.errors import DataError
from dermassist.evaluation.array import (
    BoolArray,
    FloatArray,
    IntArray,
    checked_share,
    checked_weights,
    ratio,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: A count that misses a bound only by rounding (0.9 * 100 images) has reached it.
ROUNDING = 1e-9


@dataclass(frozen=True)
class RocCurve:
    """Operating points of one score, for one sample or a batch of weighted resamples."""

    #: Falling thresholds ``(points,)``; the first is +inf.
    thresholds: FloatArray
    #: Weight of positives called positive ``(*batch, points)``.
    true_positives: FloatArray
    #: Weight of negatives called positive ``(*batch, points)``.
    false_positives: FloatArray

    @property
    def positives(self) -> FloatArray:
        """Total weight of positives ``(*batch,)``."""
        return self.true_positives[..., -1]

    @property
    def negatives(self) -> FloatArray:
        """Total weight of negatives ``(*batch,)``."""
        return self.false_positives[..., -1]

    @property
    def sensitivity(self) -> FloatArray:
        """Share of positives called positive ``(*batch, points)``; nan without positives."""
        return ratio(self.true_positives, self.positives[..., None])

    @property
    def false_positive_rate(self) -> FloatArray:
        """Share of negatives called positive ``(*batch, points)``; nan without negatives."""
        return ratio(self.false_positives, self.negatives[..., None])


def roc_curve(
    positive: ArrayLike, score: ArrayLike, *, weights: ArrayLike | None = None
) -> RocCurve:
    """Return every operating point of a score.

    Args:
        positive: which images are positive ``(n,)`` bool.
        score: higher means more positive ``(n,)``.
        weights: multiplicities ``(*batch, n)``; one per image if absent.

    Raises:
        DataError: arrays of different lengths, empty, or scores that are not finite.
    """
    truth, values = _checked_scores(positive, score)
    multiplicity = checked_weights(weights, images=len(values))
    order = np.argsort(-values, kind="stable")
    # Images before a point: none before the first, and tied images come over together.
    points = np.flatnonzero(np.diff(values[order], prepend=np.inf, append=-np.inf))
    ordered = np.take(multiplicity, order, axis=-1)
    return RocCurve(
        thresholds=np.concatenate([[np.inf], values[order][points[1:] - 1]]),
        true_positives=_counts_before(points, ordered * truth[order]),
        false_positives=_counts_before(points, ordered * ~truth[order]),
    )


def area_under_curve(curve: RocCurve) -> FloatArray:
    """Return the area under the ROC curve ``(*batch,)``; nan without positives or negatives.

    Straight lines join the points, which counts a tie between a positive and a negative as one
    half: the area equals the Mann-Whitney statistic.
    """
    widths = np.diff(curve.false_positives, axis=-1)
    heights = curve.true_positives[..., 1:] + curve.true_positives[..., :-1]
    return ratio((widths * heights).sum(axis=-1) / 2, curve.positives * curve.negatives)


def sensitivity_at_specificity(curve: RocCurve, *, specificity: float) -> FloatArray:
    """Return the highest sensitivity reached at no less than a wanted specificity ``(*batch,)``.

    Only observed operating points count, without interpolation; where every score referred would
    cost too much specificity the answer is 0. It is nan without positives or negatives.

    Raises:
        ConfigError: ``specificity`` is not between 0 and 1.
    """
    checked_share(specificity, name="specificity")
    allowed = (1 - specificity + ROUNDING) * curve.negatives
    reached = np.where(curve.false_positives <= allowed[..., None], curve.true_positives, 0)
    values = ratio(reached.max(axis=-1), curve.positives)
    return np.where(curve.negatives > 0, values, np.nan)


def sensitivity_on_grid(curve: RocCurve, false_positive_rates: FloatArray) -> FloatArray:
    """Return the highest sensitivity at no more than each false positive rate of a grid.

    Thins an unbatched curve to a fixed number of points, by the same rule as
    ``sensitivity_at_specificity``; all nan without positives or negatives.
    """
    rates = curve.false_positive_rate
    if np.isnan(rates).any():
        return np.full(len(false_positive_rates), np.nan)
    last = np.searchsorted(rates, false_positive_rates + ROUNDING, side="right") - 1
    return curve.sensitivity[last]


def _checked_scores(positive: ArrayLike, score: ArrayLike) -> tuple[BoolArray, FloatArray]:
    truth, values = np.asarray(positive), np.asarray(score, dtype=np.float64)
    if truth.dtype != np.bool_ or truth.ndim != 1 or truth.size == 0:
        raise DataError(
            f"positives must be true or false for at least one image, "
            f"got {truth.dtype} of shape {truth.shape}"
        )
    if values.shape != truth.shape or not np.isfinite(values).all():
        raise DataError(f"scores must be {len(truth)} finite numbers, got shape {values.shape}")
    return truth, values


def _counts_before(points: IntArray, ordered: FloatArray) -> FloatArray:
    counts = np.zeros((*ordered.shape[:-1], ordered.shape[-1] + 1))
    np.cumsum(ordered, axis=-1, out=counts[..., 1:])
    return counts if len(points) == counts.shape[-1] else np.take(counts, points, axis=-1)
