from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from dermassist.errors import ConfigError, DataError
from dermassist.evaluation.ranking import (
    RocCurve,
    area_under_curve,
    roc_curve,
    sensitivity_at_specificity,
    sensitivity_on_grid,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Scores in tenths, so that ties are frequent.
IMAGES = st.lists(
    st.tuples(st.booleans(), st.integers(0, 10), st.integers(0, 3)), min_size=2, max_size=40
)


def columns_of(
    images: list[tuple[bool, int, int]],
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.int64]]:
    positive, score, times = (np.array(column) for column in zip(*images, strict=True))
    assume((times * positive).sum() and (times * ~positive).sum())
    return positive, score / 10, times


@settings(max_examples=40, deadline=None)
@given(IMAGES)
def test_area_with_ties_and_multiplicities_is_that_of_scikit_learn(
    images: list[tuple[bool, int, int]],
) -> None:
    positive, score, times = columns_of(images)

    area = area_under_curve(roc_curve(positive, score, weights=times))

    assert area == pytest.approx(
        oracle.roc_auc_score(np.repeat(positive, times), np.repeat(score, times)), abs=1e-12
    )


@settings(max_examples=40, deadline=None)
@given(IMAGES)
def test_points_are_those_of_scikit_learn(images: list[tuple[bool, int, int]]) -> None:
    positive, score, _ = columns_of(images)

    curve = roc_curve(positive, score)

    rate, sensitivity, thresholds = oracle.roc_curve(positive, score, drop_intermediate=False)
    assert np.allclose(curve.false_positive_rate, rate)
    assert np.allclose(curve.sensitivity, sensitivity)
    assert np.array_equal(curve.thresholds, thresholds)


@settings(max_examples=40, deadline=None)
@given(IMAGES, st.sampled_from([0.5, 0.8, 0.9, 0.95]))
def test_sensitivity_is_the_best_of_all_thresholds_tried_one_by_one(
    images: list[tuple[bool, int, int]], wanted: float
) -> None:
    positive, score, times = columns_of(images)

    best = 0.0
    for threshold in np.unique(score):
        called = score >= threshold
        specificity = (times * ~called * ~positive).sum() / (times * ~positive).sum()
        if specificity >= wanted - 1e-12:
            sensitivity = (times * called * positive).sum() / (times * positive).sum()
            best = max(best, sensitivity)

    curve = roc_curve(positive, score, weights=times)
    assert sensitivity_at_specificity(curve, specificity=wanted) == pytest.approx(best)


def test_a_specificity_reached_exactly_counts_as_reached() -> None:
    # One of ten negatives lies above both positives: specificity 0.9 there, which 1 - 0.1 misses.
    positive = np.array([False] + [True] * 2 + [False] * 9)
    score = np.linspace(1, 0, 12)

    curve = roc_curve(positive, score)

    assert sensitivity_at_specificity(curve, specificity=0.9) == 1
    assert sensitivity_at_specificity(curve, specificity=0.91) == 0


def test_ties_change_sides_together() -> None:
    positive, score = np.array([True, False, True, False]), np.array([0.7, 0.7, 0.2, 0.1])

    curve = roc_curve(positive, score)

    assert np.array_equal(curve.thresholds, [np.inf, 0.7, 0.2, 0.1])
    assert sensitivity_at_specificity(curve, specificity=0.6) == 0
    assert sensitivity_at_specificity(curve, specificity=0.5) == 1
    assert area_under_curve(curve) == 0.625


def test_a_batch_of_weights_equals_one_call_each() -> None:
    rng = np.random.default_rng(1)
    positive, score = rng.random(50) < 0.4, np.round(rng.random(50), 1)
    weights = rng.integers(0, 3, (6, 50))

    batch = roc_curve(positive, score, weights=weights)

    for row, areas, hits in zip(
        weights,
        area_under_curve(batch),
        sensitivity_at_specificity(batch, specificity=0.9),
        strict=True,
    ):
        single = roc_curve(positive, score, weights=row)
        assert areas == area_under_curve(single)
        assert hits == sensitivity_at_specificity(single, specificity=0.9)


@pytest.mark.parametrize("positive", [[True, True], [False, False]])
def test_without_positives_or_negatives_nothing_is_claimed(positive: list[bool]) -> None:
    curve = roc_curve(positive, [0.2, 0.8])

    assert np.isnan(area_under_curve(curve))
    assert np.isnan(sensitivity_at_specificity(curve, specificity=0.9))
    assert np.isnan(sensitivity_on_grid(curve, np.array([0.0, 1.0]))).all()


def test_a_grid_takes_the_best_point_at_or_below_each_rate() -> None:
    curve = roc_curve([True, False, True, False], [0.9, 0.8, 0.7, 0.1])

    sensitivity = sensitivity_on_grid(curve, np.array([0.0, 0.49, 0.5, 1.0]))

    assert np.array_equal(sensitivity, [0.5, 0.5, 1.0, 1.0])


@pytest.mark.parametrize(
    ("positive", "score", "words"),
    [
        ([1, 0], [0.1, 0.2], "true or false"),
        ([True, False], [0.1], "2 finite numbers"),
        ([True, False], [0.1, np.nan], "2 finite numbers"),
    ],
)
def test_scores_that_cannot_be_ranked_are_refused(
    positive: list[bool], score: list[float], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        roc_curve(positive, score)


def test_a_specificity_in_percent_is_refused() -> None:
    curve: RocCurve = roc_curve([True, False], [0.1, 0.2])

    with pytest.raises(ConfigError, match="specificity must lie between 0 and 1"):
        sensitivity_at_specificity(curve, specificity=95)
