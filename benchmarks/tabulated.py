"""Made-up tables of the kind that hyperparameter grids give: coarse, noisy, with flat parts.

A table is drawn from its name alone. It has 4 to 6 parameters with 2 to 7 levels each, 150 to
3,000 points in all. Each parameter has a weight (a few matter much, others hardly) and a shape: a
bowl, a bowl that breaks off steeply on one side, a gain that saturates, or nothing at all; up to
two have no order, so that each level has a value of its own. The place of an optimum may depend
on another parameter's level. The sum is squashed, so that all bad points are about equally bad,
and every point gets a noise that stays with it, from hardly any to a third of the spread.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.functions import Problem
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

if TYPE_CHECKING:
    from benchmarks.functions import Params
    from numpy.typing import NDArray

    Grid = NDArray[np.float64]

_FEWEST_POINTS, _MOST_POINTS = 150, 3000
_SHAPES = ("bowl", "cliff", "saturating", "flat")
_SHAPE_SHARES = (0.4, 0.25, 0.2, 0.15)
#: Standard deviation of the noise as a share of the noiseless table's.
_NOISES = (0.03, 0.1, 0.2, 0.33)


def tabulated(name: str) -> Problem:
    """Return the search for the lowest value, 0, of the table with this name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    levels = _levels(rng)
    ordered = np.ones(levels.size, dtype=np.bool_)
    ordered[rng.permutation(levels.size)[: rng.integers(3)]] = False
    cost = _squashed(_total(_places(rng, levels, ordered), ordered, rng), rng)
    cost += rng.choice(_NOISES) * cost.std() * rng.standard_normal(cost.shape)
    cost -= cost.min()

    def value(params: Params) -> float:
        return float(cost[tuple(params[f"p{axis}"] for axis in range(levels.size))])

    def own(axis: int) -> BaseDistribution:
        count = int(levels[axis])
        return (
            IntDistribution(0, count - 1)
            if ordered[axis]
            else CategoricalDistribution(tuple(range(count)))
        )

    return Problem(name, "mixed", {f"p{axis}": own(axis) for axis in range(levels.size)}, value)


def _levels(rng: np.random.Generator) -> NDArray[np.int64]:
    while True:
        levels = rng.integers(2, 8, size=rng.integers(4, 7))
        if _FEWEST_POINTS <= levels.prod() <= _MOST_POINTS:
            return levels


def _places(
    rng: np.random.Generator, levels: NDArray[np.int64], ordered: NDArray[np.bool_]
) -> list[Grid]:
    """Return each axis' coordinate in [0, 1] at every point, each of shape ``levels``."""
    axes = [
        np.linspace(0.0, 1.0, count) if has_order else rng.random(count)
        for count, has_order in zip(levels, ordered, strict=True)
    ]
    return list(np.meshgrid(*axes, indexing="ij"))


def _total(places: list[Grid], ordered: NDArray[np.bool_], rng: np.random.Generator) -> Grid:
    """Return the sum of the parameters' costs, standardised over the table."""
    size = len(places)
    total = np.zeros_like(places[0])
    for axis, place in enumerate(places):
        other = places[(axis + rng.integers(1, size)) % size]
        drift = rng.choice((0.0, rng.uniform(-0.8, 0.8))) * (other - 0.5)
        shape = rng.choice(_SHAPES, p=_SHAPE_SHARES) if ordered[axis] else "bowl"
        cost = _cost(shape, place - drift, rng)
        total += rng.lognormal(0.0, 1.0) * cost / max(cost.std(), 1e-9)
    standardised: Grid = (total - total.min()) / total.std()
    return standardised


def _cost(shape: str, place: Grid, rng: np.random.Generator) -> Grid:
    off = place - rng.uniform(0.0, 1.0)
    if rng.random() < 0.5:
        off = -off
    match shape:
        case "bowl":
            return off**2
        case "cliff":
            return off**2 + 4.0 * np.maximum(off - 0.15, 0.0)
        case "saturating":
            return np.exp(-3.0 * off)
        case _:
            return np.zeros_like(off)


def _squashed(cost: Grid, rng: np.random.Generator) -> Grid:
    """Return costs below 1 of which the bad ones hardly differ."""
    squashed: Grid = 1.0 - np.exp(-rng.uniform(0.2, 1.0) * cost)
    return squashed
