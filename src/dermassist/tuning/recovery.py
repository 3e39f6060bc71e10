"""What becomes of candidates whose training was cut off: their points are tried again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from optuna.storages import RetryHeartbeatStaleTrialCallback as Retry
from optuna.storages import fail_stale_trials
from optuna.trial import TrialState

from dermassist.tuning.study import experiments_accepted

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

#: A point whose training killed its process twice would kill it again.
RETRIES_AFTER_DEATH = 1


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
    give_back(study, None, retries=RETRIES_AFTER_DEATH)


def give_back(study: Study, numbers: Iterable[int] | None, *, retries: int | None) -> None:
    """Fail those of these trials that still run, and queue their points for another try.

    Args:
        study: that has the trials.
        numbers: of trials that nobody works on any more; None for all.
        retries: how often a point may be tried again; None for no limit.
    """
    with experiments_accepted():
        retry = Retry(max_retry=retries)
    wanted = None if numbers is None else set(numbers)
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        if wanted is not None and trial.number not in wanted:
            continue
        study.tell(trial.number, state=TrialState.FAIL)
        # One that died before it had a single parameter has no point.
        if trial.params:
            retry(study, trial)


def retry_of(trial: FrozenTrial) -> int | None:
    """Return the number of the trial whose point this one tries again, if it does."""
    with experiments_accepted():
        history = Retry.retry_history(trial)
    return history[-1] if history else None
