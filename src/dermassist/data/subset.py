"""A smaller part of a data set that looks like the whole: lesions kept together, classes alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dermassist.data.ham10000 import Record
from dermassist.diagnosis import Diagnosis


def stratified_subset(records: Sequence[Record], *, images: int, seed: int) -> tuple[Record, ...]:
    """Draw whole lesions until every diagnosis has its share of about so many images.

    Args:
        records: what to draw from.
        images: wanted number of images; every diagnosis that is there gets one lesion at least,
            and its last lesion may bring more images than were wanted.
        seed: of the draw, which does not depend on the order of the records.

    Returns:
        The drawn records in their own order; all of them where ``images`` is not fewer.
    """
    if images >= len(records):
        return tuple(records)
    share = images / len(records)
    by_diagnosis: dict[Diagnosis, dict[str, int]] = {}
    for record in records:
        lesions = by_diagnosis.setdefault(record.diagnosis, {})
        lesions[record.lesion_id] = lesions.get(record.lesion_id, 0) + 1
    drawn: set[str] = set()
    for diagnosis, lesions in by_diagnosis.items():
        rng = np.random.default_rng([seed, diagnosis.index])
        drawn |= _drawn_lesions(lesions, wanted=share * sum(lesions.values()), rng=rng)
    return tuple(record for record in records if record.lesion_id in drawn)


def _drawn_lesions(
    images_of: dict[str, int], *, wanted: float, rng: np.random.Generator
) -> set[str]:
    """Draw lesions until they have the wanted number of images, to the nearest image."""
    names = sorted(images_of)
    drawn: set[str] = set()
    count = 0
    for position in rng.permutation(len(names)):
        if drawn and count + 0.5 > wanted:
            break
        drawn.add(names[position])
        count += images_of[names[position]]
    return drawn
