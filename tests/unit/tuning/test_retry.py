"""Points that were cut off: tried again, but for those that killed their process twice."""

from __future__ import annotations

import optuna
import pytest
from optuna.trial import TrialState

from dermassist.tuning.recovery import give_back_dead, give_back_interrupted, give_back_killer
from dermassist.tuning.retry import retry_of

X = optuna.distributions.FloatDistribution(0.0, 1.0)
DIED, INTERRUPTED = "died", "interrupted"


def cut_off(study: optuna.Study, how: str) -> optuna.trial.FrozenTrial:
    """Begin the trial that is queued, or a new one, and cut it off."""
    number = study.ask({"x": X}).number
    if how == DIED:
        give_back_killer(study, number)
    else:
        give_back_interrupted(study, [number])
    return study.trials[number]


def waiting(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return list(study.get_trials(states=(TrialState.WAITING,)))


@pytest.mark.parametrize(
    ("events", "again"),
    [
        ([DIED], True),
        ([DIED, DIED], False),
        ([INTERRUPTED] * 5, True),
        ([INTERRUPTED, DIED], True),
        ([DIED, INTERRUPTED], True),
        ([INTERRUPTED, DIED, INTERRUPTED], True),
        ([INTERRUPTED, DIED, DIED], False),
        ([DIED, INTERRUPTED, INTERRUPTED, DIED], False),
    ],
)
def test_only_deaths_count_against_a_point(events: list[str], *, again: bool) -> None:
    study = optuna.create_study()
    ended = [cut_off(study, how) for how in events]
    assert {trial.state for trial in ended} == {TrialState.FAIL}
    assert len({trial.params["x"] for trial in ended}) == 1
    queued = waiting(study)
    assert len(queued) == again
    assert [retry_of(trial) for trial in queued] == [ended[-1].number] * again
    assert [trial.params for trial in queued] == [ended[-1].params] * again


def test_a_queued_point_that_was_cut_off_before_its_first_value_is_not_lost() -> None:
    study = optuna.create_study()
    study.enqueue_trial({"x": 0.25})
    trial = study.ask()
    assert trial.params == {}
    give_back_dead(study, shared=False)
    (queued,) = waiting(study)
    assert retry_of(queued) == trial.number
    assert study.ask({"x": X}).params == {"x": 0.25}


def test_a_trial_without_any_point_is_not_tried_again() -> None:
    study = optuna.create_study()
    study.ask()
    give_back_dead(study, shared=False)
    assert waiting(study) == []


def test_what_has_ended_is_left_alone() -> None:
    study = optuna.create_study()
    done = study.ask({"x": X})
    study.tell(done, 1.0)
    running = study.ask({"x": X})
    give_back_interrupted(study, [done.number])
    give_back_killer(study, done.number)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.RUNNING]
    give_back_interrupted(study, None)
    assert study.trials[running.number].state == TrialState.FAIL
