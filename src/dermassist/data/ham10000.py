"""Reading HAM10000 from disk: the official layout, one flat folder, or a squeezed copy."""

from __future__ import annotations

import csv
import filecmp
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dermassist.diagnosis import Diagnosis
from dermassist.errors import DataError
from dermassist.imaging import declared_size
from dermassist.imaging.decoding import IMAGE_SUFFIXES

METADATA_NAMES = ("HAM10000_metadata.csv", "HAM10000_metadata")
METADATA_COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
MASK_SUFFIX = "_segmentation.png"
OLDEST_YEARS = 130
#: How far two aspect ratios may lie apart and still count as the same (rounding of sides).
ASPECT_TOLERANCE = 0.01


@dataclass(frozen=True)
class Record:
    """One image of HAM10000 and what is known of it.

    ``age`` is in years, ``None`` where missing; ``sex``, ``localization`` and ``source`` may be
    ``"unknown"``. ``path`` and ``mask_path`` are ``None`` where there is no such file.
    """

    image_id: str
    lesion_id: str
    diagnosis: Diagnosis
    dx_type: str
    age: float | None
    sex: str
    localization: str
    source: str
    path: Path | None = None
    mask_path: Path | None = None


@dataclass(frozen=True)
class Ham10000:
    """The records in the order of the metadata file.

    ``pixel_aspect`` is the width of a pixel divided by its height: 1 for ordinary images, 4/3
    for 4:3 images that were squeezed to squares.
    """

    records: tuple[Record, ...]
    pixel_aspect: float = 1.0


def read_ham10000(directory: Path, *, pixel_aspect: float | None = None) -> Ham10000:
    """Read the metadata and find the image and mask of every record.

    Args:
        directory: holds the metadata file, and images and masks at most two folders down.
        pixel_aspect: overrides what the masks say about squeezed images.

    Returns:
        All records; those without an image have ``path`` None (``check_ham10000`` lists them).
        ``pixel_aspect`` comes from comparing images with their masks, which keep the true
        proportions: a square image whose mask is 4:3 was squeezed. Without masks it is 1.

    Raises:
        DataError: the folder or its metadata is missing or not HAM10000's, or an image is there
            twice with other content.
    """
    if not directory.is_dir():
        raise DataError(f"{directory}: no such folder; name the folder that holds HAM10000")
    if not os.access(directory, os.R_OK | os.X_OK):
        raise DataError(f"{directory}: no permission to look into it; change its permissions")
    return locate(read_metadata(_find_metadata(directory)), directory, pixel_aspect=pixel_aspect)


def locate(
    records: Iterable[Record], directory: Path, *, pixel_aspect: float | None = None
) -> Ham10000:
    """Find the image and mask of every record in a folder; arguments as in ``read_ham10000``."""
    files = _index_files(directory)
    images, masks = defaultdict[str, list[Path]](list), defaultdict[str, list[Path]](list)
    for path in files:
        if path.name.endswith(MASK_SUFFIX):
            masks[path.name.removesuffix(MASK_SUFFIX)].append(path)
        elif path.suffix.lower() in IMAGE_SUFFIXES:
            images[path.stem].append(path)
    located = tuple(
        replace(
            record,
            path=_only(images.get(record.image_id, [])),
            mask_path=_only(masks.get(record.image_id, [])),
        )
        for record in records
    )
    aspect = pixel_aspect if pixel_aspect is not None else _required_pixel_aspect(located)
    return Ham10000(records=located, pixel_aspect=aspect)


def _only(files: Sequence[Path]) -> Path | None:
    """Return the file of an image; copies of it count as one, other pixels under its name do not.

    Raises:
        DataError: two files of that name differ.
    """
    for other in files[1:]:
        if not filecmp.cmp(files[0], other, shallow=False):
            raise DataError(
                f"{files[0]} and {other} are both called {files[0].stem} and differ; "
                "remove one, or name the folder that holds only one of them"
            )
    return files[0] if files else None


def measure_pixel_aspect(records: Iterable[Record]) -> float | None:
    """Compare the shapes of some images with those of their masks, spread over the records.

    Returns:
        The width of a pixel divided by its height, 1 where they agree; ``None`` where no image
        and mask can be compared. Damaged files are passed over.

    Raises:
        DataError: images and masks disagree about proportions.
    """
    both = [(r.path, r.mask_path) for r in records if r.path and r.mask_path]
    step = max(1, len(both) // 8)
    measured = [_pixel_aspect(*files) for files in both[::step]]
    aspects = [aspect for aspect in measured if aspect is not None]
    if not aspects:
        return None
    if max(aspects) - min(aspects) > ASPECT_TOLERANCE:
        raise DataError(
            f"images and masks disagree about proportions (from {min(aspects):.3f} to "
            f"{max(aspects):.3f}); make them agree, or give the true ones with --squeezed-from"
        )
    mean = sum(aspects) / len(aspects)
    return 1.0 if abs(mean - 1.0) <= ASPECT_TOLERANCE else mean


def read_metadata(path: Path) -> tuple[Record, ...]:
    """Read HAM10000's metadata table, comma- or tab-separated, without looking for images.

    Raises:
        DataError: a column is missing or stands twice, a row is malformed, an image stands twice,
            or a lesion has two diagnoses.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            separator = "\t" if "\t" in file.readline() else ","
            file.seek(0)
            reader = csv.DictReader(file, delimiter=separator)
            rows = [(reader.line_num, row) for row in reader]
            names = reader.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table ({error})") from error
    _check_columns(path, [row for _, row in rows])
    check_names(path, names)
    records = tuple(_to_record(path, line, row) for line, row in rows)
    check_unique(path, [(line, row["image_id"].strip()) for line, row in rows])
    check_lesions(path, records)
    return records


def check_names(path: Path, names: Iterable[str]) -> None:
    """Refuse a table with two columns of one name: only the last of them would be read.

    Raises:
        DataError: a name stands twice; empty ones, which nothing reads, may.
    """
    for name, count in Counter(name.strip() for name in names).items():
        if name and count > 1:
            raise DataError(f"{path}: has {count} columns called {name}; keep one of them")


def check_lesions(path: Path, records: Iterable[Record]) -> None:
    """Refuse a lesion with two diagnoses: one of its labels is wrong, or two lesions share a name.

    Raises:
        DataError: names the lesion and two of its images.
    """
    first: dict[str, Record] = {}
    for record in records:
        other = first.setdefault(record.lesion_id, record)
        if record.diagnosis is not other.diagnosis:
            raise DataError(
                f"{path}: lesion {record.lesion_id} is {other.diagnosis.code} in image "
                f"{other.image_id} and {record.diagnosis.code} in image {record.image_id}; make "
                "them agree, or give the lesions names of their own"
            )


def _find_metadata(directory: Path) -> Path:
    for name in METADATA_NAMES:
        if (directory / name).is_file():
            return directory / name
    raise DataError(
        f"{directory}: holds no {METADATA_NAMES[0]}; "
        "run  dermassist data fetch  or name the right folder"
    )


def _index_files(directory: Path) -> list[Path]:
    """Return files in the folder and two folders down, sorted; hidden ones left out."""
    found = (path for pattern in ("*", "*/*", "*/*/*") for path in directory.glob(pattern))
    return sorted(path for path in found if path.is_file() and not _is_hidden(path, directory))


def _is_hidden(path: Path, directory: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(directory).parts)


def _check_columns(path: Path, rows: list[dict[str, str]]) -> None:
    if not rows:
        raise DataError(f"{path}: holds no rows; download it again")
    missing = [column for column in METADATA_COLUMNS if column not in rows[0]]
    if missing:
        raise DataError(f"{path}: has no column {', '.join(missing)}; is it HAM10000's metadata?")


def check_unique(path: Path, image_ids: Iterable[tuple[int, str]]) -> None:
    """Refuse an image that stands in two rows.

    Args:
        path: of the table, for the message.
        image_ids: line and name of every row.

    Raises:
        DataError: names the image and both lines.
    """
    first: dict[str, int] = {}
    for line, image_id in image_ids:
        if image_id in first:
            raise DataError(
                f"{path}, line {line}: image {image_id} stands in line {first[image_id]} already; "
                "remove one of the rows"
            )
        first[image_id] = line


def _to_record(path: Path, line: int, row: Mapping[str | None, Any]) -> Record:
    try:
        values = row_cells(row)
        return Record(
            image_id=_required(values, "image_id"),
            lesion_id=_required(values, "lesion_id"),
            diagnosis=Diagnosis.from_code(values["dx"]),
            dx_type=values["dx_type"] or "unknown",
            age=_age(values["age"]),
            sex=values["sex"] or "unknown",
            localization=values["localization"] or "unknown",
            source=values.get("dataset") or "unknown",
        )
    except ValueError as error:
        raise DataError(f"{path}, line {line}: {error}") from None


def row_cells(row: Mapping[str | None, Any]) -> dict[str, str]:
    """Return a row's cells by column, as ``csv.DictReader`` gives them, without outer spaces.

    Raises:
        ValueError: surplus cells, which the reader marks by no name, or missing ones.
    """
    if None in row or None in row.values():
        raise ValueError("the row has not as many cells as the first line names columns")
    return {str(column): value.strip() for column, value in row.items()}


def _age(text: str) -> float | None:
    if text in {"", "unknown"}:
        return None
    years = float(text)
    if not 0.0 <= years <= OLDEST_YEARS:
        raise ValueError(f"age must be from 0 to {OLDEST_YEARS} years, or empty, got {text!r}")
    return years


def _required(values: Mapping[str, str], column: str) -> str:
    if not values[column]:
        raise ValueError(f"{column} is empty")
    return values[column]


def _required_pixel_aspect(records: Sequence[Record]) -> float:
    aspect = measure_pixel_aspect(records)
    if aspect is None and any(record.path and record.mask_path for record in records):
        raise DataError(
            "images or masks are damaged, so it is unknown whether the images are squeezed; "
            "see  dermassist data check  and fetch them again"
        )
    return 1.0 if aspect is None else aspect


def _pixel_aspect(image: Path, mask: Path) -> float | None:
    seen, drawn = declared_size(image), declared_size(mask)
    if seen is None or drawn is None:
        return None
    return (drawn[0] / drawn[1]) / (seen[0] / seen[1])
