"""Who is trained on, who chooses, who is tested: lesion-grouped folds, and the paper's split.

A split file lists every image once with its part in every protocol, and carries a hash, so that
a result can name exactly the split it was measured on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermassist.config import check_range
from dermassist.data.ham10000 import Record
from dermassist.errors import DataError, MissingExtraError
from dermassist.storage import write_text

SCHEMA_VERSION = 1
FOLDS = 5
#: One in ten of the lesions outside the test fold is validation.
VALIDATION_SHARE = 10
PAPER_TEST_SHARE = 0.2
#: scikit-learn takes 32 bits; the validation parts use the seeds after the given one.
LARGEST_SEED = 2**32 - 1 - FOLDS


class Part(StrEnum):
    """Part of one protocol's split."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True)
class Assignment:
    """Where one image stands in every protocol.

    Attributes:
        image_id: HAM10000's name of the image.
        lesion_id: HAM10000's name of the lesion.
        fold: the lesion-grouped fold, 0 to 4, in which the image is tested.
        validation_of: test folds for which the image is validation; never its own.
        paper: the image's part in the paper's image-level 80:20 split.
    """

    image_id: str
    lesion_id: str
    fold: int
    validation_of: tuple[int, ...]
    paper: Part

    def part(self, test_fold: int) -> Part:
        """Return the image's part when ``test_fold`` is the test fold."""
        if self.fold == test_fold:
            return Part.TEST
        return Part.VALIDATION if test_fold in self.validation_of else Part.TRAIN


@dataclass(frozen=True)
class Splits:
    """All assignments, in the order of the records they were made from."""

    seed: int
    assignments: tuple[Assignment, ...]

    @property
    def sha256(self) -> str:
        """Hash of the assignments, independent of how the file is laid out."""
        canonical = json.dumps([self.seed, _to_rows(self.assignments)], separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def image_ids(self, part: Part, *, test_fold: int) -> tuple[str, ...]:
        """Return the images of one part of the lesion-grouped protocol."""
        return tuple(a.image_id for a in self.assignments if a.part(test_fold) is part)

    def paper_image_ids(self, part: Part) -> tuple[str, ...]:
        """Return the images of one part of the paper's split, which leaks lesions."""
        return tuple(a.image_id for a in self.assignments if a.paper is part)


def make_splits(records: Sequence[Record], *, seed: int) -> Splits:
    """Draw five lesion-grouped folds stratified by diagnosis and source, and the paper's split.

    Args:
        records: what to split; records of one lesion stay together in the grouped folds.
        seed: of the random generator, 0 to ``LARGEST_SEED``; the same seed and records give the
            same splits.

    Raises:
        ConfigError: the seed is out of its range.
        MissingExtraError: scikit-learn is not installed.
        DataError: there are too few lesions to split.
    """
    check_range("seed", seed, low=0, high=LARGEST_SEED)
    lesions = np.array([record.lesion_id for record in records])
    if len(set(lesions)) < FOLDS * VALIDATION_SHARE:
        raise DataError(
            f"{len(set(lesions))} lesions are too few for {FOLDS} folds and a validation part; "
            f"at least {FOLDS * VALIDATION_SHARE} are needed"
        )
    strata = _strata(records)
    fold = _grouped_parts(strata, lesions, count=FOLDS, seed=seed)
    validation = [_validation(strata, lesions, fold, test_fold=k, seed=seed) for k in range(FOLDS)]
    paper_test = _paper_test(np.array([r.diagnosis.code for r in records]), seed=seed)
    return Splits(
        seed=seed,
        assignments=tuple(
            Assignment(
                image_id=record.image_id,
                lesion_id=record.lesion_id,
                fold=int(fold[i]),
                validation_of=tuple(k for k in range(FOLDS) if validation[k][i]),
                paper=Part.TEST if paper_test[i] else Part.TRAIN,
            )
            for i, record in enumerate(records)
        ),
    )


def write_splits(splits: Splits, path: Path) -> None:
    """Write the splits as JSON, one image a line."""
    rows = ",\n".join(
        json.dumps(row, separators=(",", ":")) for row in _to_rows(splits.assignments)
    )
    header = f'{{"schema_version":{SCHEMA_VERSION},"seed":{splits.seed},"sha256":"{splits.sha256}",'
    write_text(path, f'{header}\n"columns":{json.dumps(_COLUMNS)},\n"rows":[\n{rows}\n]}}\n')


def read_splits(path: Path) -> Splits:
    """Read and verify a split file.

    Raises:
        DataError: the file is missing, malformed or does not match its own hash.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        splits = Splits(
            seed=int(content["seed"]),
            assignments=tuple(_from_row(row) for row in content["rows"]),
        )
        stated = content["sha256"]
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such split file; make one with  dermassist data split"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: is not a split file ({error!r:.200})") from error
    if splits.sha256 != stated:
        raise DataError(f"{path}: does not match its hash; it was changed, make it again")
    return splits


def select(records: Sequence[Record], image_ids: Sequence[str]) -> tuple[Record, ...]:
    """Return the records of the given images, in the order of ``records``.

    Raises:
        DataError: an image has no record.
    """
    wanted = set(image_ids)
    chosen = tuple(record for record in records if record.image_id in wanted)
    absent = wanted - {record.image_id for record in chosen}
    if absent:
        raise DataError(
            f"{len(absent)} images of the split are not in the data set, {min(absent)} among them; "
            "the split was made for other data"
        )
    return chosen


_COLUMNS = ("image_id", "lesion_id", "fold", "validation_of", "paper")
_Row = list[str | int | list[int]]
_Names = NDArray[np.str_]


def _to_rows(assignments: Sequence[Assignment]) -> list[_Row]:
    return [
        [a.image_id, a.lesion_id, a.fold, list(a.validation_of), a.paper.value] for a in assignments
    ]


def _from_row(row: Sequence[object]) -> Assignment:
    image_id, lesion_id, fold, validation_of, paper = row
    if not isinstance(fold, int) or not isinstance(validation_of, list):
        raise TypeError(f"malformed row {row!r}")
    return Assignment(
        str(image_id), str(lesion_id), fold, tuple(int(k) for k in validation_of), Part(str(paper))
    )


def _strata(records: Sequence[Record]) -> _Names:
    """Name each record's stratum, diagnosis and source.

    A stratum with too few lesions to reach every part joins the largest one of its diagnosis.
    """
    lesions: dict[tuple[str, str], set[str]] = {}
    for record in records:
        lesions.setdefault((record.diagnosis.code, record.source), set()).add(record.lesion_id)
    largest: dict[str, tuple[str, str]] = {}
    for stratum in sorted(lesions, key=lambda name: (-len(lesions[name]), name)):
        largest.setdefault(stratum[0], stratum)
    enough = FOLDS * VALIDATION_SHARE
    home = {name: name if len(lesions[name]) >= enough else largest[name[0]] for name in lesions}
    return np.array(["/".join(home[r.diagnosis.code, r.source]) for r in records])


@contextmanager
def _too_few_explained() -> Iterator[None]:
    """Turn scikit-learn's refusal of small data sets into ours."""
    try:
        yield
    except ValueError as error:
        raise DataError(
            f"there are too few images of a diagnosis to split ({error}); use a larger data set"
        ) from error


def _grouped_parts(
    strata: _Names,
    lesions: _Names,
    *,
    count: int,
    seed: int,
) -> NDArray[np.int64]:
    try:
        from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415 - optional extra
    except ImportError:
        raise MissingExtraError("Making splits", extra="train") from None
    part = np.zeros(len(lesions), np.int64)
    folds = StratifiedGroupKFold(n_splits=count, shuffle=True, random_state=seed)
    with _too_few_explained():
        for k, (_, members) in enumerate(folds.split(strata, strata, lesions)):
            part[members] = k
    return part


def _validation(
    strata: _Names,
    lesions: _Names,
    fold: NDArray[np.int64],
    *,
    test_fold: int,
    seed: int,
) -> NDArray[np.bool_]:
    rest = np.flatnonzero(fold != test_fold)
    parts = _grouped_parts(
        strata[rest], lesions[rest], count=VALIDATION_SHARE, seed=seed + 1 + test_fold
    )
    chosen = np.zeros(len(lesions), np.bool_)
    chosen[rest[parts == 0]] = True
    return chosen


def _paper_test(codes: _Names, *, seed: int) -> NDArray[np.bool_]:
    from sklearn.model_selection import train_test_split  # noqa: PLC0415 - optional extra

    with _too_few_explained():
        _, test = train_test_split(
            np.arange(len(codes)), test_size=PAPER_TEST_SHARE, stratify=codes, random_state=seed
        )
    chosen = np.zeros(len(codes), np.bool_)
    chosen[test] = True
    return chosen
