"""Who lives: one member a line of descent, the best of whatever its climb has reached.

A line begins with an individual that was born (a first point, a child, or a trial of another
origin). A move that improves on its line takes the line's place in the population at once: what an
individual learns it passes on (Lamarckian evolution). Moves that fail leave no trace here.
Sources: Moscato, "On evolution, search, optimization, genetic algorithms and martial arts",
Caltech Concurrent Computation Program, report 826 (1989); elitism: De Jong, "An analysis of the
behavior of a class of genetic adaptive systems", thesis, University of Michigan (1975).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dermassist.tuning.memetic.encoding import Point
    from dermassist.tuning.memetic.plan import Move


@dataclass(frozen=True)
class Individual:
    """A finished trial: its number, point in the unit cube (shape (d,)) and cost.

    Attributes:
        move: the step of a climb that it was, if it was one.
        reach: length of the first step of a climb from here; None where nothing is known of it.
    """

    number: int
    point: Point
    cost: float
    move: Move | None = None
    reach: float | None = None

    @property
    def rank(self) -> tuple[float, int]:
        """Return what sorts individuals best first: the lower cost, then the older trial."""
        return self.cost, self.number


class Population:
    """Every line of descent, sorted by its best individual."""

    def __init__(self) -> None:
        self._individuals: dict[int, Individual] = {}
        #: Ranks of every individual, failed moves included, best first.
        self._all_ranks: list[tuple[float, int]] = []
        self._root_of: dict[int, int] = {}
        self._ranks: list[tuple[float, int]] = []
        self._best_of: dict[int, Individual] = {}

    def __len__(self) -> int:
        return len(self._ranks)

    def __getitem__(self, number: int) -> Individual:
        return self._individuals[number]

    def __contains__(self, number: int) -> bool:
        return number in self._individuals

    @property
    def finished(self) -> int:
        """Return how many trials there are, failed moves included."""
        return len(self._individuals)

    def best_trials(self, count: int) -> list[Individual]:
        """Return the best finished trials, failed moves included, at most ``count``, best first."""
        return [self._individuals[number] for _, number in self._all_ranks[:count]]

    def add(self, individual: Individual) -> None:
        """Let an individual found a line or, if it is a move and better, lead its line."""
        self._individuals[individual.number] = individual
        insort(self._all_ranks, individual.rank)
        root = self._line_of(individual)
        leader = self._best_of.get(root)
        if leader is not None:
            if individual.rank >= leader.rank:
                return
            del self._ranks[bisect_left(self._ranks, leader.rank)]
        self._best_of[root] = individual
        self._root_of[individual.number] = root
        insort(self._ranks, individual.rank)

    def best(self, count: int) -> list[Individual]:
        """Return the leaders of the best lines, at most ``count``, best first."""
        return [self._individuals[number] for _, number in self._ranks[:count]]

    def root_of(self, leader: Individual) -> int:
        """Return the trial number with which the line of a leader began."""
        return self._root_of[leader.number]

    def _line_of(self, individual: Individual) -> int:
        if individual.move is not None and individual.move.root in self._best_of:
            return individual.move.root
        return individual.number
