"""Label files of any test set: HAM10000's own metadata form, or the ISIC 2018 challenge form."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from dermassist.data.ham10000 import METADATA_COLUMNS, Record, read_metadata
from dermassist.diagnosis import CODES, Diagnosis
from dermassist.errors import DataError

ISIC_COLUMNS = ("image", *(code.upper() for code in CODES))
#: What spreadsheets separate columns by where a comma stands in numbers, or when asked to.
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_labels(path: Path) -> tuple[Record, ...]:
    """Read the labels of a test set.

    Args:
        path: a table with HAM10000's columns (``lesion_id, image_id, dx, ...``), or with
            ``image`` and one 0/1 column a diagnosis (ISIC 2018 Task 3 ground truth). The latter
            names no lesions: every image then counts as a lesion of its own.

    Raises:
        DataError: the file has neither form, or a row is malformed.
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
        rows = list(csv.DictReader(file))
    records = tuple(_isic_record(path, line, row) for line, row in enumerate(rows, start=2))
    if not records:
        raise DataError(f"{path}: holds no rows; give one for each image")
    for image_id, count in Counter(record.image_id for record in records).items():
        if count > 1:
            raise DataError(f"{path}: image {image_id} stands twice; remove one of the rows")
    return records


def _isic_record(path: Path, line: int, row: dict[str, str]) -> Record:
    try:
        marks = {code: float(row[code.upper()]) for code in CODES}
    except (ValueError, TypeError):
        raise DataError(f"{path}, line {line}: the diagnoses must be 0 or 1") from None
    chosen = [code for code, mark in marks.items() if mark == 1.0]
    if len(chosen) != 1 or any(mark not in {0.0, 1.0} for mark in marks.values()):
        raise DataError(f"{path}, line {line}: exactly one diagnosis must be 1, the others 0")
    image = (row["image"] or "").strip()
    if not image:
        raise DataError(f"{path}, line {line}: image is empty")
    return Record(
        image_id=image,
        lesion_id=image,
        diagnosis=Diagnosis.from_code(chosen[0]),
        dx_type="unknown",
        age=None,
        sex="unknown",
        localization="unknown",
        source="unknown",
    )
