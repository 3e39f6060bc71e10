from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from dermassist.errors import DataError
from dermassist.evaluation import confusion

PAIRS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40
)


@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_class_values_are_those_of_scikit_learn_on_repeated_images(
    pairs: list[tuple[int, int, int]],
) -> None:
    truth, predicted, times = (np.array(column) for column in zip(*pairs, strict=True))
    assume(times.sum() > 0)
    repeated = np.repeat(truth, times), np.repeat(predicted, times)

    counts = confusion.confusion_matrix(truth, predicted, classes=4, weights=times)

    assert np.array_equal(counts, oracle.confusion_matrix(*repeated, labels=range(4)))
    precision, recall, f1, images = oracle.precision_recall_fscore_support(
        *repeated, labels=range(4), zero_division=np.nan
    )
    present = images > 0
    assert np.array_equal(confusion.support(counts), images)
    assert np.allclose(confusion.recall(counts), recall, equal_nan=True)
    assert np.allclose(confusion.precision(counts)[present], precision[present], equal_nan=True)
    assert np.allclose(confusion.f1_score(counts)[present], f1[present])
    for values in (confusion.precision(counts), confusion.f1_score(counts)):
        assert np.isnan(values[~present]).all()


def test_a_batch_of_weights_equals_one_call_each() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 7, 60), rng.integers(0, 7, 60)
    weights = rng.integers(0, 4, (2, 3, 60))

    batch = confusion.confusion_matrix(truth, predicted, weights=weights)

    assert batch.shape == (2, 3, 7, 7)
    single = confusion.confusion_matrix(truth, predicted, weights=weights[1, 2])
    assert np.array_equal(batch[1, 2], single)
    assert np.array_equal(
        confusion.f1_score(batch)[1, 2], confusion.f1_score(single), equal_nan=True
    )


def test_a_class_that_is_never_predicted_has_no_precision_but_scores_zero() -> None:
    counts = np.array([[3.0, 0.0], [2.0, 0.0]])

    assert np.array_equal(confusion.precision(counts), [0.6, np.nan], equal_nan=True)
    assert np.array_equal(confusion.f1_score(counts), [0.75, 0.0])


def test_averages_leave_out_classes_that_are_not_scored_and_pass_on_nan() -> None:
    values, counts = np.array([0.5, 1.0, np.nan]), np.array([3.0, 1.0, 6.0])
    two, three = np.array([True, True, False]), np.array([True, True, True])

    assert confusion.macro_average(values, scored=two) == 0.75
    assert confusion.weighted_average(values, counts=counts, scored=two) == 0.625
    assert np.isnan(confusion.macro_average(values, scored=three))
    assert np.isnan(confusion.macro_average(values, scored=~three))


def test_predictions_of_another_length_are_refused() -> None:
    with pytest.raises(DataError, match="each of 3 images, got 2"):
        confusion.confusion_matrix([0, 1, 2], [0, 1])
