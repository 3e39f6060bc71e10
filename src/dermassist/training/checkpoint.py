"""Checkpoints that a killed process does not damage and a moved folder does not lose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint

from dermassist.model.weights import WeightsError, read_content, write_content


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it.

    Lightning writes into the temporary directory and moves the file from there, which copies it
    over the last good checkpoint where the two are on different file systems.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any | None = None,  # noqa: ARG002 - Lightning's signature
    ) -> None:
        """Write a checkpoint whole or not at all.

        Raises:
            OSError: the disk is full, or the folder cannot be written to. It names ``path``.
        """
        write_content(checkpoint, Path(path))


def read_epochs(path: Path) -> int:
    """Return how many epochs a training had finished when it wrote a checkpoint at an epoch's end.

    Raises:
        WeightsError: the file cannot be read, or is no checkpoint.
    """
    content = read_content(path)
    epoch = content.get("epoch") if isinstance(content, dict) else None
    if not isinstance(epoch, int):
        raise WeightsError(f"{path}: is no checkpoint of a training")
    return epoch + 1  # Lightning counts from 0


class MovableCheckpoint(ModelCheckpoint):
    """Keeps the best epoch, also after the run's folder was moved.

    Lightning forgets the best score where the folder has another path than when the checkpoint was
    written, and then takes the next epoch for the best one.
    """

    @property
    def state_key(self) -> str:
        """The key of Lightning's own class, under which runs of earlier versions have theirs."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the state, with the paths where the files are now."""
        super().load_state_dict(self._moved(state_dict))

    def _moved(self, state: dict[str, Any]) -> dict[str, Any]:
        if self.dirpath is None:
            return state
        here = Path(self.dirpath)

        def place(path: str) -> str:
            return str(here / Path(path).name) if path else path

        return {
            **state,
            "dirpath": str(here),
            "best_model_path": place(state["best_model_path"]),
            "kth_best_model_path": place(state["kth_best_model_path"]),
            "last_model_path": place(state["last_model_path"]),
            "best_k_models": {place(k): score for k, score in state["best_k_models"].items()},
        }
