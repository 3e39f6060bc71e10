"""Polynomial mutation.

Source: Deb and Goyal, "A combined genetic adaptive search (GeneAS) for engineering design",
Computer Science and Informatics 26 (1996); in the form that stays within the bounds, which Deb's
published NSGA-II program uses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dermassist.tuning.memetic.argument import check_above_zero, check_fraction

if TYPE_CHECKING:
    from dermassist.tuning.memetic.encoding import Point, SearchSpace


@dataclass(frozen=True)
class PolynomialMutation:
    """Move some coordinates a little, seldom far; a category becomes any other one.

    Where a parameter has few levels, most moves end within the level that they begin on and change
    nothing. Making them one level at least was worse (``benchmarks/pilot.py``).

    Args:
        probability: how often a coordinate mutates, 0 to 1; None stands for 1/d, and for 1/2 of a
            single coordinate, which would else never be its parents'.
        eta: distribution index above 0; a larger one makes smaller changes.

    Raises:
        ValueError: an argument is out of its range.
    """

    probability: float | None = None
    eta: float = 20.0

    def __post_init__(self) -> None:
        if self.probability is not None:
            check_fraction("probability", self.probability)
        check_above_zero("eta", self.eta, at_most=math.inf)

    def mutant(self, point: Point, *, space: SearchSpace, rng: np.random.Generator) -> Point:
        """Return a changed copy of a point of the unit cube, shape (d,), still within the cube."""
        rate = 1.0 / max(point.size, 2) if self.probability is None else self.probability
        chosen = rng.random(point.size) < rate
        changed = point + self.shift(point, rng.random(point.size))
        for axis in np.flatnonzero(chosen & ~space.ordered):
            changed[axis] = _another_cell(point[axis], space.dimensions[axis].cells or 1, rng)
        return np.clip(np.where(chosen, changed, point), 0.0, 1.0)

    def shift(self, point: Point, chance: Point) -> Point:
        """Return how far each coordinate moves, shape (d,), so that none leaves [0, 1].

        Args:
            point: coordinates in [0, 1], shape (d,).
            chance: uniform numbers in [0, 1), shape (d,); 0.5 is no move, 0 goes to the lower
                and 1 to the upper bound.
        """
        power = self.eta + 1.0
        down = 2.0 * chance + (1.0 - 2.0 * chance) * (1.0 - point) ** power
        up = 2.0 * (1.0 - chance) + (2.0 * chance - 1.0) * point**power
        lower = np.maximum(down, 0.0) ** (1.0 / power) - 1.0
        upper = 1.0 - np.maximum(up, 0.0) ** (1.0 / power)
        return np.where(chance < 0.5, lower, upper)


def _another_cell(coordinate: float, cells: int, rng: np.random.Generator) -> float:
    current = min(math.floor(coordinate * cells), cells - 1)
    other = (current + int(rng.integers(1, max(cells, 2)))) % cells
    return (other + 0.5) / cells
