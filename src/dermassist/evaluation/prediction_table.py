"""Tested images with what was said of them: small text files that figures are made from again."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dermassist.diagnosis import CODES
from dermassist.errors import DataError
from dermassist.evaluation.array import BoolArray, FloatArray, IntArray, checked_probabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

DIGITS = 6
_COLUMNS = ("image", "true", *CODES, "referred", "set")


@dataclass(frozen=True, eq=False)
class PredictionTable:
    """What a model said of images that chose nothing of it.

    Attributes:
        images: their names.
        labels: true diagnoses ``(n,)``, 0 to 6.
        probabilities: calibrated, ``(n, 7)``.
        referred: whether the malignant sum reached the model's threshold ``(n,)``.
        sets: which diagnoses were in the prediction set ``(n, 7)``.
    """

    images: tuple[str, ...]
    labels: IntArray
    probabilities: FloatArray
    referred: BoolArray
    sets: BoolArray

    def to_csv(self) -> str:
        """Return one line an image; probabilities keep six decimals."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for i, image in enumerate(self.images):
            held = " ".join(
                code for code, member in zip(CODES, self.sets[i], strict=True) if member
            )
            chances = (f"{value:.{DIGITS}f}" for value in self.probabilities[i])
            writer.writerow((image, CODES[self.labels[i]], *chances, int(self.referred[i]), held))
        return text.getvalue()

    @classmethod
    def read(cls, path: Path) -> PredictionTable:
        """Read what ``to_csv`` wrote.

        Raises:
            DataError: the file is missing or damaged; names the line.
        """
        try:
            with path.open(newline="", encoding="utf-8") as file:
                header, *rows = list(csv.reader(file))
        except (OSError, ValueError, csv.Error) as error:
            raise DataError(
                f"{path}: cannot be read as a table of predictions ({error})"
            ) from error
        if tuple(header) != _COLUMNS or not rows:
            raise DataError(f"{path}: is no table of predictions with {', '.join(_COLUMNS)}")
        parsed = [_parse(path, line, row) for line, row in enumerate(rows, start=2)]
        images, labels, chances, referred, sets = zip(*parsed, strict=True)
        # Six decimals do not add up to one by themselves.
        rounded = np.array(chances)
        return cls(
            images=images,
            labels=np.array(labels),
            probabilities=checked_probabilities(
                rounded / rounded.sum(axis=1, keepdims=True), classes=len(CODES)
            ),
            referred=np.array(referred, dtype=bool),
            sets=np.array(sets, dtype=bool),
        )


def pooled(tables: Sequence[PredictionTable]) -> PredictionTable:
    """Return all tables as one.

    Raises:
        DataError: no table, or an image stands in two of them.
    """
    images = tuple(image for table in tables for image in table.images)
    if not images or len(set(images)) != len(images):
        raise DataError("predictions to pool must be there, each image once")
    return PredictionTable(
        images=images,
        labels=np.concatenate([table.labels for table in tables]),
        probabilities=np.concatenate([table.probabilities for table in tables]),
        referred=np.concatenate([table.referred for table in tables]),
        sets=np.concatenate([table.sets for table in tables]),
    )


_Row = tuple[str, int, list[float], bool, list[bool]]


def _parse(path: Path, line: int, row: list[str]) -> _Row:
    try:
        image, true, *chances, referred, held = row
        values, label = [float(value) for value in chances], CODES.index(true)
    except ValueError as error:
        raise DataError(f"{path}, line {line}: {error}") from error
    members = set(held.split())
    if len(values) != len(CODES) or referred not in {"0", "1"} or members - set(CODES):
        raise DataError(f"{path}, line {line}: malformed row")
    return image, label, values, referred == "1", [code in members for code in CODES]
