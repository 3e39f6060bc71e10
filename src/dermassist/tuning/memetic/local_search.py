"""Hill climbing by pattern search.

Source: Hooke and Jeeves, "'Direct search' solution of numerical and statistical problems", J ACM 8
(1961): exploratory moves along one axis after the other, a pattern move along the line that a
whole sweep has gained, and halved steps when a sweep gains nothing. Here every move is a trial of
its own, and which move comes next follows from the trials alone: it is the first one in the order
below that nobody has tried. So no process has to wait for another one's move, and none is lost.
On a coarse grid, where a sweep is short and steps cannot be halved, a guided search goes to the
neighbour that the trials favour instead (``neighbourhood.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dermassist.tuning.memetic.argument import check_above_zero, check_count
from dermassist.tuning.memetic.plan import Move

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dermassist.tuning.memetic.encoding import Point, SearchSpace
    from dermassist.tuning.memetic.population import Individual


@dataclass(frozen=True)
class Climb:
    """Where a line of descent stands: it was born at ``root`` and has got to ``base``.

    ``anchor`` is where the sweep that led to ``base`` began (``base`` itself outside any sweep).
    """

    root: Individual
    base: Individual
    anchor: Individual


@dataclass(frozen=True)
class PatternSearch:
    """Climb from the best members of the population.

    Args:
        elites: how many of the best lines that are not yet at a summit are climbed in each
            generation, at least 1.
        moves: trials that each of them gets a generation, at least 1; None stands for d, the
            number of parameters.
        first_step: length of a first exploratory move as a fraction of the range, up to 0.5. A
            climb from a child begins with half the distance of its parents instead, if shorter.
        last_step: length below which steps are not halved any further, up to ``first_step``.
        guided: whether, on a coarse grid, all members' neighbours compete for a generation's moves
            (``elites`` times ``moves``), rather than the axes of the best ones taking turns. The
            one that the finished trials favour is tried; where none of them promises more than
            the best trials, neighbours along two axes compete as well.

    Raises:
        ValueError: an argument is out of its range.
    """

    elites: int = 1
    moves: int | None = None
    first_step: float = 0.2
    last_step: float = 0.001
    guided: bool = True

    def __post_init__(self) -> None:
        check_count("elites", self.elites, at_least=1)
        if self.moves is not None:
            check_count("moves", self.moves, at_least=1)
        check_above_zero("first_step", self.first_step, at_most=0.5)
        check_above_zero("last_step", self.last_step, at_most=self.first_step)

    def guides(self, space: SearchSpace) -> bool:
        """Tell whether the trials are asked: even a first step is one level on every axis.

        Then a sweep is short, and the trials so far lie on the same levels as its points, so they
        tell them apart. Where steps can be halved, the order of Hooke and Jeeves, which gives each
        axis its turn, has done better (``benchmarks/pilot.py``).
        """
        return self.guided and all(
            not each.ordered or (each.cells is not None and each.cells * self.first_step < 1.5)
            for each in space.dimensions
        )

    def reach(self, first: Point, second: Point, *, space: SearchSpace) -> float:
        """Return the first step of a climb from a child: half its parents' greatest distance.

        So steps shrink with the population, and a child of two neighbours is not led far away.
        """
        apart = np.abs(first - second)[space.ordered].max(initial=0.0) / 2.0
        return float(min(max(apart, self.last_step), self.first_step))

    def candidates(self, climb: Climb, space: SearchSpace) -> Iterator[tuple[Point, Move]]:
        """Yield the moves of a climb in the order in which they are worth a trial.

        First the rest of the sweep that led here, then the pattern move, then whole sweeps with
        steps that are halved down to ``last_step``. Points have shape (d,) and lie in the cube.
        """
        step = climb.base.reach or self.first_step
        if climb.base.move is not None:
            rest = _axes_left(climb.base.move, space)
            yield from _exploration(climb, climb.anchor, space, axes=rest, step=step)
            yield _pattern_move(climb, space, step=step)
        while step >= self.last_step:
            yield from _exploration(climb, climb.base, space, axes=range(space.size), step=step)
            step /= 2.0


def _axes_left(move: Move, space: SearchSpace) -> range:
    """Return the axes that the sweep has still to explore after this move."""
    first = 0 if move.axis is None else space.names.index(move.axis) + 1
    return range(first, space.size)


def _exploration(
    climb: Climb, anchor: Individual, space: SearchSpace, *, axes: range, step: float
) -> Iterator[tuple[Point, Move]]:
    for axis in axes:
        move = Move(
            root=climb.root.number,
            base=climb.base.number,
            anchor=anchor.number,
            axis=space.names[axis],
            step=step,
        )
        for coordinate in _neighbours(climb, space, axis=axis, step=step):
            point = climb.base.point.copy()
            point[axis] = coordinate
            yield point, move


def _neighbours(climb: Climb, space: SearchSpace, *, axis: int, step: float) -> list[float]:
    """Return the other coordinates to try on one axis: both ways, or every other category."""
    dimension, here = space.dimensions[axis], float(climb.base.point[axis])
    if not dimension.ordered:
        cells = dimension.cells or 1
        return [(cell + 0.5) / cells for cell in range(cells) if cell != int(here * cells)]
    gained = here - float(climb.root.point[axis])
    # without a trend, the longer side of the range is the likelier one to hold the optimum
    way = np.copysign(step, gained if gained != 0.0 else 0.5 - here)
    ways = (dimension.moved(here, way), dimension.moved(here, -way))
    return [coordinate for coordinate in ways if coordinate != here]


def _pattern_move(climb: Climb, space: SearchSpace, *, step: float) -> tuple[Point, Move]:
    """Return the move that repeats what the sweep has gained; categories stay as they are."""
    base = climb.base
    ahead = np.where(space.ordered, 2.0 * base.point - climb.anchor.point, base.point)
    move = Move(root=climb.root.number, base=base.number, anchor=base.number, axis=None, step=step)
    return np.clip(ahead, 0.0, 1.0), move
