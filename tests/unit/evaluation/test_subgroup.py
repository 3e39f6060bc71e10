from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dermassist.errors import DataError
from dermassist.evaluation.subgroup import (
    AGE_BANDS,
    Metadata,
    age_band,
    summarise_subgroups,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Answers = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[Any]]


@pytest.mark.parametrize(
    ("age", "band"),
    [
        (0, "0-29"),
        (29.9, "0-29"),
        (30, "30-44"),
        (74, "60-74"),
        (75, "75+"),
        (104, "75+"),
        (None, "unknown"),
        (float("nan"), "unknown"),
    ],
)
def test_ages_fall_into_bands(age: float | None, band: str) -> None:
    assert age_band(age) == band


def test_bands_sort_by_age_as_text() -> None:
    bands = [age_band(first) for first in AGE_BANDS]

    assert bands == sorted(bands)


@pytest.mark.parametrize("age", [-1.0, float("inf")])
def test_an_age_that_cannot_be_is_refused(age: float) -> None:
    with pytest.raises(DataError, match="number of years"):
        age_band(age)


def test_missing_values_are_unknown_and_missing_columns_left_out() -> None:
    columns = Metadata(sex=["male", None, ""], age_years=[50, None, 80]).columns(images=3)

    assert {name: list(values) for name, values in columns.items()} == {
        "sex": ["male", "unknown", "unknown"],
        "age_band": ["45-59", "unknown", "75+"],
    }


def test_a_column_of_another_length_is_refused() -> None:
    with pytest.raises(DataError, match="body_site must have 3 values, got 1"):
        Metadata(body_site=["back"]).columns(images=3)


def test_subgroups_split_the_images_and_score_common_classes(
    make_answers: Callable[..., Answers],
) -> None:
    labels, chances, lesions = make_answers(900)
    sex = np.where(np.arange(900) < 500, "male", "female")
    sources = ["unknown"] * 20 + ["vidir_modern"] * 880

    groups = summarise_subgroups(
        labels,
        chances,
        groups=lesions,
        metadata=Metadata(sex=list(sex), source=sources),
        rng=np.random.default_rng(0),
        resamples=30,
    )

    found = [(group.attribute, group.value) for group in groups]
    assert found == [
        ("sex", "female"),
        ("sex", "male"),
        ("source", "vidir_modern"),
        ("source", "unknown"),
    ]
    male = groups[1]
    predicted = chances.argmax(axis=1)
    assert male.summary.overall.accuracy.value == pytest.approx((predicted == labels)[:500].mean())
    assert male.summary.images == 500
    assert male.summary.lesions == len(set(lesions[:500]))
    counts = np.bincount(labels[:500], minlength=7)
    scored = [row.scored for row in male.summary.classes]
    assert scored == (counts >= 20).tolist()
    assert 0 < sum(scored) < 7
    recalls = [(predicted[:500] == c)[labels[:500] == c].mean() for c in np.flatnonzero(scored)]
    assert male.summary.overall.balanced_accuracy.value == pytest.approx(np.mean(recalls))


def test_few_lesions_are_flagged_however_many_images(make_answers: Callable[..., Answers]) -> None:
    labels, chances, _ = make_answers(100)
    lesions = np.where(np.arange(100) < 60, np.arange(100) % 29, np.arange(100))
    sex = ["male"] * 60 + ["female"] * 40

    female, male = summarise_subgroups(
        labels,
        chances,
        groups=lesions,
        metadata=Metadata(sex=sex),
        rng=np.random.default_rng(0),
        resamples=10,
    )

    assert (female.summary.lesions, female.small) == (40, False)
    assert (male.summary.lesions, male.small) == (29, True)


def test_without_metadata_there_are_no_subgroups(answers: Answers) -> None:
    labels, chances, lesions = answers

    assert not summarise_subgroups(
        labels, chances, groups=lesions, metadata=Metadata(), rng=np.random.default_rng(0)
    )
