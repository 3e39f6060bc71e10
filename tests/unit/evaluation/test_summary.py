from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dermassist.diagnosis import CODES
from dermassist.errors import ConfigError, DataError
from dermassist.evaluation.metrics import measure
from dermassist.evaluation.summary import CLASS_MEASURES, OVERALL_MEASURES, summarise

Answers = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[Any]]
DF = CODES.index("df")


def test_values_are_those_of_the_sample_and_intervals_those_of_explicit_resamples(
    answers: Answers,
) -> None:
    """The oracle copies images of drawn lesions instead of weighting them."""
    labels, chances, lesions = answers
    names, lesion_of_image = np.unique(lesions, return_inverse=True)
    rng = np.random.default_rng(7)
    draws: dict[str, list[float]] = {name: [] for name in OVERALL_MEASURES}
    while len(draws["accuracy"]) < 150:
        drawn = rng.integers(len(names), size=len(names))
        images = np.concatenate([np.flatnonzero(lesion_of_image == lesion) for lesion in drawn])
        if len(set(labels[images])) == 7:
            overall = measure(labels[images], chances[images]).overall
            for name in OVERALL_MEASURES:
                draws[name].append(float(getattr(overall, name)))

    summary = summarise(
        labels, chances, groups=lesions, rng=np.random.default_rng(0), resamples=1000
    )

    point = measure(labels, chances)
    for name in OVERALL_MEASURES:
        estimate = getattr(summary.overall, name)
        low, high = np.percentile(draws[name], [2.5, 97.5])
        spread = high - low
        assert estimate.value == pytest.approx(float(getattr(point.overall, name))), name
        assert estimate.low == pytest.approx(low, abs=0.25 * spread), name
        assert estimate.high == pytest.approx(high, abs=0.25 * spread), name
    for place, row in enumerate(summary.classes):
        for name in CLASS_MEASURES:
            value = getattr(point.per_class, name)[place]
            assert getattr(row.measures, name).value == pytest.approx(value)


def test_images_and_lesions_are_counted(answers: Answers) -> None:
    labels, chances, lesions = answers

    summary = summarise(labels, chances, groups=lesions, rng=np.random.default_rng(0), resamples=20)

    assert (summary.images, summary.lesions) == (400, len(set(lesions)))
    assert [row.code for row in summary.classes] == list(CODES)
    for place, row in enumerate(summary.classes):
        assert row.images == (labels == place).sum()
        assert row.lesions == len(set(lesions[labels == place]))
    assert summary.scored == CODES
    assert summary.not_scored == summary.never_predicted == ()


def test_resamples_without_a_class_are_counted_and_left_out(answers: Answers) -> None:
    labels, chances, lesions = answers
    rare = np.flatnonzero(labels == DF)
    kept = np.setdiff1d(np.arange(len(labels)), rare[1:])

    summary = summarise(
        labels[kept],
        chances[kept],
        groups=lesions[kept],
        rng=np.random.default_rng(0),
        resamples=1000,
    )

    # One lesion holds the class: a resample misses it with probability (1 - 1/n)^n, about 1/e.
    missed = summary.missed["df"]
    assert missed == pytest.approx(1000 / np.e, abs=60)
    assert summary.classes[DF].measures.recall.resamples == 1000 - missed
    assert np.isnan(summary.classes[DF].measures.recall.low)
    any_class_missed = sum(summary.missed.values())
    assert 1000 - any_class_missed <= summary.overall.macro_f1.resamples <= 1000 - missed
    assert np.isfinite(summary.overall.macro_f1.value)
    assert np.isnan(summary.overall.macro_f1.low)
    assert summary.overall.accuracy.resamples == 1000


def test_absent_and_never_predicted_classes_are_named(answers: Answers) -> None:
    labels, chances, lesions = answers
    kept = labels != DF
    chances = chances.copy()
    chances[:, 1] = 0
    chances /= chances.sum(axis=1, keepdims=True)

    summary = summarise(
        labels[kept],
        chances[kept],
        groups=lesions[kept],
        rng=np.random.default_rng(0),
        resamples=50,
    )

    assert summary.not_scored == ("df",)
    assert "df" not in summary.scored
    assert summary.never_predicted == ("bcc",)
    assert np.isnan(summary.overall.macro_precision.value)
    assert np.isfinite(summary.overall.macro_f1.value)
    assert summary.classes[1].measures.f1.value == 0


def test_the_seed_decides(answers: Answers) -> None:
    labels, chances, lesions = answers

    first, same, other = (
        summarise(labels, chances, groups=lesions, rng=np.random.default_rng(s), resamples=200)
        for s in (1, 1, 2)
    )

    assert first == same
    assert first.overall.accuracy.low != other.overall.accuracy.low
    assert first.overall.accuracy.value == other.overall.accuracy.value


def test_wrong_settings_are_refused(answers: Answers) -> None:
    labels, chances, lesions = answers
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="groups must name the lesion of each of 400 images"):
        summarise(labels, chances, groups=lesions[1:], rng=rng)
    with pytest.raises(ConfigError, match="resamples must be at least 1"):
        summarise(labels, chances, groups=lesions, rng=rng, resamples=0)
