"""Simulated binary crossover (SBX).

Source: Deb and Agrawal, "Simulated binary crossover for continuous search space", Complex Systems
9 (1995), section 4: the spread factor and the children it makes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dermassist.tuning.memetic.argument import check_above_zero, check_fraction
from dermassist.tuning.memetic.crossover import exchanged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dermassist.tuning.memetic.encoding import Point


@dataclass(frozen=True)
class SimulatedBinaryCrossover:
    """Place children around the parents as one-point crossover of binary strings would.

    Args:
        probability: how often a child has two parents, 0 to 1.
        eta: distribution index above 0; a larger one keeps children nearer to their parents.

    Raises:
        ValueError: an argument is out of its range.
    """

    probability: float = 0.9
    eta: float = 2.0

    def __post_init__(self) -> None:
        check_fraction("probability", self.probability)
        check_above_zero("eta", self.eta, at_most=math.inf)

    def spread(self, first: Point, second: Point, chance: Point) -> tuple[Point, Point]:
        """Return both children, each of shape (d,), whose mean is the parents' mean.

        Args:
            first: a parent, shape (d,).
            second: the other parent, shape (d,).
            chance: uniform numbers in [0, 1), shape (d,), that set the spread factors.
        """
        contracting = (2.0 * chance) ** (1.0 / (self.eta + 1.0))
        expanding = (1.0 / (2.0 * (1.0 - chance))) ** (1.0 / (self.eta + 1.0))
        factor = np.where(chance <= 0.5, contracting, expanding)
        middle, half = (first + second) / 2.0, (first - second) / 2.0
        return middle + factor * half, middle - factor * half

    def child(
        self, first: Point, second: Point, *, ordered: NDArray[np.bool_], rng: np.random.Generator
    ) -> Point:
        """Return one child, shape (d,).

        As in the paper, each coordinate is crossed with probability 0.5 and kept otherwise;
        coordinates without an order are exchanged like those of uniform crossover.
        """
        near, far = self.spread(first, second, rng.random(first.size))
        crossed = ordered & (rng.random(first.size) < 0.5)
        near, far = np.where(crossed, near, first), np.where(crossed, far, second)
        return exchanged(near, far, rng.random(first.size) < 0.5)
