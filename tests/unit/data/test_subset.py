"""A smaller part of a data set keeps lesions together and classes alike."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermassist.data.ham10000 import Record
from dermassist.data.subset import stratified_subset
from dermassist.diagnosis import DIAGNOSES, Diagnosis

#: Lesions of each diagnosis: some are as rare as in HAM10000, most are nevi.
LESIONS = (12, 15, 30, 5, 40, 200, 6)

Lesions = dict[str, list[Record]]


def lesion(name: str, diagnosis: Diagnosis, images: int) -> list[Record]:
    return [
        Record(f"{name}-{k}", name, diagnosis, "histo", None, "male", "back", "x")
        for k in range(images)
    ]


def lesions_of(counts: dict[Diagnosis, list[int]]) -> Lesions:
    """Return lesions by name, each with so many images."""
    return {
        f"{diagnosis.code}{place}": lesion(f"{diagnosis.code}{place}", diagnosis, images)
        for diagnosis, sizes in counts.items()
        for place, images in enumerate(sizes)
    }


def flat(lesions: Lesions) -> list[Record]:
    return [record for images in lesions.values() for record in images]


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Every diagnosis in lesions of one to three images, mixed as a metadata table is."""
    random = np.random.default_rng(0)
    counts = {
        diagnosis: random.integers(1, 4, size=number).tolist()
        for diagnosis, number in zip(DIAGNOSES, LESIONS, strict=True)
    }
    ordered = flat(lesions_of(counts))
    return [ordered[place] for place in random.permutation(len(ordered))]


@st.composite
def data_sets(draw: st.DrawFn) -> Lesions:
    sizes = st.lists(st.integers(1, 6), min_size=1, max_size=12)
    there = st.lists(st.sampled_from(DIAGNOSES), min_size=1, unique=True)
    return lesions_of({diagnosis: draw(sizes) for diagnosis in draw(there)})


@settings(max_examples=100)
@given(lesions=data_sets(), share=st.floats(0.0, 1.0), seed=st.integers(0, 2**32))
def test_whole_lesions_of_every_diagnosis_give_it_its_share(
    lesions: Lesions, share: float, seed: int
) -> None:
    whole = flat(lesions)
    images = max(1, int(share * len(whole)))
    subset = stratified_subset(whole, images=images, seed=seed)

    drawn = Counter(record.lesion_id for record in subset)
    assert drawn == {name: len(lesions[name]) for name in drawn}
    counts, before = (Counter(record.diagnosis for record in part) for part in (subset, whole))
    assert counts.keys() == before.keys()
    for diagnosis, count in counts.items():
        largest = max(len(each) for each in lesions.values() if each[0].diagnosis is diagnosis)
        assert abs(count - before[diagnosis] * images / len(whole)) <= largest


@pytest.mark.parametrize("images", [50, 51])
def test_lesions_of_one_image_give_their_share_to_the_nearest_image(images: int) -> None:
    counts = {DIAGNOSES[0]: 60, DIAGNOSES[1]: 10, DIAGNOSES[2]: 30, DIAGNOSES[3]: 1}
    whole = flat(lesions_of({diagnosis: [1] * number for diagnosis, number in counts.items()}))
    subset = stratified_subset(whole, images=images, seed=0)
    # 50 of 101 are 29.7, 4.95 and 14.85, and 51 are 30.3, 5.05 and 15.15; of the last diagnosis
    # half an image is wanted
    assert [Counter(r.diagnosis for r in subset)[d] for d in DIAGNOSES[:4]] == [30, 5, 15, 1]


def test_shuffled_records_give_the_same_images_in_their_own_order(records: list[Record]) -> None:
    subset = stratified_subset(records, images=100, seed=3)
    places = [records.index(record) for record in subset]
    assert places == sorted(set(places))
    for turned in (records[::-1], sorted(records, key=lambda record: record.image_id)):
        assert set(stratified_subset(turned, images=100, seed=3)) == set(subset)


def test_a_seed_repeats_and_another_draws_anew(records: list[Record]) -> None:
    first, again, other = (stratified_subset(records, images=100, seed=seed) for seed in (1, 1, 2))
    assert first == again
    # of three hundred lesions about every fifth is drawn, so few are drawn twice
    assert len(set(first) & set(other)) < len(first) / 2


@pytest.mark.parametrize("more", [0, 1])
def test_as_many_images_as_there_are_give_all(records: list[Record], more: int) -> None:
    assert stratified_subset(records, images=len(records) + more, seed=0) == tuple(records)
