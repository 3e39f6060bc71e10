"""The table of answers, in the form of the ISIC 2018 challenge."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dermassist.diagnosis import ISIC_2018_ORDER, Diagnosis
from dermassist.errors import ConfigError
from dermassist.storage import is_stream

if TYPE_CHECKING:
    from dermassist.batch.answer import FileOutcome
    from dermassist.results import Prediction

_HEADER = ("image", *(code.upper() for code in ISIC_2018_ORDER))
#: What makes a cell a formula in a spreadsheet (OWASP, "CSV Injection"), full-width forms too.
_FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def render_isic_csv(outcomes: Iterable[FileOutcome]) -> str:
    """Return the ISIC 2018 challenge form: ``row_name`` of the file, then probabilities."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    for outcome in outcomes:
        if outcome.prediction is not None:
            writer.writerow([row_name(outcome.path), *_isic_values(outcome.prediction)])
    return text.getvalue()


def row_name(path: Path) -> str:
    """Return what names a file's row: its stem, made inert where a spreadsheet would run it.

    An apostrophe before it makes a formula a text.
    """
    return f"'{path.stem}" if path.stem.startswith(_FORMULA_STARTS) else path.stem


def check_table_place(path: Path, images: Iterable[Path]) -> None:
    """Refuse to write a table where that would destroy something else than an earlier table.

    Raises:
        ConfigError: one of the images stands there, a file without such a table's header, or
            labels, which have the same.
        OSError: the file cannot be read.
    """
    # The shell may have put an image's name behind the option.
    remedy = "name another file for the table"
    place = os.path.realpath(path)
    if any(os.path.realpath(image) == place for image in images):
        raise ConfigError(f"{path}: is one of the images; {remedy}")
    # What is behind standard output is written on, not replaced.
    if not path.is_file() or is_stream(path):
        return
    fault = _fault(path)
    if fault is not None:
        raise ConfigError(f"{path}: {fault}; {remedy}, or remove it")


def _fault(path: Path) -> str | None:
    """Say what is wrong with a file as an earlier table; an empty one may be replaced as well."""
    # Replaced, because an image read as text must not be an error of decoding.
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = csv.reader(file)
        try:
            if tuple(next(rows, _HEADER)) == _HEADER:
                return "holds labels, not answers" if any(map(_is_label, rows)) else None
        except csv.Error:
            pass
    return "exists and is no table of answers"


def _is_label(row: Sequence[str]) -> bool:
    """Tell a label from an answer: one diagnosis is marked 1, the others 0.

    An answer so sure that it is rounded to these has the digits of all answers.
    """
    cells = row[1:]
    try:
        marks = [float(cell) for cell in cells]
    except ValueError:
        return False
    marked = sorted(marks) == [0.0] * (len(_HEADER) - 2) + [1.0]
    return marked and list(cells) != [_cell(mark) for mark in marks]


def _isic_values(prediction: Prediction) -> list[str]:
    ordered = (prediction.probability(Diagnosis.from_code(code)) for code in ISIC_2018_ORDER)
    return [_cell(probability) for probability in ordered]


def _cell(probability: float) -> str:
    return f"{probability:.6f}"
