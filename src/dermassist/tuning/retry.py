"""Points of trials that were cut off, queued once more; a point that kills is not tried for ever.

Optuna counts how often a point was tried again. Here that count is of deaths alone: being cut off
from outside, as by Ctrl-C, says nothing against a point.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from optuna.exceptions import ExperimentalWarning
from optuna.storages import RetryHeartbeatStaleTrialCallback as Retry

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

#: A point whose training killed its process twice would kill it again.
MOST_DEATHS = 2
#: Where a queued trial says how many of its earlier tries were cut off from outside.
INTERRUPTIONS = "dermassist:interruptions"


def retry_after_death(study: Study, trial: FrozenTrial) -> None:
    """Queue the point of a trial whose process has died, unless it has killed too many.

    Args:
        study: that has the trial.
        trial: a copy of it, no longer running.
    """
    deaths = 1 + len(_history(trial)) - trial.system_attrs.get(INTERRUPTIONS, 0)
    if deaths < MOST_DEATHS:
        _queue(study, trial)


def retry_after_interruption(study: Study, trial: FrozenTrial) -> None:
    """Queue the point of a trial that was cut off from outside.

    Args:
        study: that has the trial.
        trial: a copy of it, no longer running; changed here.
    """
    trial.system_attrs[INTERRUPTIONS] = trial.system_attrs.get(INTERRUPTIONS, 0) + 1
    _queue(study, trial)


def retry_of(trial: FrozenTrial) -> int | None:
    """Return the number of the trial whose point this one tries again, if it does."""
    history = _history(trial)
    return history[-1] if history else None


@contextmanager
def experiments_accepted() -> Iterator[None]:
    """Keep quiet about parts of Optuna that may still change: its version is pinned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _history(trial: FrozenTrial) -> list[int]:
    with experiments_accepted():
        return Retry.retry_history(trial)


def _queue(study: Study, trial: FrozenTrial) -> None:
    # One that died before it had a single parameter has no point, unless it was given one.
    if trial.params or "fixed_params" in trial.system_attrs:
        with experiments_accepted():
            Retry()(study, trial)
