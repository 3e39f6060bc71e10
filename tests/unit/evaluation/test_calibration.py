from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dermassist.errors import ConfigError, DataError
from dermassist.evaluation.calibration import (
    calibration_reference,
    expected_calibration_error,
    reliability_bins,
    reliability_by_answer,
)

Answers = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[Any]]


def error_one_by_one(
    labels: NDArray[np.int64], chances: NDArray[np.float64], bins: int = 15
) -> float:
    """Equation 3 of Guo et al., image by image."""
    members: dict[int, list[tuple[float, bool]]] = {}
    for label, row in zip(labels, chances, strict=True):
        confidence = max(row)
        place = next(m for m in range(1, bins + 1) if confidence <= m / bins)
        members.setdefault(place, []).append((confidence, int(np.argmax(row)) == label))
    gaps = [
        len(rows)
        * abs(sum(confidence for confidence, _ in rows) - sum(right for _, right in rows))
        / len(rows)
        for rows in members.values()
    ]
    return float(sum(gaps) / len(labels))


def test_the_error_is_that_of_the_formula(answers: Answers) -> None:
    labels, chances, _ = answers

    assert expected_calibration_error(labels, chances) == pytest.approx(
        error_one_by_one(labels, chances)
    )
    assert expected_calibration_error(labels, chances, bins=4) == pytest.approx(
        error_one_by_one(labels, chances, 4)
    )


def test_weights_are_repetitions(answers: Answers) -> None:
    labels, chances, _ = answers
    weights = np.random.default_rng(0).integers(0, 3, (2, len(labels)))

    errors = expected_calibration_error(labels, chances, weights=weights)

    for error, times in zip(errors, weights, strict=True):
        repeated = np.repeat(labels, times), np.repeat(chances, times, axis=0)
        assert error == pytest.approx(error_one_by_one(*repeated))


def test_a_worked_example() -> None:
    # Two images at 0.9 of which one is right, two at 0.6 both right: (2 * 0.4 + 2 * 0.4) / 4.
    chances = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    labels = [0, 1, 0, 1]

    bins = reliability_bins(labels, chances, bins=2)
    fine = reliability_bins(labels, chances, bins=5)

    assert expected_calibration_error(labels, chances, bins=5) == pytest.approx(0.4)
    assert bins.count == (0, 4)
    assert fine.edges == pytest.approx((0, 0.2, 0.4, 0.6, 0.8, 1))
    assert fine.count == (0, 0, 2, 0, 2)
    assert fine.confidence == pytest.approx((np.nan, np.nan, 0.6, np.nan, 0.9), nan_ok=True)
    assert fine.accuracy == pytest.approx((np.nan, np.nan, 1.0, np.nan, 0.5), nan_ok=True)


def test_bins_hold_every_image_and_give_the_error(answers: Answers) -> None:
    labels, chances, _ = answers

    bins = reliability_bins(labels, chances)

    count = np.array(bins.count)
    gaps = np.abs(np.array(bins.accuracy) - bins.confidence)
    assert count.sum() == len(labels)
    assert expected_calibration_error(labels, chances) == pytest.approx(
        np.nansum(count * gaps) / len(labels)
    )


def test_the_bins_of_each_answer_add_up_to_those_of_all(answers: Answers) -> None:
    labels, chances, _ = answers
    every, each = reliability_bins(labels, chances), reliability_by_answer(labels, chances)
    assert len(each) == chances.shape[1]
    assert np.array([own.count for own in each]).sum(axis=0).tolist() == list(every.count)
    given = chances.argmax(axis=1)
    assert [sum(own.count) for own in each] == np.bincount(given, minlength=len(each)).tolist()
    for number, own in enumerate(each):
        right = sum(n * a for n, a in zip(own.count, own.accuracy, strict=True) if n)
        assert right == pytest.approx(((given == number) & (labels == number)).sum())


def test_a_class_that_nobody_was_given_has_empty_bins() -> None:
    first, second = reliability_by_answer([0, 1], [[0.9, 0.1], [0.6, 0.4]])
    assert sum(first.count) == 2
    assert set(second.count) == {0}
    assert np.isnan(second.accuracy).all()


def test_certain_and_right_is_an_error_of_0_and_certain_and_wrong_of_1() -> None:
    assert expected_calibration_error([0, 1], np.eye(7)[:2]) == 0
    assert expected_calibration_error([1, 0], np.eye(7)[:2]) == 1


def test_the_reference_is_the_error_of_labels_drawn_from_the_probabilities(
    answers: Answers,
) -> None:
    _, chances, _ = answers
    rng = np.random.default_rng(5)
    cumulated = chances.cumsum(axis=1)
    errors = []
    for _ in range(600):
        drawn = (rng.random((len(chances), 1)) > cumulated).sum(axis=1).clip(max=6)
        errors.append(float(expected_calibration_error(drawn, chances)))

    reference = calibration_reference(chances, rng=np.random.default_rng(6), simulations=600)

    assert reference.simulations == 600
    assert reference.mean == pytest.approx(np.mean(errors), abs=0.0015)
    low, high = np.percentile(errors, [2.5, 97.5])
    assert reference.low == pytest.approx(low, abs=0.004)
    assert reference.high == pytest.approx(high, abs=0.004)


def test_more_images_show_less_error_by_chance(answers: Answers) -> None:
    _, chances, _ = answers
    rng = np.random.default_rng(0)

    few = calibration_reference(chances, rng=rng, simulations=150)
    many = calibration_reference(np.tile(chances, (16, 1)), rng=rng, simulations=150)

    assert many.mean == pytest.approx(few.mean / 4, rel=0.15)


def test_the_same_generator_gives_the_same_reference(answers: Answers) -> None:
    _, chances, _ = answers

    first, same, other = (
        calibration_reference(chances, rng=np.random.default_rng(seed), simulations=120)
        for seed in (1, 1, 2)
    )

    assert first == same
    assert first != other


def test_wrong_settings_are_refused(answers: Answers) -> None:
    labels, chances, _ = answers
    with pytest.raises(ConfigError, match="bins must be at least 1"):
        expected_calibration_error(labels, chances, bins=0)
    with pytest.raises(ConfigError, match="simulations must be at least 1"):
        calibration_reference(chances, rng=np.random.default_rng(0), simulations=0)
    with pytest.raises(DataError, match="one label for each of 399 images"):
        expected_calibration_error(labels, chances[1:])
