"""A whole search with worker processes: what it finishes, keeps, retries and refuses."""

import itertools
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from dermassist.errors import ConfigError, DataError
from dermassist.lock import sole_use_of
from dermassist.tuning.crew import SearchError
from dermassist.tuning.retry import retry_of
from dermassist.tuning.search import COUNTED, LOCK_NAME, Standing
from dermassist.tuning.study import StudyPlace, open_study
from dermassist.tuning.worker import Ended, _evaluate_next

from .conftest import Search, declared, with_trials
from .fake_objective import Fake, begun

pytestmark = pytest.mark.slow
DEADLINE_S = 120.0


def finished(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(states=COUNTED)


def points(trials: list[FrozenTrial]) -> list[tuple[Any, ...]]:
    return [tuple(sorted(trial.params.items())) for trial in trials]


def assert_all_different(trials: list[FrozenTrial]) -> None:
    assert len(set(points(trials))) == len(trials)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_a_search_finishes_exactly_what_was_asked_and_climbs(
    search: Search, tmp_path: Path
) -> None:
    seen: list[Standing] = []
    outcome = search(declared(30), workers=2, watch=seen.append)
    assert outcome.finished
    assert len(finished(outcome.study)) == len(outcome.study.trials) == 30
    assert_all_different(outcome.study.trials)
    assert len(lines(tmp_path / "notes")) == 30
    counts = [standing.finished for standing in seen]
    assert (counts[0], counts[-1], len(counts)) == (0, 30, 31)
    assert counts == sorted(counts)
    assert seen[0].best is None
    assert seen[-1].best == outcome.study.best_value > 0.95


def test_the_recipes_own_values_are_the_first_candidate(search: Search) -> None:
    first = search(declared(1)).study.trials[0]
    assert first.params == {"dropout": 0.2, "frozen_layers": 0, "batch_size": 32}


def test_two_commands_that_begin_at_once_look_at_the_recipe_once(
    search: Search, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    own = {"dropout": 0.2, "frozen_layers": 0, "batch_size": 32}
    study = open_study(StudyPlace(url, shared=True), declared(5))
    for _ in range(2):
        study.enqueue_trial(own)
    outcome = search(declared(5), storage=url)
    assert len(finished(outcome.study)) == 5
    assert [trial.number for trial in finished(outcome.study) if trial.params == own] == [0]
    study._storage.remove_session()


def test_pruning_stops_the_hopeless_and_none_lets_all_finish(search: Search) -> None:
    trials = search(declared(40, pruning="median"), folder="pruned").study.trials
    states = Counter(trial.state for trial in trials)
    assert states[TrialState.PRUNED] > 0
    assert states[TrialState.COMPLETE] + states[TrialState.PRUNED] == len(trials) == 40
    # After the warm-up epoch, and not after the last of three, which ends it anyhow.
    stopped = [t for t in trials if t.state == TrialState.PRUNED]
    assert {len(t.intermediate_values) for t in stopped} == {2}
    whole = search(declared(15, pruning="none"), folder="whole").study.trials
    assert {trial.state for trial in whole} == {TrialState.COMPLETE}


@pytest.mark.parametrize(
    ("pruning", "given_up"),
    [("none", []), ("worst_quarter", [0.5, 1.5]), ("median", [0.5, 1.5, 2.5, 3.5])],
)
def test_how_many_others_a_candidate_must_be_worse_than(
    tmp_path: Path, pruning: str, given_up: list[float]
) -> None:
    study = open_study(StudyPlace.beside_the_run(tmp_path), declared(40, pruning=pruning))
    for score in map(float, range(10)):
        trial = study.ask()
        trial.report(score, 1)
        study.tell(trial, score)
    hopeless = []
    for score in (place + 0.5 for place in range(10)):
        trial = study.ask()
        trial.report(score, 1)
        hopeless += [score] if trial.should_prune() else []
    assert hopeless == given_up
    study._storage.remove_session()


def test_a_seed_repeats_also_over_an_interruption(search: Search) -> None:
    whole = search(declared(14, seed=3), folder="whole")

    def interrupt_after_6(standing: Standing) -> None:
        if standing.finished == 6:
            raise KeyboardInterrupt

    stopped = search(declared(14, seed=3), folder="stopped", watch=interrupt_after_6)
    assert (stopped.finished, len(finished(stopped.study))) == (False, 6)
    resumed = search(declared(14, seed=3), folder="stopped")
    assert points(resumed.study.trials) == points(whole.study.trials)
    other = search(declared(14, seed=4), folder="other")
    assert points(other.study.trials) != points(whole.study.trials)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, "the workers do not get on"
        time.sleep(0.01)


@pytest.mark.parametrize("shared", [False, True])
def test_ctrl_c_gives_back_what_was_under_way(
    search: Search, tmp_path: Path, *, shared: bool
) -> None:
    notes = tmp_path / "notes"
    url = f"sqlite:///{tmp_path / 'shared.db'}" if shared else None
    ended = itertools.count()

    def interrupt(_: Standing) -> None:
        # Of two workers with a candidate each, the first to be heard is given another, which gets
        # stuck, while the other's result is already there: so the search hears of that result,
        # and Ctrl-C comes, before it has heard that the stuck one has begun.
        match next(ended):
            case 1:
                wait_until(lambda: len(lines(notes)) == 2)
            case 2:
                wait_until(lambda: begun(notes) == 3)
                raise KeyboardInterrupt

    stopped = search(
        fake=Fake(notes, stuck_after=2), workers=2, watch=interrupt, storage=url
    ).study.trials
    assert Counter(trial.state for trial in stopped) == {
        TrialState.COMPLETE: 2,
        TrialState.FAIL: 1,
        TrialState.WAITING: 1,
    }
    cut_off, again = sorted(stopped, key=lambda trial: trial.number)[2:]
    assert (again.state, retry_of(again)) == (TrialState.WAITING, cut_off.number)
    assert again.params == cut_off.params != {}
    resumed = search(workers=2, storage=url)
    assert resumed.finished
    assert len(finished(resumed.study)) == 12
    assert points([cut_off])[0] in points(finished(resumed.study))
    assert_all_different(finished(resumed.study))


def test_ctrl_c_keeps_what_has_ended_and_gives_back_all_else(
    search: Search, tmp_path: Path
) -> None:
    def interrupt(standing: Standing) -> None:
        if standing.finished >= 3:
            raise KeyboardInterrupt

    stopped = search(fake=Fake(tmp_path / "notes", pause_s=0.1), workers=2, watch=interrupt)
    assert not stopped.finished
    trials = stopped.study.trials
    # Which of them have ended is for the machine to decide; none may be left to itself.
    queued = {retry_of(trial) for trial in trials if trial.state == TrialState.WAITING}
    cut_off = {t.number for t in trials if t.state == TrialState.FAIL and t.params}
    assert queued == cut_off
    assert not [trial for trial in trials if trial.state == TrialState.RUNNING]
    resumed = search(workers=2)
    assert len(finished(resumed.study)) == 12
    assert_all_different(finished(resumed.study))
    ended = {t.number for t in trials if t.state in COUNTED}
    assert ended <= {trial.number for trial in finished(resumed.study)}


def test_a_killed_worker_is_replaced_and_its_point_tried_once_more(
    search: Search, tmp_path: Path
) -> None:
    outcome = search(fake=Fake(tmp_path / "notes", deaths=1), workers=2)
    dead = outcome.study.get_trials(states=(TrialState.FAIL,))
    retried = [t for t in outcome.study.trials if retry_of(t) == dead[0].number]
    assert len(dead) == len(retried) == 1
    assert (retried[0].params, retried[0].state) == (dead[0].params, TrialState.COMPLETE)
    assert len(finished(outcome.study)) == 12
    assert_all_different(finished(outcome.study))


def test_workers_that_die_again_and_again_end_the_search(search: Search, tmp_path: Path) -> None:
    with pytest.raises(SearchError, match=r"3 worker processes in a row were killed.* signal 9"):
        search(fake=Fake(tmp_path / "notes", deaths=99))
    resumed = search()
    assert len(finished(resumed.study)) == 12
    # The first point killed its process twice and was then left alone.
    first = points(resumed.study.trials)[0]
    assert points(resumed.study.trials).count(first) == 2
    assert first not in points(finished(resumed.study))


def test_a_failed_training_is_noted_and_replaced_by_another(search: Search, tmp_path: Path) -> None:
    outcome = search(fake=Fake(tmp_path / "notes", fails=2))
    failed = outcome.study.get_trials(states=(TrialState.FAIL,))
    assert [trial.user_attrs["error"] for trial in failed] == ["out of memory"] * 2
    assert len(finished(outcome.study)) == 12
    assert_all_different(outcome.study.trials)


def test_trainings_that_all_fail_end_the_search(search: Search, tmp_path: Path) -> None:
    with pytest.raises(SearchError, match=r"3 trainings in a row have failed.*out of memory"):
        search(fake=Fake(tmp_path / "notes", fails=99), workers=2)
    assert search().finished


def test_what_a_worker_refuses_reaches_the_caller(search: Search, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the images are gone"):
        search(fake=Fake(tmp_path / "notes", refuses=True), workers=2)


def test_a_longer_search_goes_on_and_a_finished_one_does_nothing(
    search: Search, tmp_path: Path
) -> None:
    short = search(declared(5)).study.trials
    longer = search(with_trials(declared(5), 8)).study.trials
    assert longer[:5] == short
    assert len(longer) == 8
    assert search(declared(5), fake=Fake(tmp_path / "notes", refuses=True)).finished


def test_a_folder_with_another_search_is_refused_and_stays(search: Search, tmp_path: Path) -> None:
    search(declared(2))
    before = (tmp_path / "run" / "search.json").read_bytes()
    with pytest.raises(ConfigError, match="holds another search"):
        search(declared(2, seed=9))
    assert (tmp_path / "run" / "search.json").read_bytes() == before


def test_a_folder_in_use_is_refused(search: Search, tmp_path: Path) -> None:
    working = sole_use_of(tmp_path / "run", lock=LOCK_NAME, refusal="")
    with working, pytest.raises(ConfigError, match="another search works here"):
        search(declared(1))
    assert search(declared(1)).finished


def test_commands_with_folders_of_their_own_share_a_storage(search: Search, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    first = search(declared(6), folder="a", storage=url).study.trials
    assert not (tmp_path / "a" / "study.db").exists()
    second = search(declared(9), folder="b", storage=url)
    assert second.study.trials[:6] == first
    assert len(finished(second.study)) == 9
    assert_all_different(second.study.trials)


def test_a_trial_without_heartbeat_on_a_shared_storage_is_tried_again(
    search: Search, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    study = open_study(StudyPlace(url, shared=True), declared(4))
    alive, dead = (_begun(study, dropout) for dropout in (0.1, 0.5))
    with sqlite3.connect(tmp_path / "shared.db") as database:
        database.execute(
            "UPDATE trial_heartbeats SET heartbeat = datetime('now', '-1 hour') WHERE trial_id = ?",
            (dead,),
        )
    outcome = search(declared(4), storage=url)
    by_number = outcome.study.trials
    assert (by_number[0].state, by_number[1].state) == (TrialState.RUNNING, TrialState.FAIL)
    assert alive != dead
    retried = [t for t in by_number if retry_of(t) == 1]
    assert [t.params["dropout"] for t in retried] == [0.5]
    assert len(finished(outcome.study)) == 4
    study._storage.remove_session()


def _begun(study: optuna.Study, dropout: float) -> int:
    """Leave a running trial with a heartbeat, as a process that is killed does."""
    trial_id = study._storage.create_new_trial(study._study_id)
    distribution = declared().space["dropout"]
    study._storage.set_trial_param(trial_id, "dropout", dropout, distribution)
    study._storage.record_heartbeat(trial_id)  # type: ignore[attr-defined] # of storages with one
    return trial_id


def test_a_trial_that_others_took_for_dead_ends_without_a_result() -> None:
    study = optuna.create_study(direction="maximize")

    def objective(*_: Any) -> float:
        study.tell(0, state=TrialState.FAIL)
        return 0.5

    ended = _evaluate_next(study, declared(), objective, tell=lambda _: None)
    assert ended == Ended(0, TrialState.FAIL, "others took this process for dead")
    assert study.trials[0].value is None


def test_an_error_of_the_program_is_not_taken_for_a_failed_training() -> None:
    study = optuna.create_study(direction="maximize")

    def objective(*_: Any) -> float:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _evaluate_next(study, declared(), objective, tell=lambda _: None)
