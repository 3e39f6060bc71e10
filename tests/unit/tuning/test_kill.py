"""Two processes on one storage, killed in the middle of the search and started again."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from .search_worker import HANGS

WORKER = Path(__file__).with_name("search_worker.py")
#: Of 300 points, so that a repeat by chance would show.
ENOUGH = 60
#: Complete trials after which the first workers only hang, so that the kill falls inside a trial.
SOME = 20
DEADLINE_S = 300.0

Worker = subprocess.Popen[bytes]


@contextmanager
def workers(storage: str, *, hang_after: int | None = None) -> Iterator[list[Worker]]:
    command = [sys.executable, str(WORKER), storage, str(ENOUGH)]
    if hang_after is not None:
        command.append(str(hang_after))
    started = [subprocess.Popen(command) for _ in range(2)]
    try:
        yield started
    finally:
        for worker in started:
            worker.send_signal(signal.SIGKILL)
            worker.wait()


def hanging(study: optuna.Study) -> list[FrozenTrial]:
    running = study.get_trials(states=(TrialState.RUNNING,))
    return [trial for trial in running if HANGS in trial.user_attrs]


def wait_until_all_hang(study: optuna.Study, started: list[Worker]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while len(hanging(study)) < len(started):
        assert time.monotonic() < deadline, "the workers do not get on"
        time.sleep(0.02)


@pytest.mark.slow
def test_killed_processes_lose_no_trial_and_repeat_no_point(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage=storage, study_name="s")
    with workers(storage, hang_after=SOME) as started:
        wait_until_all_hang(study, started)
    killed, before = hanging(study), study.get_trials(states=(TrialState.COMPLETE,))
    with workers(storage) as restarted:
        assert [worker.wait(timeout=DEADLINE_S) for worker in restarted] == [0, 0]
    after = study.get_trials(states=(TrialState.COMPLETE,))
    # Both workers may find one trial missing, and both then finish theirs.
    assert SOME <= len(before) <= SOME + 1
    assert len(after) >= ENOUGH
    by_number = {trial.number: trial for trial in after}
    assert all(by_number[trial.number] == trial for trial in before)
    repeated = Counter(tuple(sorted(trial.params.items())) for trial in [*after, *killed])
    assert repeated.most_common(1)[0][1] == 1
    study._storage.remove_session()
