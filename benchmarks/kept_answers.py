"""What networks said of images, as it is kept: to validation in archives, to test in tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from dermassist.data.split import FOLDS
from dermassist.errors import DataError
from dermassist.evaluation.array import FloatArray, IntArray
from dermassist.evaluation.prediction_table import PredictionTable, pooled
from dermassist.pooling import read_predictions
from dermassist.storage import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike

    from dermassist.data.ham10000 import Record
    from dermassist.data.protocol import Trial
    from dermassist.data.split import Splits


@dataclass(frozen=True, eq=False)
class Said:
    """What a network said of images.

    Attributes:
        labels: true diagnoses ``(n,)``.
        lesions: of each image ``(n,)``.
        logits: up to a constant for each image, ``(n, 7)``.
    """

    labels: IntArray
    lesions: NDArray[np.str_]
    logits: FloatArray

    @classmethod
    def of(cls, records: Sequence[Record], logits: ArrayLike, **more: Any) -> Self:
        """Return what was said of records, in their order."""
        return cls(
            labels=np.array([record.diagnosis.index for record in records]),
            lesions=np.array([record.lesion_id for record in records]),
            logits=np.asarray(logits, np.float64),
            **more,
        )


def keep_validation(path: Path, trial: Trial, **said: Any) -> None:
    """Write arrays of what was said of a trial's validation images, with the images' names."""
    images = np.array([record.image_id for record in trial.validation])
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, images=images, **said)


def read_validation(path: Path, trial: Trial, *names: str) -> tuple[NDArray[Any], ...]:
    """Return arrays that ``keep_validation`` wrote, by name.

    Raises:
        DataError: the file cannot be read, lacks one, or is of other images.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            images, *found = (stored[name] for name in ("images", *names))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(f"{path}: cannot be read ({error}); remove it to answer again") from error
    if tuple(images) != tuple(record.image_id for record in trial.validation):
        raise DataError(f"{path}: holds answers to other images than {trial.name}'s validation")
    return tuple(found)


def read_folds(results: Path, splits: Splits) -> PredictionTable:
    """Return the answers to the test images of all lesion-grouped folds.

    Args:
        results: folder of the folds' tables, as ``dermassist protocol`` writes them.
        splits: that they must come from.

    Raises:
        DataError: as in ``read_predictions``.
    """
    return pooled([read_predictions(f"fold{k}", results, splits=splits) for k in range(FOLDS)])
