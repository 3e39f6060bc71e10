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

WORKER = Path(__file__).with_name("search_worker.py")
#: Of 300 points, so that a repeat by chance would show.
ENOUGH = 60
DEADLINE_S = 300.0


@contextmanager
def workers(storage: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    command = [sys.executable, str(WORKER), storage, str(ENOUGH)]
    started = [subprocess.Popen(command) for _ in range(2)]
    try:
        yield started
    finally:
        for worker in started:
            worker.send_signal(signal.SIGKILL)
            worker.wait()


def completed(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(states=(TrialState.COMPLETE,))


def wait_for(study: optuna.Study, *, trials: int) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while len(completed(study)) < trials:
        assert time.monotonic() < deadline, "the workers do not get on"
        time.sleep(0.02)


@pytest.mark.slow
def test_killed_processes_lose_no_trial_and_repeat_no_point(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage=storage, study_name="s")
    with workers(storage):
        wait_for(study, trials=20)
    before = completed(study)
    with workers(storage) as restarted:
        assert [worker.wait(timeout=DEADLINE_S) for worker in restarted] == [0, 0]
    after = completed(study)
    assert 20 <= len(before) < ENOUGH <= len(after)
    by_number = {trial.number: trial for trial in after}
    assert all(by_number[trial.number] == trial for trial in before)
    repeated = Counter(tuple(sorted(trial.params.items())) for trial in after)
    assert repeated.most_common(1)[0][1] == 1
    study._storage.remove_session()
