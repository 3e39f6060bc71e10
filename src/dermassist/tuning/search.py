"""A search from declaration to enough finished candidates; killed at any point, it resumes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optuna.trial import TrialState

from dermassist.errors import ConfigError
from dermassist.lock import sole_use_of
from dermassist.storage import write_text
from dermassist.tuning.crew import Crew, SearchError
from dermassist.tuning.recovery import (
    give_back_dead,
    give_back_interrupted,
    give_back_killer,
)
from dermassist.tuning.retry import retry_of
from dermassist.tuning.space import params_of
from dermassist.tuning.study import StudyPlace, loss_explained, open_study
from dermassist.tuning.worker import Ended, Job

if TYPE_CHECKING:
    from optuna import Study

    from dermassist.tuning.declaration import Declaration
    from dermassist.tuning.objective import Objective

RECORD_NAME = "search.json"
LOCK_NAME = "search.lock"
#: States of trials that count: a failed one is replaced by another.
COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)
#: Failures without a counted trial between them before the search gives up.
_MOST_FAILURES = 3
_IN_USE = (
    "another search works here; wait for it, use --workers for more processes, or give another "
    "folder and the same --storage"
)


@dataclass(frozen=True)
class Standing:
    """How far a search is: finished trials of how many, and the best score, if there is one."""

    finished: int
    trials: int
    best: float | None

    @property
    def missing(self) -> int:
        """Return how many trials are not finished yet."""
        return max(self.trials - self.finished, 0)


@dataclass(frozen=True)
class SearchSettings:
    """Where and with how much of the machine a search runs.

    None of it is part of what is searched. Processes share the machine's threads, and another
    number of threads adds in another order: scores of the same candidate then differ by chance.

    Attributes:
        directory: receives the record and, unless it is kept elsewhere, the study.
        storage: an Optuna storage URL; None keeps the study in ``directory``.
        workers: processes that evaluate candidates at the same time.
        watch: told how far the search is, at its start and after every trial.
    """

    directory: Path
    storage: str | None = None
    workers: int = 1
    watch: Callable[[Standing], None] = lambda _standing: None

    @property
    def place(self) -> StudyPlace:
        """Return where the study is kept."""
        if self.storage is None:
            return StudyPlace.beside_the_run(self.directory)
        return StudyPlace(self.storage, shared=True)


@dataclass(frozen=True, eq=False)
class SearchOutcome:
    """What a search has come to; ``finished`` is False after Ctrl-C."""

    study: Study
    finished: bool


def run_search(
    declaration: Declaration, settings: SearchSettings, *, prepare: Callable[[], Objective]
) -> SearchOutcome:
    """Search, or go on with the search that the settings name, until enough trials are finished.

    The recipe's own values are the first candidate, where the space holds them. No finished trial
    is lost or evaluated again, whatever is killed when; a point whose training was cut off is
    tried once more.

    Args:
        declaration: what is searched.
        settings: where and on what.
        prepare: makes the objective in a worker process, so it is pickled.

    Raises:
        ConfigError: the directory holds another search or is in use, or the storage cannot be
            used.
        DermAssistError: whatever ``prepare`` refuses.
        SearchError: trainings fail, or their processes die, again and again.
    """
    with sole_use_of(settings.directory, lock=LOCK_NAME, refusal=_IN_USE):
        _check_same_search(declaration, settings.directory)
        study = open_study(settings.place, declaration)
        give_back_dead(study, shared=settings.place.shared)
        own = params_of(declaration.recipe, declaration.space)
        if own is not None:
            _queue_once(study, own)
        standing = standing_of(study, declaration)
        settings.watch(standing)
        if not standing.missing:
            return SearchOutcome(study, finished=True)
        crew = Crew(
            Job(declaration, settings.place, prepare),
            workers=min(settings.workers, standing.missing),
            give_back=lambda number: give_back_killer(study, number),
        )
        with loss_explained(settings.place):
            return SearchOutcome(study, finished=_work(study, declaration, crew, settings))


def _queue_once(study: Study, params: dict[str, Any]) -> None:
    """Queue a point that is not there yet; of two commands that do so at once, one withdraws it."""
    study.enqueue_trial(params, skip_if_exists=True)
    queued = [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.system_attrs.get("fixed_params") == params and retry_of(trial) is None
    ]
    for spare in queued[1:]:
        if spare.state == TrialState.WAITING:
            # Optuna has no public way to take back what was queued.
            study._storage.set_trial_state_values(spare._trial_id, TrialState.FAIL)  # noqa: SLF001


def _work(study: Study, declaration: Declaration, crew: Crew, settings: SearchSettings) -> bool:
    """Let the crew evaluate until nothing is missing; return False after Ctrl-C."""
    failures = 0
    try:
        with crew:
            for ended in crew.run(lambda: standing_of(study, declaration).missing - crew.asked):
                failures = failures + 1 if ended.state == TrialState.FAIL else 0
                _check_failures(failures, ended)
                settings.watch(standing_of(study, declaration))
    except KeyboardInterrupt:
        return False
    finally:
        # Cut off from outside, which says nothing against them, so as often as it takes. Where
        # nobody else can be at work, that includes one whose process had not yet announced it.
        give_back_interrupted(study, crew.trials if settings.place.shared else None)
    return True


def _check_failures(failures: int, ended: Ended) -> None:
    if failures == _MOST_FAILURES:
        raise SearchError(
            f"{failures} trainings in a row have failed, the last with: {ended.reason}; "
            "see to the reason, then run the same command to go on"
        )


def standing_of(study: Study, declaration: Declaration) -> Standing:
    """Return how far a search is."""
    trials = study.get_trials(deepcopy=False)
    states = Counter(trial.state for trial in trials)
    scores = [t.value for t in trials if t.state == TrialState.COMPLETE and t.value is not None]
    return Standing(
        finished=sum(states[state] for state in COUNTED),
        trials=declaration.search.trials,
        best=max(scores, default=None),
    )


def _check_same_search(declaration: Declaration, directory: Path) -> None:
    """Write the search's record, or check that the one found is the same search's."""
    path = directory / RECORD_NAME
    text = json.dumps(declaration.to_dict(), indent=1) + "\n"
    if not path.exists():
        write_text(path, text)
    elif path.read_text(encoding="utf-8") != text:
        raise ConfigError(
            f"{directory}: holds another search, or one on other data; give another folder, or "
            "remove this one"
        )
