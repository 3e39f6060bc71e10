"""A process that works on a shared study until it has enough finished trials (see test_kill)."""

import sys
import time
from functools import partial

import optuna
from optuna.trial import TrialState

from dermassist.tuning import MemeticSampler

#: User attribute of a trial that will not end by itself.
HANGS = "hangs"


def objective(trial: optuna.Trial, *, hang_after: int | None) -> float:
    n, m = trial.suggest_int("n", 0, 9), trial.suggest_int("m", 0, 9)
    kind = trial.suggest_categorical("kind", ["a", "b", "c"])
    if hang_after is not None and completed(trial.study) >= hang_after:
        trial.set_user_attr(HANGS, value=True)
        time.sleep(3600.0)
    time.sleep(0.01)
    return (n - 3) ** 2 + (m - 6) ** 2 + {"a": 2.0, "b": 0.0, "c": 1.0}[kind]


def completed(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def work(storage: str, enough: int, hang_after: int | None) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=storage, study_name="s", load_if_exists=True, sampler=MemeticSampler(seed=0)
    )
    while completed(study) < enough:
        study.optimize(partial(objective, hang_after=hang_after), n_trials=1)


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if sys.argv[3:] else None)
