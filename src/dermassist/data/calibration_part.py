"""Two parts of the validation lesions: what fits a rule must not also vouch for it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from dermassist.data.ham10000 import Record


def calibration_lesions(records: Sequence[Record]) -> frozenset[str]:
    """Choose every other lesion of each diagnosis, in an order that only their names decide.

    A lesion's place depends on a hash of its name, so the choice is random with regard to what
    the images show, the same on every machine, and needs no further file.

    Args:
        records: validation records.

    Returns:
        Lesion names, of each diagnosis half, rounded up.
    """
    lesions: dict[str, set[str]] = {}
    for record in records:
        lesions.setdefault(record.diagnosis.code, set()).add(record.lesion_id)
    return frozenset(
        lesion for names in lesions.values() for lesion in sorted(names, key=_shuffled)[::2]
    )


def _shuffled(lesion: str) -> str:
    return hashlib.sha256(lesion.encode()).hexdigest()
