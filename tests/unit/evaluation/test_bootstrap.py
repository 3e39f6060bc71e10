from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dermassist.errors import ConfigError, DataError
from dermassist.evaluation import bootstrap as module
from dermassist.evaluation.bootstrap import (
    Bootstrap,
    Estimate,
    bootstrap,
    interval,
    lesion_weights,
    without_growth,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dermassist.evaluation.array import FloatArray

GROUPS = np.array(["a", "b", "a", "c", "c", "c", "d"])


def all_weights(groups: NDArray[Any], *, seed: int = 0, resamples: int = 50) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    return np.concatenate(list(lesion_weights(groups, rng=rng, resamples=resamples)))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 1000))
def test_lesions_are_drawn_whole_and_as_many_as_there_are(groups: list[int], seed: int) -> None:
    lesions = np.array(groups)

    weights = all_weights(lesions, seed=seed, resamples=20)

    assert weights.shape == (20, len(lesions))
    for row in weights:
        drawn = [set(row[lesions == lesion]) for lesion in np.unique(lesions)]
        assert all(len(multiplicity) == 1 for multiplicity in drawn)
        assert sum(multiplicity.pop() for multiplicity in drawn) == len(np.unique(lesions))


def test_multiplicities_follow_the_binomial_distribution() -> None:
    counts = all_weights(np.arange(20), resamples=4000)[:, 0]

    seen = np.bincount(counts.astype(int), minlength=5)[:5]
    expected = stats.binom.pmf(np.arange(5), 20, 1 / 20) * 4000
    assert np.all(np.abs(seen - expected) < 5 * np.sqrt(expected))


def test_the_seed_decides_and_the_size_of_batches_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    once = all_weights(GROUPS)
    again, other = all_weights(GROUPS), all_weights(GROUPS, seed=1)
    monkeypatch.setattr(module, "_WEIGHTS_AT_ONCE", 3 * len(GROUPS))

    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert np.array_equal(once, all_weights(GROUPS))


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).normal(size=150)

    result = bootstrap(
        lambda weights: {"mean": weights @ values / weights.sum(axis=1)},
        groups=np.arange(150),
        rng=np.random.default_rng(1),
        resamples=4000,
    ).estimate("mean")

    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=2
    ).confidence_interval
    assert result.value == pytest.approx(values.mean())
    assert result.resamples == 4000
    assert result.low == pytest.approx(expected.low, abs=0.012)
    assert result.high == pytest.approx(expected.high, abs=0.012)


def test_repeated_images_of_a_lesion_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(0).normal(size=100)

    def width(values: NDArray[np.float64], groups: NDArray[Any]) -> float:
        result = bootstrap(
            lambda weights: {"mean": weights @ values / weights.sum(axis=1)},
            groups=groups,
            rng=np.random.default_rng(1),
        ).estimate("mean")
        return result.high - result.low

    lesions = np.arange(100)
    once = width(values, lesions)
    assert width(np.repeat(values, 4), np.repeat(lesions, 4)) == pytest.approx(once, rel=1e-9)
    assert width(np.repeat(values, 4), np.arange(400)) < 0.6 * once


def test_undefined_draws_are_left_out_and_counted() -> None:
    draws = np.append(np.arange(95.0), [np.nan] * 5)

    estimate = interval(40.0, draws)

    assert estimate.resamples == 95
    assert (estimate.low, estimate.high) == tuple(np.percentile(np.arange(95.0), [2.5, 97.5]))


@pytest.mark.parametrize("undefined", [11, 60, 100])
def test_too_many_undefined_draws_give_no_interval(undefined: int) -> None:
    draws = np.append(np.arange(100.0 - undefined), [np.nan] * undefined)

    estimate = interval(1.0, draws)

    assert estimate.value == 1.0
    assert estimate.resamples == 100 - undefined
    assert np.isnan([estimate.low, estimate.high]).all()


def test_an_undefined_value_has_no_interval() -> None:
    estimate = interval(np.nan, np.arange(100.0))

    assert np.isnan([estimate.value, estimate.low, estimate.high]).all()


def test_one_lesion_whose_resamples_repeat_the_value_has_no_interval() -> None:
    values = np.random.default_rng(0).normal(size=7)
    result = bootstrap(
        lambda weights: {
            "mean": weights @ values / weights.sum(axis=1),
            "all": weights.sum(axis=1) / weights.sum(axis=1),
        },
        groups=np.zeros(7),
        rng=np.random.default_rng(0),
    )
    for grows in (False, True):
        mean = result.estimate("mean", grows=grows)
        assert mean.value == pytest.approx(values.mean())
        assert np.isnan([mean.low, mean.high]).all()
    assert result.estimate("all").repeated


@pytest.mark.parametrize(("lesions", "known"), [(1, False), (2, False), (3, True)])
def test_an_interval_needs_three_lesions_of_a_class(lesions: int, known: bool) -> None:
    of_class = np.arange(200) < lesions

    result = bootstrap(
        lambda weights: {
            "share": np.where(weights @ of_class > 0, weights @ of_class / 200, np.nan)
        },
        groups=np.arange(200),
        rng=np.random.default_rng(0),
    ).estimate("share")

    assert np.isfinite(result.low) == known


def test_an_element_of_an_array_is_estimated_by_its_own_draws() -> None:
    result = Bootstrap({"x": np.array([1.0, 2.0])}, {"x": np.array([[1.0, 20.0], [3.0, 40.0]])})

    assert result.estimate("x", 1).low == pytest.approx(20.5)
    assert result.estimate("x", 0).high == pytest.approx(2.95)


def test_what_chance_raises_has_the_basic_interval() -> None:
    draws = np.random.default_rng(0).gamma(9.0, 0.01, 4000)
    low, high = np.percentile(draws, (2.5, 97.5))
    assert without_growth(0.1, draws) == pytest.approx(Estimate(0.1, 0.2 - high, 0.2 - low, 4000))
    assert without_growth(0.01, draws) == Estimate(0.01, 0.0, 0.0, 4000)
    assert np.isnan(without_growth(np.nan, draws).low)

    found = Bootstrap({"x": np.array(0.1)}, {"x": draws})
    assert found.estimate("x", grows=True) == without_growth(0.1, draws)
    assert found.estimate("x") == interval(0.1, draws)


def _binned_error(weights: FloatArray, *, member: FloatArray) -> dict[str, FloatArray]:
    return {"e": np.abs(weights @ member).sum(axis=1) / len(member)}


def test_a_known_calibration_error_lies_in_its_interval() -> None:
    random = np.random.default_rng(0)
    true, held = 0.04, {True: 0, False: 0}
    for _ in range(40):
        confidence = random.uniform(0.4, 1.0, 300)
        right = random.random(300) < confidence - true
        bins = np.minimum((confidence * 15).astype(int), 14)
        member = np.eye(15)[bins] * (right - confidence)[:, None]
        found = bootstrap(
            partial(_binned_error, member=member),
            groups=np.arange(300),
            rng=random,
            resamples=100,
        )
        for grows in held:
            each = found.estimate("e", grows=grows)
            held[grows] += each.low <= true <= each.high
    assert held[True] > 30
    assert held[False] < 10


def test_no_resamples_and_tables_of_groups_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigError, match="resamples must be at least 1"):
        next(lesion_weights(GROUPS, rng=rng, resamples=0))
    with pytest.raises(DataError, match="groups"):
        next(lesion_weights(GROUPS[:, None], rng=rng))
