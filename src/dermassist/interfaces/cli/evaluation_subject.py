"""Which images ``dermassist evaluate`` answers, and what is known of how they were chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dermassist.errors import ConfigError, DataError
from dermassist.interfaces.cli.option import DATA_VARIABLE

if TYPE_CHECKING:
    from dermassist.data.ham10000 import Ham10000, Record
    from dermassist.data.split import Splits
    from dermassist.inference.classifier import Classifier


@dataclass(frozen=True)
class Subject:
    """What is evaluated: some records of a data set, and how they were chosen."""

    dataset: Ham10000
    records: tuple[Record, ...]
    description: str
    is_test_fold: bool


def labelled_folder(images: Path | None, labels: Path | None, aspect: float | None) -> Subject:
    """Return any labelled images.

    Raises:
        ConfigError: one of the two is not given.
        DataError: labels or folder cannot be read.
    """
    from dermassist.batch.search import CLOSED, is_open  # noqa: PLC0415
    from dermassist.data.ham10000 import locate  # noqa: PLC0415
    from dermassist.data.label import read_labels  # noqa: PLC0415

    if images is None or labels is None:
        raise ConfigError("--images and --labels go together")
    if not images.is_dir():
        raise DataError(f"{images}: no such folder; check the name")
    if not is_open(images):
        raise DataError(CLOSED.format(images))
    dataset = locate(read_labels(labels), images, pixel_aspect=aspect)
    description = (
        f"{labels}, {len(dataset.records)} images. Whether the model has seen any of them in "
        "training is not known here."
    )
    return Subject(dataset, dataset.records, description, is_test_fold=False)


def part_of_fold(
    data: Path | None,
    splits: Path | None,
    classifier: Classifier,
    *,
    fold: int,
    part: str,
    aspect: float | None,
) -> Subject:
    """Return the images of one part, if the model was not trained on them.

    Raises:
        ConfigError: no data, no such part, or a fold that the model may have been trained on.
        DataError: data or splits cannot be read.
    """
    from dermassist.data.ham10000 import read_ham10000  # noqa: PLC0415
    from dermassist.data.split import Part, read_splits, select  # noqa: PLC0415
    from dermassist.interfaces.cli.option import DEFAULT_SPLITS  # noqa: PLC0415

    if data is None:
        raise ConfigError(f"give --data (or set {DATA_VARIABLE}), or --images and --labels")
    if part not in {"test", "validation"}:
        raise ConfigError(f"--part must be test or validation, got {part!r}")
    drawn = read_splits(splits or DEFAULT_SPLITS)
    _check_unseen(classifier.manifest.training.get("origin", {}), drawn, fold=fold)
    dataset = read_ham10000(data, pixel_aspect=aspect)
    records = select(dataset.records, drawn.image_ids(Part(part), test_fold=fold))
    description = (
        f"lesion-grouped fold {fold}, {part} part, {len(records)} images of "
        f"{len({record.lesion_id for record in records})} lesions, splits {drawn.sha256[:12]}"
    )
    return Subject(dataset, records, description, is_test_fold=part == "test")


def _check_unseen(origin: Mapping[str, Any], drawn: Splits, *, fold: int) -> None:
    """Refuse a fold that the model may have been trained on."""
    if origin.get("protocol") != "lesion":
        raise ConfigError(
            "this model does not say that it was trained on lesion-grouped splits, so no fold is "
            "known to be new to it; use --images and --labels with images that are"
        )
    stated = (origin.get("splits_sha256"), origin.get("fold"))
    if stated != (drawn.sha256, fold):
        raise ConfigError(
            f"this model was trained with fold {stated[1]} of splits {str(stated[0])[:12]} as test "
            f"fold, so fold {fold} of splits {drawn.sha256[:12]} may hold images it was trained "
            "on; give that fold and those splits"
        )
