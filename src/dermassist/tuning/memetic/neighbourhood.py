"""The neighbours of points on a coarse grid: one level away along one axis, or along two.

Source: Mladenovic and Hansen, "Variable neighborhood search", Computers and Operations Research 24
(1997): where the nearest neighbours promise nothing, those one change farther away are looked at.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, product
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dermassist.tuning.memetic.encoding import SearchSpace

    Points = NDArray[np.float64]
    Cells = NDArray[np.int64]

#: Along how many axes neighbours differ, nearest first.
CHANGES = (1, 2)


class Neighbours(NamedTuple):
    """Points beside others.

    Attributes:
        points: coordinates in the unit cube, shape (k, d), each in the middle of a cell.
        origins: row of the point that each lies beside, shape (k,).
        changed: whether it differs from that one along each axis, shape (k, d).
    """

    points: Points
    origins: Cells
    changed: NDArray[np.bool_]


def neighbours_each(space: SearchSpace, *, changes: int) -> int:
    """Return how many neighbours a point has at most, as ``neighbours`` counts them."""
    ways = [
        2 if has_order else (each.cells or 1) - 1
        for each, has_order in zip(space.dimensions, space.ordered.tolist(), strict=True)
    ]
    return sum(prod(of_axes) for of_axes in combinations(ways, changes))


def neighbours(points: Points, space: SearchSpace, *, changes: int) -> Neighbours:
    """Return all points that differ from one of the given ones along exactly ``changes`` axes.

    Args:
        points: coordinates in the unit cube, shape (m, d), each in the middle of a cell.
        space: finite along every axis.
        changes: how many axes differ, at least 1. Along an axis with an order a neighbour is one
            level up or down; every other category is one as well.
    """
    levels = [
        np.array([each.middle(cell) for cell in range(each.cells or 1)])
        for each in space.dimensions
    ]
    counts = np.array([level.size for level in levels])
    here = np.stack(
        [np.searchsorted(level, points[:, axis]) for axis, level in enumerate(levels)], axis=1
    )
    shifts = _shifts(tuple(counts.tolist()), tuple(space.ordered.tolist()), changes)
    there = here[:, None, :] + shifts  # (m, s, d)
    there = np.where(space.ordered, there, there % counts)
    inside = ((there >= 0) & (there < counts)).all(axis=2)
    origins, kinds = np.nonzero(inside)
    cells = there[inside]
    found = np.stack([level[cells[:, axis]] for axis, level in enumerate(levels)], axis=1)
    return Neighbours(found, origins, shifts[kinds] != 0)


@lru_cache(maxsize=8)
def _shifts(counts: tuple[int, ...], ordered: tuple[bool, ...], changes: int) -> Cells:
    """Return by how many cells neighbours differ, shape (s, d); categories go round."""
    ways = [
        (-1, 1) if has_order else range(1, count)
        for count, has_order in zip(counts, ordered, strict=True)
    ]
    rows = [
        np.bincount(axes, weights=shift, minlength=len(counts))
        for axes in combinations(range(len(counts)), changes)
        for shift in product(*(ways[axis] for axis in axes))
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, len(counts))
