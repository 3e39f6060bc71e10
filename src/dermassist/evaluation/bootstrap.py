"""95 % intervals by resampling lesions: what a figure would be on other lesions of the same kind.

Images of one lesion are not independent, so whole lesions are drawn with replacement, as many as
there are, and every image carries its lesion's multiplicity as a weight. A statistic that takes
weights ``(resamples, n)`` is thereby computed for all resamples at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dermassist.evaluation.array import (
    BoolArray,
    FloatArray,
    checked_count,
    checked_groups,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

RESAMPLES = 1000
#: A statistic can be undefined (nan) on a resample, for one that misses a class. Those are left out
#: and counted; if fewer than this share is left, no interval is given. One or two lesions of a
#: class miss the bar (63 and 86 % of resamples hold one of them), three reach it (95 %).
USABLE_SHARE = 0.9
_PERCENTILES = (2.5, 97.5)
_WEIGHTS_AT_ONCE = 250_000
#: By how much, as a share of the value, sums over resamples differ from it by rounding alone.
_ROUNDING = 1e-9

#: Maps weights ``(resamples, n)`` to named arrays ``(resamples, ...)``.
Statistic = Callable[[FloatArray], Mapping[str, FloatArray]]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; nan is what could not be computed."""

    value: float
    low: float
    high: float
    #: Resamples that the interval rests on: those on which the statistic was defined.
    resamples: int

    @property
    def repeated(self) -> bool:
        """Whether this is a share of 0 or 1 that every resample repeats: that is no interval."""
        return self.low == self.high == self.value and self.value in {0.0, 1.0}


@dataclass(frozen=True)
class Bootstrap:
    """The values of named statistics on a sample and on every resample of its lesions."""

    #: Arrays of any shape.
    values: Mapping[str, FloatArray]
    #: The same with a leading axis of resamples.
    draws: Mapping[str, FloatArray]

    def estimate(self, name: str, *place: int, grows: bool = False) -> Estimate:
        """Return one statistic, or one element of it, with its interval.

        Args:
            name: of the statistic.
            place: of the element.
            grows: whether it grows with every resampling, as ``without_growth`` says.
        """
        of_all_resamples: tuple[slice | int, ...] = (slice(None), *place)
        kind = without_growth if grows else interval
        return kind(float(self.values[name][place]), self.draws[name][of_all_resamples])


def lesion_weights(
    groups: ArrayLike, *, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Iterator[FloatArray]:
    """Yield multiplicities ``(some, n)`` until there are ``resamples`` rows in all.

    Args:
        groups: lesion of each image ``(n,)``.
        rng: source of the draws; the same state gives the same rows.
        resamples: number of rows, at least 1.

    Raises:
        DataError: groups are not one-dimensional.
        ConfigError: ``resamples`` is below 1.
    """
    checked_count(resamples, name="resamples")
    names = checked_groups(groups, images=len(np.atleast_1d(groups)))
    lesions, lesion_of_image = np.unique(names, return_inverse=True)
    at_once = max(1, _WEIGHTS_AT_ONCE // len(names))
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = rng.integers(len(lesions), size=(rows, len(lesions)))
        places = drawn + np.arange(rows)[:, None] * len(lesions)
        counts = np.bincount(places.ravel(), minlength=rows * len(lesions))
        yield counts.reshape(rows, -1)[:, lesion_of_image].astype(np.float64)


def bootstrap(
    statistic: Statistic,
    *,
    groups: ArrayLike,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Bootstrap:
    """Compute a statistic on the sample and on resamples of its lesions.

    Args:
        statistic: maps weights ``(resamples, n)`` to named arrays ``(resamples, ...)``.
        groups: lesion of each image ``(n,)``.
        rng: source of the draws.
        resamples: number of resamples, at least 1.

    Raises:
        DataError: groups are not one-dimensional.
        ConfigError: ``resamples`` is below 1.
    """
    parts = [statistic(w) for w in lesion_weights(groups, rng=rng, resamples=resamples)]
    whole = statistic(np.ones((1, len(np.atleast_1d(groups)))))
    return Bootstrap(
        values={name: values[0] for name, values in whole.items()},
        draws={name: np.concatenate([part[name] for part in parts]) for name in whole},
    )


def interval(value: float, draws: FloatArray) -> Estimate:
    """Return a value with the central 95 % of its draws ``(resamples,)``.

    Undefined draws (nan) are left out; if fewer than ``USABLE_SHARE`` remain, or the value itself
    is nan, there is no interval and its borders are nan. Nor is there where the draws repeat the
    value, as with one lesion, of which every resample is a copy. A share of 0 or 1 keeps its
    borders: ``Estimate.repeated`` tells it.
    """
    usable: BoolArray = ~np.isnan(draws)
    count = int(usable.sum())
    if np.isnan(value) or count < USABLE_SHARE * len(draws):
        return Estimate(value, np.nan, np.nan, count)
    low, high = np.percentile(draws[usable], _PERCENTILES)
    repeats = max(abs(low - value), abs(high - value)) <= _ROUNDING * abs(value)
    if repeats and value not in {0.0, 1.0}:
        return Estimate(value, np.nan, np.nan, count)
    return Estimate(value, float(low), float(high), count)


def without_growth(value: float, draws: FloatArray) -> Estimate:
    """Return a value of at least 0 that chance alone raises, with its 95 % interval.

    A sum of absolute differences, such as the expected calibration error, is larger in a sample
    than in truth, and larger again in resamples, by about as much. So their percentiles lie too
    high, in small samples altogether above the truth. Mirrored at the value they do not: the basic
    interval, Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 5.2. How
    often both hold the truth: ``benchmarks/calibration_interval.py``. A truth of 0 neither holds as
    often as it should.

    Returns:
        As ``interval``; no border is below 0, and the value may lie above both.
    """
    percentiles = interval(value, draws)
    low, high = (max(0.0, 2.0 * value - end) for end in (percentiles.high, percentiles.low))
    if np.isnan(percentiles.low):
        return percentiles
    return Estimate(value, low, high, percentiles.resamples)
