"""What the trials of a study add up to, read from its storage a few new trials at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from optuna.trial import TrialState

from dermassist.tuning.memetic.plan import Plan, plan_of
from dermassist.tuning.memetic.population import Individual, Population

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.trial import FrozenTrial

    from dermassist.tuning.memetic.encoding import Key, SearchSpace

#: Optuna's name of the system attribute that holds a queued point (``Study.enqueue_trial``).
_QUEUED_KEY = "fixed_params"


class FinishedPoints:
    """Points of finished trials, and whether another trial there would be the same.

    In a conditional space it may not be: trials have parameters besides those that all share, and
    where these differ, a point of the shared ones is not tried with one trial.
    """

    def __init__(self) -> None:
        self._alone: set[Key] = set()
        self._with_others: set[Key] = set()
        self._others: dict[str, Any] | None = None
        #: Whether parameters outside of the search space differ between trials.
        self.others_differ = False

    def add(self, key: Key, others: dict[str, Any]) -> None:
        """Add the point of a trial that had these other parameters."""
        (self._with_others if others else self._alone).add(key)
        self.others_differ |= self._others not in (None, others)
        self._others = others

    def __contains__(self, key: Key) -> bool:
        return key in self._alone or (not self.others_differ and key in self._with_others)

    def seen(self, key: Key) -> bool:
        """Tell whether any trial was at a point, whatever its other parameters."""
        return key in self._alone or key in self._with_others

    def union(self, keys: set[Key]) -> set[Key]:
        """Return these keys and those that this holds."""
        return keys | self._alone | (set() if self.others_differ else self._with_others)


@dataclass
class Tally:
    """Points and plans of some trials: those that are finished, or those that are not."""

    #: Trials by generation and, for moves, the root they climb from; None for births.
    slots: Counter[tuple[int, int | None]] = field(default_factory=Counter)
    #: Moves by generation.
    moves: Counter[int] = field(default_factory=Counter)
    generation: int = 0
    trials: int = 0

    def count(self, plan: Plan | None) -> None:
        """Count a trial that takes a slot of its generation."""
        self.trials += 1
        if plan is not None:
            root = plan.move.root if plan.move is not None else None
            self.slots[plan.generation, root] += 1
            self.moves[plan.generation] += plan.move is not None
            self.generation = max(self.generation, plan.generation)


class Ledger:
    """The population, the points tried and the slots taken, within one search space.

    Finished trials never change and are read once. Running and waiting ones are read anew each
    time; they take their slot and their point from the moment they are planned, so one that died
    with its process blocks nobody.
    """

    def __init__(self, space: SearchSpace, *, sign: float) -> None:
        self.space = space
        self.population = Population()
        #: Trials from which every move has been tried; so it stays, hence this is only a memory.
        self.summits: set[int] = set()
        self._sign = sign
        self._finished = Tally()
        self._pending = Tally()
        self._points = FinishedPoints()
        self._pending_keys: set[Key] = set()
        self._open: list[int] = []
        self._seen = 0

    def update(self, trials: Sequence[FrozenTrial], *, own_number: int) -> None:
        """Read what is new among all trials of the study; the asking trial does not count."""
        to_read = [*self._open, *range(self._seen, len(trials))]
        self._open, self._pending, self._seen = [], Tally(), len(trials)
        self._pending_keys = set()
        for position in to_read:
            trial = trials[position]
            if trial.state.is_finished():
                self._close(trial)
                continue
            self._open.append(position)
            if trial.number != own_number:
                self._note_pending(trial)

    @property
    def generation(self) -> int:
        """Return the newest generation of which a trial has been planned."""
        return max(self._finished.generation, self._pending.generation)

    @property
    def started(self) -> int:
        """Return how many trials have a place in the search: planned, running or not failed."""
        return self._finished.trials + self._pending.trials

    def slots(self, generation: int, *, root: int | None) -> int:
        """Return how many trials of a generation are births (None) or moves of one root."""
        slot = (generation, root)
        return self._finished.slots[slot] + self._pending.slots[slot]

    def moves(self, generation: int) -> int:
        """Return how many trials of a generation are moves, from whatever root."""
        return self._finished.moves[generation] + self._pending.moves[generation]

    def tried(self, key: Key) -> bool:
        """Tell whether a point is finished, in whatever state, or being tried."""
        return key in self._points or key in self._taken

    def seen(self, key: Key) -> bool:
        """Tell whether a trial is or was at a point, whatever its parameters outside the space."""
        return self._points.seen(key) or key in self._pending_keys

    def repeats(self, plan: Plan) -> bool:
        """Tell whether a planned point is finished or being tried by others."""
        key = self._planned_key(plan)
        return key is not None and self.tried(key)

    @property
    def points_tried(self) -> int:
        """Return how many different points are finished or being tried."""
        return len(self._points.union(self._taken))

    @property
    def exhausted(self) -> bool:
        """Tell whether every point of a finite space is finished or being tried."""
        return self.points_tried >= self.space.number_of_points

    @property
    def _taken(self) -> set[Key]:
        """Return the points of open trials, unless parameters beside them may still differ."""
        return set() if self._points.others_differ else self._pending_keys

    def _close(self, trial: FrozenTrial) -> None:
        if not self.space.holds(trial.distributions):
            return
        key = self.space.key(trial.params)
        shared = self.space.distributions
        others = {name: value for name, value in trial.params.items() if name not in shared}
        self._points.add(key, others)
        if trial.state == TrialState.FAIL:
            return
        plan = plan_of(trial)
        self._finished.count(plan)
        if trial.state == TrialState.COMPLETE and trial.value is not None:
            self.population.add(self._individual(trial, trial.value, plan, key))

    def _individual(
        self, trial: FrozenTrial, value: float, plan: Plan | None, key: Key
    ) -> Individual:
        point, cost = self.space.encode(trial.params), self._sign * value
        if plan is None or self._planned_key(plan) != key:
            # a person or another sampler has set some of its parameters
            return Individual(trial.number, point, cost)
        reach = plan.reach if plan.move is None else plan.move.step
        return Individual(trial.number, point, cost, plan.move, reach)

    def _note_pending(self, trial: FrozenTrial) -> None:
        plan = plan_of(trial)
        self._pending.count(plan)
        queued = trial.system_attrs.get(_QUEUED_KEY, {})
        if self.space.holds(trial.distributions):
            self._pending_keys.add(self.space.key(trial.params))
        elif queued.keys() >= self.space.distributions.keys():
            self._pending_keys.add(self.space.key(queued))
        elif plan is not None and (key := self._planned_key(plan)) is not None:
            self._pending_keys.add(key)

    def _planned_key(self, plan: Plan) -> Key | None:
        """Return the key of a planned point, or None if it was planned in another space."""
        if not plan.values.keys() >= self.space.distributions.keys():
            return None
        each = self.space.distributions.items()
        return self.space.key({name: own.to_external_repr(plan.values[name]) for name, own in each})
