"""Label files of any test set: HAM10000's own metadata form, or the ISIC 2018 challenge form."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from dermassist.data.ham10000 import (
    METADATA_COLUMNS,
    Record,
    check_lesions,
    check_names,
    check_unique,
    read_metadata,
    row_cells,
)
from dermassist.diagnosis import CODES, Diagnosis
from dermassist.errors import DataError
from dermassist.imaging.decoding import IMAGE_SUFFIXES

ISIC_COLUMNS = ("image", *(code.upper() for code in CODES))
_LESION_COLUMN = "lesion_id"
#: What spreadsheets separate columns by where a comma stands in numbers, or when asked to.
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_labels(path: Path) -> tuple[Record, ...]:
    """Read the labels of a test set.

    Args:
        path: a table with HAM10000's columns (``lesion_id, image_id, dx, ...``), or with
            ``image`` and one 0/1 column a diagnosis (ISIC 2018 Task 3 ground truth). In the latter
            ``image`` may bear the ending of the file, and a column ``lesion_id`` is read where
            there is one; without it every image counts as a lesion of its own.

    Raises:
        DataError: the file has neither form, a column or an image stands twice, a row is malformed,
            or a lesion has two diagnoses.
    """
    with _opened(path) as file:
        line = file.readline()
        header, tabbed = _columns(line, ","), _columns(line, "\t")
        separator = _separator(line)
    if set(ISIC_COLUMNS) <= header:
        return _read_isic(path)
    if "image_id" in header | tabbed:
        return read_metadata(path)
    if separator is not None:
        raise DataError(
            f"{path}: its columns are separated by {_OTHER_SEPARATORS[separator]}; save it as CSV "
            "with commas between them"
        )
    raise DataError(
        f"{path}: has neither the columns {', '.join(ISIC_COLUMNS)} "
        f"nor {', '.join(METADATA_COLUMNS)}"
    )


def names_lesions(records: Iterable[Record]) -> bool:
    """Tell whether labels say which images show one lesion, or each image counts as its own."""
    return any(record.lesion_id != record.image_id for record in records)


def _columns(line: str, separator: str) -> set[str]:
    return set(next(csv.reader([line], delimiter=separator), []))


def _separator(line: str) -> str | None:
    """Return what a header's columns are separated by, where that makes it one of ours."""
    for separator in _OTHER_SEPARATORS:
        columns = _columns(line, separator)
        if set(ISIC_COLUMNS) <= columns or set(METADATA_COLUMNS) <= columns:
            return separator
    return None


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield file
    except FileNotFoundError:
        raise DataError(f"{path}: no such label file; check the name") from None
    except PermissionError:
        raise DataError(f"{path}: no permission to read it; change its permissions") from None
    except IsADirectoryError:
        raise DataError(f"{path}: is a folder; name the label file in it") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error}); check the disk or the name") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path}: cannot be read as a table ({error}); save it as CSV in UTF-8"
        ) from error


def _read_isic(path: Path) -> tuple[Record, ...]:
    with _opened(path) as file:
        reader = csv.DictReader(file)
        rows = [(reader.line_num, row) for row in reader]
        names = reader.fieldnames or ()
    check_names(path, names)
    records = tuple(_isic_record(path, line, row) for line, row in rows)
    if not records:
        raise DataError(f"{path}: holds no rows; give one for each image")
    check_unique(path, [(line, r.image_id) for (line, _), r in zip(rows, records, strict=True)])
    check_lesions(path, records)
    return records


def _isic_record(path: Path, line: int, row: Mapping[str | None, Any]) -> Record:
    try:
        values = row_cells(row)
        diagnosis = _marked(values)
        image = _without_ending(values["image"])
    except ValueError as error:
        raise DataError(f"{path}, line {line}: {error}") from None
    lesion = values.get(_LESION_COLUMN, image)
    for column, name in (("image", image), (_LESION_COLUMN, lesion)):
        if not name:
            raise DataError(f"{path}, line {line}: {column} is empty")
    return Record(
        image_id=image,
        lesion_id=lesion,
        diagnosis=diagnosis,
        dx_type="unknown",
        age=None,
        sex="unknown",
        localization="unknown",
        source="unknown",
    )


def _marked(values: Mapping[str, str]) -> Diagnosis:
    try:
        marks = {code: float(values[code.upper()]) for code in CODES}
    except ValueError:
        raise ValueError("the diagnoses must be 0 or 1") from None
    chosen = [code for code, mark in marks.items() if mark == 1.0]
    if len(chosen) != 1 or any(mark not in {0.0, 1.0} for mark in marks.values()):
        raise ValueError("exactly one diagnosis must be 1, the others 0")
    return Diagnosis.from_code(chosen[0])


def _without_ending(image: str) -> str:
    """Return an image's name; files are found by it, whatever their ending."""
    path = Path(image)
    return image.removesuffix(path.suffix) if path.suffix.lower() in IMAGE_SUFFIXES else image
