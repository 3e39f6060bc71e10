from __future__ import annotations

import numpy as np
import pytest

from dermassist.errors import ConfigError, DataError
from dermassist.evaluation import array


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([], "at least one image"),
        ([[0, 1]], r"shape \(1, 2\)"),
        ([0.0, 1.0], "integers 0 to 6"),
        ([0, 7, 1], "label 7 of image 1"),
        ([0, 1, -1], "label -1 of image 2"),
    ],
)
def test_labels_out_of_order_are_refused(labels: list[float], words: str) -> None:
    with pytest.raises(DataError, match=words):
        array.checked_labels(np.array(labels))


def test_labels_of_another_length_are_refused() -> None:
    with pytest.raises(DataError, match="each of 3 images, got 2"):
        array.checked_labels([0, 1], images=3)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([0.5, 0.5], r"\(images, 2\), got \(2,\)"),
        ([[0.2, 0.3, 0.5]], r"\(images, 2\), got \(1, 3\)"),
        ([[0.5, 0.5], [1.2, -0.2]], "image 1 are not all between 0 and 1.*not logits"),
        ([[0.5, np.nan]], "image 0 are not all between 0 and 1"),
        ([[0.5, 0.5], [0.5, 0.4]], "image 1 sum to 0.9"),
    ],
)
def test_what_is_no_probability_is_refused(rows: list[list[float]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        array.checked_probabilities(rows, classes=2)


def test_no_probabilities_at_all_are_refused() -> None:
    with pytest.raises(DataError, match="shape"):
        array.checked_probabilities(np.empty((0, 7)))


def test_single_precision_softmax_passes_unchanged() -> None:
    logits = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32) * 10
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    assert np.array_equal(array.checked_probabilities(chances), chances.astype(np.float64))


@pytest.mark.parametrize("weights", [[1, 1], [[1, 1], [1, 1]], 3, [1, 0.5, 1], [1, -1, 1]])
def test_weights_that_are_no_multiplicities_are_refused(weights: list[float]) -> None:
    with pytest.raises(DataError, match="weights"):
        array.checked_weights(weights, images=3)


def test_groups_must_name_every_image() -> None:
    with pytest.raises(DataError, match="each of 3 images"):
        array.checked_groups(["a", "b"], images=3)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 95.0, float("nan")])
def test_a_share_lies_strictly_between_0_and_1(value: float) -> None:
    with pytest.raises(ConfigError, match="specificity must lie between 0 and 1"):
        array.checked_share(value, name="specificity")


def test_a_count_is_at_least_one() -> None:
    with pytest.raises(ConfigError, match="bins must be at least 1, got 0"):
        array.checked_count(0, name="bins")


def test_ratio_is_nan_where_nothing_is_divided_by() -> None:
    quotient = array.ratio([1, 0, 2], [2, 0, 0])

    assert np.array_equal(quotient, [0.5, np.nan, np.nan], equal_nan=True)
