"""What finished trials suggest, against another implementation and against refitting."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from dermassist.tuning.memetic import estimate
from dermassist.tuning.memetic.estimate import Estimate
from dermassist.tuning.memetic.population import Individual

BOTH = np.array([True, True])


def finished(points: NDArray[np.float64], costs: NDArray[np.float64]) -> list[Individual]:
    rows = zip(points, costs.tolist(), strict=True)
    return [Individual(number, point, cost) for number, (point, cost) in enumerate(rows)]


def drawn(count: int, *, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).random((count, 2))


def ridge(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return costs in which the first axis matters and the second does not."""
    slope: NDArray[np.float64] = (points[:, 0] - 0.7) ** 2
    return slope


def ranked(costs: NDArray[np.float64]) -> NDArray[np.float64]:
    ranks = costs.argsort().argsort().astype(float)
    scores: NDArray[np.float64] = (ranks - ranks.mean()) / ranks.std()
    return scores


def test_the_guess_is_the_mean_of_a_gaussian_process_over_ranks() -> None:
    points, unseen = drawn(30), drawn(9, seed=1)
    guess = Estimate(finished(points, ridge(points)), ordered=BOTH)
    # the second axis is found to matter little, so its length is stretched fourfold; nothing here
    # is owed to chance, so the least noise is
    kernel = RBF(length_scale=[0.5, 2.0])
    oracle = GaussianProcessRegressor(kernel, alpha=0.03, optimizer=None)
    oracle.fit(points, ranked(ridge(points)))
    np.testing.assert_allclose(guess.at(unseen), oracle.predict(unseen), rtol=1e-9)


def test_the_left_out_error_equals_fitting_without_each_trial() -> None:
    points = drawn(8)
    scores = ranked(ridge(points))
    likeness = RBF([0.5, 1.0])(points)
    errors = []
    for left_out in range(8):
        kept = np.arange(8) != left_out
        oracle = GaussianProcessRegressor(RBF([0.5, 1.0]), alpha=0.3, optimizer=None)
        oracle.fit(points[kept], scores[kept])
        errors.append(oracle.predict(points[[left_out]])[0] - scores[left_out])
    found = estimate._left_out_error(likeness, scores, noise=0.3)
    assert found == pytest.approx(np.sum(np.square(errors)))


@pytest.mark.parametrize(("chance", "noise"), [(0.0, 0.03), (10.0, 1.0)])
def test_how_much_is_owed_to_chance_is_found_in_the_trials(chance: float, noise: float) -> None:
    points = drawn(40)
    costs = ridge(points) + chance * np.random.default_rng(2).standard_normal(40)
    apart = (points.T[:, :, None] - points.T[:, None, :]) ** 2
    assert estimate._fitted(apart, ranked(costs))[0] == noise


def test_the_lowest_guess_is_that_at_a_trial_and_forgives_luck() -> None:
    points = drawn(40)
    costs = ridge(points)
    lucky = int(np.argmax(costs))
    costs[lucky] = -1.0
    guess = Estimate(finished(points, costs), ordered=BOTH)
    at_trials = guess.at(points)
    assert guess.lowest == pytest.approx(at_trials.min())
    assert at_trials[lucky] > guess.lowest


def test_only_the_order_of_costs_counts() -> None:
    points, unseen = drawn(20), drawn(5, seed=1)
    plain = Estimate(finished(points, ridge(points)), ordered=BOTH).at(unseen)
    scaled = Estimate(finished(points, np.exp(50.0 * ridge(points))), ordered=BOTH).at(unseen)
    np.testing.assert_allclose(plain, scaled, rtol=1e-9)


def test_equal_costs_and_a_single_trial_suggest_nothing() -> None:
    points = drawn(6)
    for trials in (finished(points, np.ones(6)), finished(points[:1], np.ones(1))):
        np.testing.assert_array_equal(Estimate(trials, ordered=BOTH).at(points), 0.0)


def test_a_category_is_like_itself_alone_and_as_unlike_to_every_other() -> None:
    points = np.array([[0.1, 0.5], [0.5, 0.5], [0.9, 0.5]])
    guess = Estimate(finished(points, np.array([0.0, 1.0, 2.0])), ordered=np.array([False, True]))
    same, near, far = guess.at(np.array([points[0], [0.3, 0.5], [0.7, 0.5]]))
    # between categories the kernel is exp(-1/2); the noise found is 1, the best score -sqrt(3/2)
    assert same == pytest.approx(-(1.5**0.5) * (1 - np.exp(-0.5)) / (2 - np.exp(-0.5)))
    assert near == pytest.approx(0.0, abs=1e-12)
    assert far == pytest.approx(0.0, abs=1e-12)


def test_a_long_search_asks_fewer_of_its_best() -> None:
    assert [estimate.worth_asking(count) for count in (1, 128, 129, 1000)] == [64, 64, 40, 40]
