"""Which images train, choose and test in each trial of a protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dermassist.data.ham10000 import Record
from dermassist.data.protocol_name import Protocol
from dermassist.data.split import FOLDS, Part, Splits, select
from dermassist.errors import ConfigError

#: The fold whose validation lesions choose in a trial that leaves a source out.
_SOURCE_VALIDATION_FOLD = 0


@dataclass(frozen=True)
class Trial:
    """One training of a protocol, and the images that test it.

    Attributes:
        name: file name of its results.
        origin: what tells it from other trials, in plain JSON types.
        train: learned from.
        validation: chooses and calibrates.
        test: answered once; under ``PAPER`` the same images as ``validation``.
    """

    name: str
    origin: Mapping[str, Any]
    train: tuple[Record, ...]
    validation: tuple[Record, ...]
    test: tuple[Record, ...]


def lesion_trial(records: Sequence[Record], splits: Splits, *, fold: int) -> Trial:
    """Return the trial that tests one lesion-grouped fold, 0 to 4."""
    train, validation, test = (
        select(records, splits.image_ids(part, test_fold=fold))
        for part in (Part.TRAIN, Part.VALIDATION, Part.TEST)
    )
    return _trial(f"fold{fold}", Protocol.LESION, splits, {"fold": fold}, train, validation, test)


def paper_trial(records: Sequence[Record], splits: Splits) -> Trial:
    """Return the paper's split: what is reported also selects."""
    train, test = (
        select(records, splits.paper_image_ids(part)) for part in (Part.TRAIN, Part.TEST)
    )
    return _trial("paper", Protocol.PAPER, splits, {}, train, test, test)


def source_trial(records: Sequence[Record], splits: Splits, *, source: str) -> Trial:
    """Return the trial that tests one source; the others train and choose, grouped by lesion.

    Raises:
        ConfigError: there is no such source, or no other.
    """
    sources = sorted({record.source for record in records})
    if source not in sources or len(sources) < 2:
        raise ConfigError(f"the source to leave out must be one of {', '.join(sources)}")
    outside = {record.image_id for record in records if record.source == source}
    # A lesion photographed at two sources must not train for its own test.
    lesions = {record.lesion_id for record in records if record.source == source}
    seen = [a for a in splits.assignments if a.lesion_id not in lesions]
    chooses = {a.image_id for a in seen if _SOURCE_VALIDATION_FOLD in a.validation_of}
    train, validation, test = (
        select(records, tuple(names))
        for names in ({a.image_id for a in seen} - chooses, chooses, outside)
    )
    origin = {"source": source}
    return _trial(source, Protocol.SOURCE, splits, origin, train, validation, test)


def trials(protocol: Protocol, records: Sequence[Record], splits: Splits) -> tuple[Trial, ...]:
    """Return every trial of a protocol."""
    if protocol is Protocol.LESION:
        return tuple(lesion_trial(records, splits, fold=fold) for fold in range(FOLDS))
    if protocol is Protocol.PAPER:
        return (paper_trial(records, splits),)
    sources = sorted({record.source for record in records})
    return tuple(source_trial(records, splits, source=source) for source in sources)


def _trial(
    name: str,
    protocol: Protocol,
    splits: Splits,
    origin: Mapping[str, Any],
    *parts: tuple[Record, ...],
) -> Trial:
    train, validation, test = parts
    described = {"splits_sha256": splits.sha256, "protocol": protocol.value, **origin}
    return Trial(name, described, train, validation, test)
