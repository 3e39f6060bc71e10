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


def check_start(weights: Path, origin: Mapping[str, Any]) -> None:
    """Refuse to start from the weights of a run that has learned from other images.

    Weights that do not lie in a run's folder, or in its checkpoints, say nothing of their origin.

    Raises:
        ConfigError: the run was trained on another part of the images.
        DataError: the run's record cannot be read.
    """
    for folder in (weights.parent, weights.parent.parent):
        record = folder / RECORD_NAME
        if record.is_file():
            try:
                own = json.loads(record.read_text(encoding="utf-8"))["origin"]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise DataError(f"{record}: is no record of a training ({error!r:.200})") from error
            check_same_part(own, origin, where=weights, what="a network to start from")
