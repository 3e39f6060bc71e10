"""Uniform crossover.

Source: Syswerda, "Uniform crossover in genetic algorithms", Proc. 3rd International Conference on
Genetic Algorithms (1989).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dermassist.tuning.memetic.argument import check_fraction
from dermassist.tuning.memetic.crossover import exchanged

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dermassist.tuning.memetic.encoding import Point


@dataclass(frozen=True)
class UniformCrossover:
    """Take each coordinate from either parent.

    Args:
        probability: how often a child has two parents, 0 to 1.
        exchange: how often a coordinate is the second parent's, 0 to 1.

    Raises:
        ValueError: an argument is out of its range.
    """

    probability: float = 0.9
    exchange: float = 0.5

    def __post_init__(self) -> None:
        check_fraction("probability", self.probability)
        check_fraction("exchange", self.exchange)

    def child(
        self,
        first: Point,
        second: Point,
        *,
        ordered: NDArray[np.bool_],  # noqa: ARG002 - every axis is treated alike here
        rng: np.random.Generator,
    ) -> Point:
        """Return one child, shape (d,), each coordinate of which is a parent's."""
        return exchanged(first, second, rng.random(first.size) < self.exchange)
