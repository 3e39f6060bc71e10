"""The table of answers, in the form of the ISIC 2018 challenge."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from dermassist.diagnosis import ISIC_2018_ORDER, Diagnosis
from dermassist.errors import ConfigError

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
        ConfigError: one of the images stands there, or a file that does not begin as such a table.
        OSError: the file cannot be read.
    """
    # The shell may have put an image's name behind the option.
    remedy = "name another file for the table"
    place = os.path.realpath(path)
    if any(os.path.realpath(image) == place for image in images):
        raise ConfigError(f"{path}: is one of the images; {remedy}")
    if not path.is_file():
        return
    wanted = ",".join(_HEADER).encode()
    with path.open("rb") as file:
        start = file.read(len(wanted))
    if start not in {b"", wanted}:
        raise ConfigError(f"{path}: exists and is no table of answers; {remedy}, or remove it")


def _isic_values(prediction: Prediction) -> list[str]:
    ordered = (prediction.probability(Diagnosis.from_code(code)) for code in ISIC_2018_ORDER)
    return [f"{probability:.6f}" for probability in ordered]
