"""What a crossover is: two points in, one child out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dermassist.tuning.memetic.encoding import Point


class Crossover(Protocol):
    """Makes a child of two points."""

    @property
    def probability(self) -> float:
        """Return the probability, 0 to 1, that a child is made of two parents."""
        ...

    def child(
        self, first: Point, second: Point, *, ordered: NDArray[np.bool_], rng: np.random.Generator
    ) -> Point:
        """Return one child, shape (d,); it may leave the cube, which the caller clips.

        Args:
            first: a parent in the unit cube, shape (d,).
            second: the other parent, shape (d,).
            ordered: which axes have an order, shape (d,); the others only exchange values.
            rng: the source of chance.
        """
        ...


def exchanged(first: Point, second: Point, take_second: NDArray[np.bool_]) -> Point:
    """Return ``first`` with the coordinates of ``second`` where the mask, shape (d,), is true."""
    return np.where(take_second, second, first)
