"""The parts of a split that a trained network belongs to: what it saw, and what it did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dermassist.data.protocol import lesion_trial
from dermassist.training.seen import check_same_part

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dermassist.data.ham10000 import Record
    from dermassist.data.protocol import Trial
    from dermassist.data.split import Splits
    from dermassist.model.manifest import Manifest


def own_trial(
    origin: Mapping[str, Any], records: Sequence[Record], splits: Splits, *, where: Path | str
) -> Trial:
    """Return the lesion-grouped trial that a network was trained in.

    Args:
        origin: of its training.
        records: of the data set.
        splits: that should be those of its training.
        where: the network lies, for messages.

    Raises:
        ConfigError: it is of another protocol or another split: what this one calls unseen may
            have been seen.
    """
    trial = lesion_trial(records, splits, fold=origin.get("fold", 0))
    check_same_part(origin, trial.origin, where=where, what="the network that is measured")
    return trial


def trial_of_model(manifest: Manifest, records: Sequence[Record], splits: Splits) -> Trial:
    """Return the lesion-grouped trial that a model was trained in; see ``own_trial``."""
    return own_trial(manifest.training["origin"], records, splits, where=manifest.name)
