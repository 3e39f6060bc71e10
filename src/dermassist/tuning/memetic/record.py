"""The one place that touches what Optuna keeps from samplers outside its own package."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from optuna.search_space import IntersectionSearchSpace
from optuna.study import StudyDirection

from dermassist.tuning.memetic.encoding import SearchSpace
from dermassist.tuning.memetic.ledger import Ledger
from dermassist.tuning.memetic.plan import PLAN_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna.distributions import BaseDistribution
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from dermassist.tuning.memetic.plan import Plan


def read_trials(study: Study) -> list[FrozenTrial]:
    """Return all trials of a study in the order of their numbers, not to be changed.

    It reads the storage itself, because a study that a Hyperband pruner hands to a sampler shows
    only the trials of one bracket, and a point of another bracket is not to be tried again either.
    """
    return study._storage.get_all_trials(study._study_id, deepcopy=False)  # noqa: SLF001 - see top


def write_plan(study: Study, trial: FrozenTrial, plan: Plan) -> None:
    """Leave the plan in the storage, where every other process sees it from now on."""
    study._storage.set_trial_system_attr(trial._trial_id, PLAN_KEY, plan.to_json())  # noqa: SLF001 - see top


class StudyMemory:
    """What a sampler remembers of one study, which is only ever a copy of what is stored."""

    def __init__(self) -> None:
        self._shared_space = IntersectionSearchSpace()
        self._ledger: Ledger | None = None

    def shared_space(self, study: Study) -> dict[str, BaseDistribution]:
        """Return the parameters with more than one value that every complete trial has had.

        A pruned one may have ended before it was given all of them.
        """
        every = self._shared_space.calculate(study)
        return {name: each for name, each in every.items() if not each.single()}

    def ledger(self, study: Study, distributions: Mapping[str, BaseDistribution]) -> Ledger:
        """Return the ledger of a search space, a new one where the space has changed."""
        if self._ledger is None or self._ledger.space.distributions != distributions:
            sign = -1.0 if study.direction == StudyDirection.MAXIMIZE else 1.0
            self._ledger = Ledger(SearchSpace(distributions), sign=sign)
        return self._ledger


class Memories:
    """The memories of the studies that a sampler has served, dropped with their storages."""

    def __init__(self) -> None:
        self._of: weakref.WeakKeyDictionary[BaseStorage, dict[int, StudyMemory]] = (
            weakref.WeakKeyDictionary()
        )

    def of(self, study: Study) -> StudyMemory:
        """Return the memory of a study, empty where it has not been served yet."""
        of_storage = self._of.setdefault(study._storage, {})  # noqa: SLF001 - see top
        return of_storage.setdefault(study._study_id, StudyMemory())  # noqa: SLF001 - see top
