"""Half of the lesions of each diagnosis, by their names alone."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dermassist.data.calibration_part import calibration_lesions
from dermassist.data.ham10000 import Record
from dermassist.diagnosis import DIAGNOSES


def records_of(lesions: list[int], images: int = 1) -> list[Record]:
    """Return images of made-up lesions, ``lesions[c]`` of class c."""
    return [
        Record(f"I{c}-{k}-{i}", f"L{c}-{k}", DIAGNOSES[c], "histo", None, "male", "back", "x")
        for c, count in enumerate(lesions)
        for k in range(count)
        for i in range(images)
    ]


@given(
    lesions=st.lists(st.integers(0, 30), min_size=1, max_size=7),
    images=st.integers(1, 3),
    seed=st.integers(0, 2**32),
)
def test_half_of_each_diagnosis_whatever_the_order(
    lesions: list[int], images: int, seed: int
) -> None:
    records = records_of(lesions, images)
    chosen = calibration_lesions(records)
    shuffled = [records[i] for i in np.random.default_rng(seed).permutation(len(records))]

    assert calibration_lesions(shuffled) == chosen
    counts: dict[int, set[str]] = defaultdict(set)
    for record in records:
        if record.lesion_id in chosen:
            counts[record.diagnosis.index].add(record.lesion_id)
    assert [len(counts[c]) for c in range(len(lesions))] == [(n + 1) // 2 for n in lesions]


def test_the_choice_does_not_follow_the_order_of_names() -> None:
    chosen = {int(name.split("-")[1]) for name in calibration_lesions(records_of([200]))}
    kept = set(range(200)) - chosen
    assert abs(np.mean(list(chosen)) - np.mean(list(kept))) < 25
    assert len({k % 2 for k in chosen}) == 2
