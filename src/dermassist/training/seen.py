"""What a network may have seen before: only the same part of the same split."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dermassist.errors import ConfigError, DataError

#: What an earlier training must have in common with a new one, so that it has seen no image that
#: the new network is tested or chosen on.
SAME_SPLIT = ("protocol", "splits_sha256", "fold", "source")
RECORD_NAME = "run.json"


def check_same_part(
    own: Mapping[str, Any], wanted: Mapping[str, Any], *, where: Path | str, what: str
) -> None:
    """Refuse what has learned from other images than the new network may.

    Args:
        own: origin of the earlier training.
        wanted: origin of the new one.
        where: the earlier one's file or folder, for the message.
        what: it is, in words.

    Raises:
        ConfigError: the origins are of different parts of a split.
    """
    for name in SAME_SPLIT:
        if own.get(name) != wanted.get(name):
            raise ConfigError(
                f"{where}: {what} must have been trained on the same part of the same split; "
                f"its {name} is {own.get(name)!r}, not {wanted.get(name)!r}"
            )


def earlier_training(weights: Path) -> dict[str, Any] | None:
    """Return the record of the run that weights come from; ``None`` for others, such as ImageNet's.

    Args:
        weights: a file; one of a run lies in its folder, or in its checkpoints.

    Raises:
        DataError: the record cannot be read.
    """
    for folder in (weights.parent, weights.parent.parent):
        path = folder / RECORD_NAME
        if path.is_file():
            try:
                record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                dict(record["origin"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise DataError(f"{path}: is no record of a training ({error!r:.200})") from error
            return record
    return None


def check_start(weights: Path, origin: Mapping[str, Any]) -> None:
    """Refuse to start from the weights of a run that has learned from other images.

    Weights that are of no run say nothing of their origin.

    Raises:
        ConfigError: the run was trained on another part of the images.
        DataError: the run's record cannot be read.
    """
    earlier = earlier_training(weights)
    if earlier is not None:
        check_same_part(earlier["origin"], origin, where=weights, what="a network to start from")
