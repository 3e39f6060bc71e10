"""What becomes of candidates whose training was cut off: their points are tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from optuna.storages import fail_stale_trials
from optuna.trial import TrialState

from dermassist.tuning.retry import (
    experiments_accepted,
    retry_after_death,
    retry_after_interruption,
)

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


def give_back_dead(study: Study, *, shared: bool) -> None:
    """Fail the running trials whose process is gone, and queue their points once more.

    Args:
        study: nobody of this command works on it yet.
        shared: others may; then only trials without a heartbeat for a while are dead.
    """
    if shared:
        with experiments_accepted():
            fail_stale_trials(study)
        return
    _give_back(study, None, retry_after_death)


def give_back_killer(study: Study, number: int) -> None:
    """Fail a trial whose process has died, and queue its point unless it has killed too many.

    Args:
        study: that has the trial.
        number: of the trial; nothing happens if it has ended.
    """
    _give_back(study, [number], retry_after_death)


def give_back_interrupted(study: Study, numbers: Iterable[int] | None) -> None:
    """Fail those of these trials that still run, and queue their points, as often as it takes.

    Args:
        study: that has the trials.
        numbers: of trials that nobody works on any more; None for all.
    """
    _give_back(study, numbers, retry_after_interruption)


def _give_back(
    study: Study, numbers: Iterable[int] | None, retry: Callable[[Study, FrozenTrial], None]
) -> None:
    wanted = None if numbers is None else set(numbers)
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        if wanted is None or trial.number in wanted:
            study.tell(trial.number, state=TrialState.FAIL)
            retry(study, trial)
