"""The neighbours of a point on a coarse grid: one level away along one axis, or along two.

Source: Mladenovic and Hansen, "Variable neighborhood search", Computers and Operations Research 24
(1997): where the nearest neighbours promise nothing, those one change farther away are looked at.
"""

from __future__ import annotations

from itertools import combinations, product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dermassist.tuning.memetic.encoding import Point, SearchSpace

#: Along how many axes neighbours differ, nearest first.
CHANGES = (1, 2)


def neighbours(
    point: Point, space: SearchSpace, *, changes: int
) -> Iterator[tuple[Point, tuple[int, ...]]]:
    """Yield each point that differs along exactly ``changes`` axes, and those axes' numbers.

    Args:
        point: coordinates in the unit cube, shape (d,), each in the middle of a cell.
        space: finite along every axis.
        changes: how many axes differ, at least 1. Along an axis with an order a neighbour is one
            level up or down; every other category is one as well.
    """
    others = [_others(point, space, axis=axis) for axis in range(space.size)]
    for axes in combinations(range(space.size), changes):
        for coordinates in product(*(others[axis] for axis in axes)):
            neighbour = point.copy()
            neighbour[list(axes)] = coordinates
            yield neighbour, axes


def _others(point: Point, space: SearchSpace, *, axis: int) -> list[float]:
    """Return the coordinates on one axis that a neighbour may have instead."""
    dimension, here = space.dimensions[axis], float(point[axis])
    if dimension.ordered:
        ways = (dimension.moved(here, way) for way in (1e-9, -1e-9))
    else:
        ways = (dimension.middle(cell) for cell in range(dimension.cells or 1))
    return [coordinate for coordinate in ways if coordinate != here]
