"""Which point comes next: a first point, a child, or a move of a climb.

Source: Moscato, "On evolution, search, optimization, genetic algorithms and martial arts",
Caltech Concurrent Computation Program, report 826 (1989): a genetic search whose individuals are
improved by local search in each generation. A generation here is an order of work, not a barrier:
a result counts as soon as it is there, so no process waits for another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dermassist.tuning.memetic.design import stratified
from dermassist.tuning.memetic.estimate import Estimate, worth_asking
from dermassist.tuning.memetic.local_search import Climb
from dermassist.tuning.memetic.neighbourhood import CHANGES, neighbours, neighbours_each
from dermassist.tuning.memetic.plan import Move, Origin, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dermassist.tuning.memetic.crossover import Crossover
    from dermassist.tuning.memetic.design import Chance
    from dermassist.tuning.memetic.encoding import Point, SearchSpace
    from dermassist.tuning.memetic.ledger import Ledger
    from dermassist.tuning.memetic.local_search import PatternSearch
    from dermassist.tuning.memetic.mutation import PolynomialMutation
    from dermassist.tuning.memetic.population import Individual, Population
    from dermassist.tuning.memetic.selection import TournamentSelection

#: How many children or random points are drawn before a new one is looked for systematically.
_DRAWS = 20
#: Neighbours that are looked at for one move: what takes some milliseconds. Categories with many
#: choices, which are all each other's neighbours, would have a hundred times as many.
_MOST_NEIGHBOURS = 10_000


@dataclass(frozen=True)
class Strategy:
    """The rules of the search; ``local_search`` is None for a plain genetic search."""

    population_size: int
    selection: TournamentSelection
    crossover: Crossover
    mutation: PolynomialMutation
    local_search: PatternSearch | None

    def next_plan(self, ledger: Ledger, *, number: int, chance: Chance, attempt: int) -> Plan:
        """Return what trial ``number`` should try.

        Args:
            ledger: all that is known.
            number: the trial's number; with the seed it determines every choice of chance.
            chance: what chance follows from.
            attempt: counted up when another process has planned the point of the last attempt too.

        A second attempt is a child even where a move was due. Moves follow from what is known, so
        two processes that know the same would meet at the next move as well, and again after it;
        children follow from the trial's number. The move stays open for the next trial.
        """
        rng = np.random.default_rng([chance.entropy, number, attempt])
        if ledger.started < self.population_size or len(ledger.population) < 2:
            return self._start(ledger, number=number, chance=chance, rng=rng)
        generation = max(ledger.generation, 1)
        if attempt or ledger.slots(generation, root=None) < self.births:
            return self._birth(ledger, generation, rng)
        return self._step(ledger, generation) or self._birth(ledger, generation + 1, rng)

    @property
    def births(self) -> int:
        """Return the number of children in a generation."""
        return max(self.population_size // 2, 1)

    def _start(
        self, ledger: Ledger, *, number: int, chance: Chance, rng: np.random.Generator
    ) -> Plan:
        rows = self.population_size
        names = ledger.space.names
        first = np.array([stratified(name, row=number, rows=rows, chance=chance) for name in names])
        point = first if _is_new(first, ledger) else _fresh(ledger, rng)
        return Plan(0, Origin.START, _internal(point, ledger.space))

    def _birth(self, ledger: Ledger, generation: int, rng: np.random.Generator) -> Plan:
        members = ledger.population.best(self.population_size)
        for _ in range(_DRAWS):
            first, second = (members[i] for i in self.selection.pick_pair(len(members), rng))
            child = self._child(first.point, second.point, ledger.space, rng)
            # Where nothing is new, another trial beside good ones tells more than one anywhere.
            if _is_new(child, ledger) or ledger.exhausted:
                return self._born(generation, child, (first, second), ledger.space)
        return Plan(generation, Origin.CHILD, _internal(_fresh(ledger, rng), ledger.space))

    def _born(
        self,
        generation: int,
        child: Point,
        parents: tuple[Individual, Individual],
        space: SearchSpace,
    ) -> Plan:
        reach = None
        if self.local_search is not None:
            reach = self.local_search.reach(*(parent.point for parent in parents), space=space)
        numbers = tuple(parent.number for parent in parents)
        return Plan(generation, Origin.CHILD, _internal(child, space), numbers, reach)

    def _child(
        self, first: Point, second: Point, space: SearchSpace, rng: np.random.Generator
    ) -> Point:
        child = first
        if rng.random() < self.crossover.probability:
            child = self.crossover.child(first, second, ordered=space.ordered, rng=rng)
        return self.mutation.mutant(np.clip(child, 0.0, 1.0), space=space, rng=rng)

    def _step(self, ledger: Ledger, generation: int) -> Plan | None:
        """Return the next move of the best line that has one left, or None if none has.

        A line that has had its moves of this generation is one of the elites; a line whose climb
        is over is not, and the next best one is climbed instead.
        """
        search, people = self.local_search, ledger.population
        if search is None:
            return None
        if search.guides(ledger.space) and self._surveys(ledger.space, changes=1):
            return self._guided_step(ledger, generation, search)
        budget, elites = search.moves or ledger.space.size, 0
        for base in people.best(self.population_size):
            if ledger.slots(generation, root=people.root_of(base)) >= budget:
                elites += 1
            elif (plan := self._move(ledger, generation, base)) is not None:
                return plan
            if elites == search.elites:
                return None
        return None

    def _move(self, ledger: Ledger, generation: int, base: Individual) -> Plan | None:
        """Return the next move from ``base`` that nobody has tried, or None at a summit."""
        if self.local_search is None or base.number in ledger.summits:
            return None
        climb = climb_of(base, ledger.population)
        moves = self.local_search.candidates(climb, ledger.space)
        chosen = next((each for each in moves if _is_unseen(each[0], ledger)), None)
        if chosen is None:
            ledger.summits.add(base.number)
            return None
        point, move = chosen
        return Plan(generation, Origin.MOVE, _internal(point, ledger.space), move=move)

    def _surveys(self, space: SearchSpace, *, changes: int) -> bool:
        """Tell whether all members' neighbours are few enough to be looked at for every move."""
        return self.population_size * neighbours_each(space, changes=changes) <= _MOST_NEIGHBOURS

    def _guided_step(self, ledger: Ledger, generation: int, search: PatternSearch) -> Plan | None:
        """Return the move that the finished trials favour among all members' neighbours.

        None once the generation has had its moves, or where no member has a new neighbour.
        """
        people, space = ledger.population, ledger.space
        if ledger.moves(generation) >= search.elites * (search.moves or space.size):
            return None
        guess = Estimate(people.best_trials(worth_asking(people.finished)), ordered=space.ordered)
        members = people.best(self.population_size)
        favoured: _Favourite | None = None
        for changes in CHANGES:
            if not self._surveys(ledger.space, changes=changes):
                break
            near = _favourite(members, ledger, guess, changes=changes)
            if near is not None and (favoured is None or near.cost < favoured.cost):
                favoured = near
            if favoured is not None and favoured.cost < round(guess.lowest, 9):
                break
        if favoured is None:
            return None
        base, axes = favoured.base.number, favoured.axes
        axis = space.names[axes[0]] if len(axes) == 1 else None
        move = Move(people.root_of(favoured.base), base, base, axis, search.first_step)
        return Plan(generation, Origin.MOVE, _internal(favoured.point, space), move=move)


class _Favourite(NamedTuple):
    """The point of which least is expected to be lost, and the axes that lead there."""

    cost: float
    point: Point
    base: Individual
    axes: tuple[int, ...]


def _favourite(
    members: Sequence[Individual], ledger: Ledger, guess: Estimate, *, changes: int
) -> _Favourite | None:
    """Return the members' most promising new neighbour, or None if all have been tried."""
    near = neighbours(np.array([each.point for each in members]), ledger.space, changes=changes)
    # on a grid a point is its own key, so nothing has to be decoded; one that several members are
    # beside counts as the best member's
    first: dict[tuple[float, ...], int] = {}
    for place, row in enumerate(near.points.tolist()):
        first.setdefault(tuple(row), place)
    new = [place for key, place in first.items() if not ledger.seen(key)]
    if not new:
        return None
    # rounded, so that among equals the order decides and not the last bit
    costs = guess.at(near.points[new]).round(9)
    place = int(np.argmin(costs))
    chosen = new[place]
    axes = tuple(np.flatnonzero(near.changed[chosen]).tolist())
    return _Favourite(float(costs[place]), near.points[chosen], members[near.origins[chosen]], axes)


def climb_of(base: Individual, people: Population) -> Climb:
    """Return where the climb stands whose best point so far is ``base``."""
    anchor = base.move.anchor if base.move is not None else base.number
    known = anchor if anchor in people else base.number
    return Climb(root=people[people.root_of(base)], base=base, anchor=people[known])


def _is_new(point: Point, ledger: Ledger) -> bool:
    return not ledger.tried(ledger.space.key(ledger.space.decode(point)))


def _is_unseen(point: Point, ledger: Ledger) -> bool:
    return not ledger.seen(ledger.space.key(ledger.space.decode(point)))


def _fresh(ledger: Ledger, rng: np.random.Generator) -> Point:
    """Return a random point that nobody has tried; any point once a finite space is exhausted."""
    space = ledger.space
    for _ in range(_DRAWS):
        point = rng.random(space.size)
        if _is_new(point, ledger):
            return point
    if ledger.exhausted:
        return point
    taken = ledger.points_tried
    start = int(rng.integers(int(min(space.number_of_points, 2**62))))
    # one of any taken + 1 different points is free
    return next(
        point for point in map(space.nth, range(start, start + taken + 1)) if _is_new(point, ledger)
    )


def _internal(point: Point, space: SearchSpace) -> dict[str, float]:
    """Return the values at a point in Optuna's internal representation."""
    values = space.decode(point).items()
    return {
        name: float(space.distributions[name].to_internal_repr(value)) for name, value in values
    }
