"""A process that works on a shared study until it has enough finished trials (see test_kill)."""

import sys
import time

import optuna
from optuna.trial import TrialState

from dermassist.tuning import MemeticSampler


def objective(trial: optuna.Trial) -> float:
    n, m = trial.suggest_int("n", 0, 9), trial.suggest_int("m", 0, 9)
    kind = trial.suggest_categorical("kind", ["a", "b", "c"])
    time.sleep(0.01)
    return (n - 3) ** 2 + (m - 6) ** 2 + {"a": 2.0, "b": 0.0, "c": 1.0}[kind]


def work(storage: str, enough: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=storage, study_name="s", load_if_exists=True, sampler=MemeticSampler(seed=0)
    )
    while len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) < enough:
        study.optimize(objective, n_trials=1)


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]))
