"""The memetic sampler as Optuna sees it: it reads the study, plans a trial and leaves a note."""

from __future__ import annotations

import logging
import secrets
import threading
from typing import TYPE_CHECKING, Any

from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from dermassist.tuning.memetic.argument import check_count
from dermassist.tuning.memetic.design import Chance, stratified
from dermassist.tuning.memetic.encoding import dimension_of
from dermassist.tuning.memetic.local_search import PatternSearch
from dermassist.tuning.memetic.mutation import PolynomialMutation
from dermassist.tuning.memetic.record import Memories, read_trials, write_plan
from dermassist.tuning.memetic.sbx import SimulatedBinaryCrossover
from dermassist.tuning.memetic.selection import TournamentSelection
from dermassist.tuning.memetic.strategy import Strategy

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from dermassist.tuning.memetic.crossover import Crossover
    from dermassist.tuning.memetic.ledger import Ledger
    from dermassist.tuning.memetic.plan import Plan

_log = logging.getLogger(__name__)

_SELECTION = TournamentSelection()
_CROSSOVER = SimulatedBinaryCrossover()
_MUTATION = PolynomialMutation()
_LOCAL_SEARCH = PatternSearch()
#: Points a process gives up because another one has planned them too, before it keeps one all the
#: same. Second attempts are children, which meet by chance only, so even where two points are left
#: for two processes this many meetings in a row do not happen.
_ATTEMPTS = 64


class MemeticSampler(BaseSampler):
    """A genetic search whose best members are refined by hill climbing, for one objective.

    It searches floats (linear, logarithmic, stepped), integers and categories. All its state is in
    the study's storage: a search can be stopped, killed and resumed, and any number of processes
    can work on it. A point that has been tried is not tried again unless the space is finite and
    exhausted. With the same seed and one process a search repeats exactly, also across restarts.
    Parameters that not every complete trial has had, as in conditional spaces, are drawn at
    random, which is logged as a warning. Pruned trials keep their point from being tried again but
    have no offspring. Constraints (``Trial.set_constraint``) are not considered.

    Source: Moscato (1989), Caltech Concurrent Computation Program, report 826; the operators name
    their own.

    Args:
        population_size: number of first points and of parents, at least 2.
        selection: how parents are chosen.
        crossover: how two parents make a child.
        mutation: how a child is changed.
        local_search: how the best are refined; None for a plain genetic search.
        seed: an integer of at least 0; None draws one.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        *,
        population_size: int = 10,
        selection: TournamentSelection = _SELECTION,
        crossover: Crossover = _CROSSOVER,
        mutation: PolynomialMutation = _MUTATION,
        local_search: PatternSearch | None = _LOCAL_SEARCH,
        seed: int | None = None,
    ) -> None:
        check_count("population_size", population_size, at_least=2)
        if seed is not None:
            check_count("seed", seed, at_least=0)
        self._strategy = Strategy(population_size, selection, crossover, mutation, local_search)
        # drawn when first needed, where there is no seed
        self._chance = None if seed is None else Chance(int(seed), int(seed))
        self._memories = Memories()
        self._drawn_at_random: set[str] = set()
        self._lock = _new_lock()

    def reseed_rng(self) -> None:
        """Forget the seed: from now on chance is drawn anew.

        Which stratum each of the first points gets stays: Optuna calls this before every trial that
        runs beside others in threads, and those points are to fit together.
        """
        self._chance = Chance(_drawn_entropy(), self._drawn.design)

    def infer_relative_search_space(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002 - part of Optuna's interface
    ) -> dict[str, BaseDistribution]:
        """Return the parameters that every complete trial of the study has had."""
        with self._lock:
            return self._memories.of(study).shared_space(study)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the parameters of the next point, once no other process has taken it.

        Raises:
            ValueError: the study has more than one objective.
        """
        _refuse_many_objectives(study)
        if not search_space:
            return {}
        with self._lock:
            ledger = self._memories.of(study).ledger(study, search_space)
            plan = self._claim(study, trial, ledger)
        items = search_space.items()
        return {name: each.to_external_repr(plan.values[name]) for name, each in items}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return a value of one parameter on its own: of the first design, later at random.

        Raises:
            ValueError: the study has more than one objective.
        """
        _refuse_many_objectives(study)
        self._warn_of_chance(study, trial, param_name)
        rows = self._strategy.population_size
        coordinate = stratified(param_name, row=trial.number, rows=rows, chance=self._drawn)
        return dimension_of(param_distribution).from_unit(coordinate)

    def _warn_of_chance(self, study: Study, trial: FrozenTrial, param_name: str) -> None:
        """Say once of a parameter that it is not searched, which nobody would see otherwise."""
        with self._lock:
            if param_name in self._drawn_at_random or not _begun_after_another(study, trial):
                return
            self._drawn_at_random.add(param_name)
        _log.warning(
            "%s is drawn at random from trial %d on, because not every complete trial has it with "
            "this range",
            param_name,
            trial.number,
        )

    def _claim(self, study: Study, trial: FrozenTrial, ledger: Ledger) -> Plan:
        """Plan a point and announce it; give it up if somebody else has announced it as well.

        Two processes that plan at once may both give up, but never both keep the same point:
        each announces before it looks, so at least one of them sees the other, perhaps already
        with its result. Only once a finite space is exhausted are points planned that are known.
        """
        number = trial.number
        ledger.update(read_trials(study), own_number=number)
        for attempt in range(_ATTEMPTS):
            plan = self._strategy.next_plan(
                ledger, number=number, chance=self._drawn, attempt=attempt
            )
            exhausted = ledger.repeats(plan)
            write_plan(study, trial, plan)
            ledger.update(read_trials(study), own_number=number)
            if exhausted or not ledger.repeats(plan):
                break
        return plan

    @property
    def _drawn(self) -> Chance:
        """Return what chance follows from; all threads that ask first get the same."""
        with self._lock:
            if self._chance is None:
                entropy = _drawn_entropy()
                self._chance = Chance(entropy, entropy)
            return self._chance

    def __getstate__(self) -> dict[str, Any]:
        kept = self.__dict__.copy()
        del kept["_lock"], kept["_memories"]
        return kept

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._memories = Memories()
        self._lock = _new_lock()


def _begun_after_another(study: Study, trial: FrozenTrial) -> bool:
    """Tell whether any trial was complete when this one began."""
    begun = trial.datetime_start
    return begun is not None and any(
        each.state == TrialState.COMPLETE
        and each.datetime_complete is not None
        and each.datetime_complete <= begun
        for each in read_trials(study)
    )


def _new_lock() -> threading.RLock:
    """Return a lock that its own thread may take again: who claims a point asks for chance too."""
    return threading.RLock()


def _drawn_entropy() -> int:
    return secrets.randbits(63)


def _refuse_many_objectives(study: Study) -> None:
    if len(study.directions) > 1:
        raise ValueError(
            f"MemeticSampler searches for one objective, but this study has "
            f"{len(study.directions)}: use optuna.samplers.NSGAIISampler"
        )
