"""Giving up candidates that nearly all others leave behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna.pruners import BasePruner
from optuna.trial import TrialState

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


class WorstShare(BasePruner):
    """Gives up a candidate that is among the worst share of all that have been as far as it.

    Optuna's percentile pruners compare with those alone that were trained to the end, so that each
    candidate is held against the survivors of the ones before: a bar that rises, under which "the
    worst quarter" becomes half of all. Here one that was given up earlier stays among the others,
    as worse than all that went on. Higher scores are better.
    """

    def __init__(self, share: float, *, first: int, warmup: int) -> None:
        """Set the rule.

        Args:
            share: 0 to 1, of the others that have ended.
            first: candidates that must have ended before any is given up.
            warmup: steps, counted from 0, after which none is given up yet.
        """
        self.share = share
        self.first = first
        self.warmup = warmup

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Tell whether fewer of the others than the share are no better than this one."""
        step = trial.last_step
        if step is None or step < self.warmup:
            return False
        own = trial.intermediate_values[step]
        others = study.get_trials(deepcopy=False, states=_ENDED)
        if len(others) < self.first:
            return False
        behind = sum(each.intermediate_values.get(step, float("-inf")) <= own for each in others)
        return behind < self.share * len(others)
