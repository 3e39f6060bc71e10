"""A process that evaluates one candidate whenever it is told to."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import optuna
from optuna.trial import TrialState

from dermassist.errors import DermAssistError
from dermassist.tuning.declaration import Declaration
from dermassist.tuning.objective import ERROR_KEY, FAILURES, Objective, evaluate
from dermassist.tuning.study import StudyPlace, loss_explained, open_study

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from optuna.trial import FrozenTrial

#: Exit status of a process whose parent has gone.
_ABANDONED = 3


@dataclass(frozen=True)
class Job:
    """What a worker process is given; it can be pickled.

    Attributes:
        declaration: of the search.
        place: where its study is kept.
        prepare: makes the objective, in the worker's own process.
    """

    declaration: Declaration
    place: StudyPlace
    prepare: Callable[[], Objective]


@dataclass(frozen=True)
class Ready:
    """A worker can evaluate."""


@dataclass(frozen=True)
class Begun:
    """A worker has begun to evaluate a trial."""

    number: int


@dataclass(frozen=True)
class Ended:
    """A worker has ended a trial: ``COMPLETE``, ``PRUNED`` or ``FAIL``, then with the reason."""

    number: int
    state: TrialState
    reason: str = ""


@dataclass(frozen=True)
class Refused:
    """A worker cannot evaluate anything."""

    error: DermAssistError


Message = Ready | Begun | Ended | Refused


def work(job: Job, parent: Connection) -> None:
    """Send ``Ready``, then evaluate a candidate for everything that is received."""
    _end_with_parent()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = open_study(job.place, job.declaration)
        objective = job.prepare()
        parent.send(Ready())
        with loss_explained(job.place):
            while _told_to_go_on(parent):
                parent.send(_evaluate_next(study, job.declaration, objective, tell=parent.send))
    except DermAssistError as error:
        parent.send(Refused(error))


def _told_to_go_on(parent: Connection) -> bool:
    try:
        parent.recv()
    except EOFError:
        return False
    return True


def _evaluate_next(
    study: optuna.Study,
    declaration: Declaration,
    objective: Objective,
    *,
    tell: Callable[[Begun], None],
) -> Ended:
    ended: list[FrozenTrial] = []
    begun = -1

    def announced(trial: optuna.Trial) -> float:
        nonlocal begun
        begun = trial.number
        tell(Begun(begun))
        return evaluate(trial, declaration=declaration, objective=objective)

    try:
        study.optimize(
            announced, n_trials=1, catch=FAILURES, callbacks=[lambda _, trial: ended.append(trial)]
        )
    except (ValueError, AssertionError) as error:
        # A machine that slept is taken for dead: others have failed its trial and retry the point.
        if not _is_refused_result(error):
            raise
        return Ended(begun, TrialState.FAIL, "others took this process for dead")
    trial = ended[0]
    return Ended(trial.number, trial.state, trial.user_attrs.get(ERROR_KEY, ""))


def _is_refused_result(error: BaseException) -> bool:
    """Tell whether Optuna took no result because somebody else has finished the trial."""
    # A score makes Optuna 5.0 fail an assertion of its own on top.
    refusal = error.__context__ if isinstance(error, AssertionError) else error
    return str(refusal).startswith("Cannot tell a ")


def _end_with_parent() -> None:
    """Let this process end as soon as its parent has, also one that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=partial(_wait_and_exit, parent.join), daemon=True).start()


def _wait_and_exit(wait: Callable[[], None]) -> None:
    wait()
    os._exit(_ABANDONED)
