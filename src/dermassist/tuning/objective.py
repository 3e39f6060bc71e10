"""What a search asks of a training, and how a trial becomes one and its score."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from dermassist.config import TrainingConfig
from dermassist.tuning.declaration import proxied
from dermassist.tuning.space import with_params

if TYPE_CHECKING:
    from dermassist.tuning.declaration import Declaration

#: Takes an epoch, counted from 0, and its score; answers whether to stop there.
Report = Callable[[int, float], bool]
#: Trains with a recipe and returns the score of its last epoch; higher is better.
Objective = Callable[[TrainingConfig, Report], float]

#: What a training raises where a candidate is too much for the machine.
FAILURES = (RuntimeError, MemoryError)
#: User attribute of a failed trial: why.
ERROR_KEY = "error"


def evaluate(trial: optuna.Trial, *, declaration: Declaration, objective: Objective) -> float:
    """Return the score of the candidate that a trial proposes.

    Raises:
        optuna.TrialPruned: the candidate was given up as hopeless.
        RuntimeError: the training failed; the reason stands in the trial's user attribute.
        MemoryError: likewise.
    """
    params = {name: _suggested(trial, name, each) for name, each in declaration.space.items()}
    candidate = proxied(with_params(declaration.recipe, params), declaration.proxy)
    last = candidate.optimisation.epochs_to_run - 1
    hopeless = False

    def report(epoch: int, score: float) -> bool:
        nonlocal hopeless
        # An undefined score compares with nothing, so nothing would ever be pruned after it.
        trial.report(score if math.isfinite(score) else 0.0, epoch)
        # After the last epoch there is nothing left to save, and the score is that of a whole one.
        hopeless = epoch < last and trial.should_prune()
        return hopeless

    try:
        score = objective(candidate, report)
    except FAILURES as error:
        trial.set_user_attr(ERROR_KEY, str(error) or type(error).__name__)
        raise
    if hopeless:
        raise optuna.TrialPruned
    return score


def _suggested(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, log=log, step=step)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, log=log, step=step)
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
    raise ValueError(f"{name} cannot be suggested from {distribution!r}")
