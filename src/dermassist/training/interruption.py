"""What happens when a training is stopped from outside, and which warnings it need not give."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerStatus

_log = logging.getLogger(__name__)

#: Beginnings of warnings that say what is meant to be so.
_EXPECTED = (
    # Resuming writes into the folder that it resumes from.
    "Checkpoint directory .* exists and is not empty",
    # Few images make few batches.
    "The number of training batches .* is smaller than the logging interval",
    # Workers and devices were chosen by the caller.
    "The '(train|val)_dataloader' does not have many workers",
    "Consider setting `persistent_workers=True`",
    "GPU available but not used",
    # Lightning about its own use of PyTorch.
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",
)


class InterruptedCheckpoint(Callback):
    """Saves what was learned when a training ends early, to start others from.

    Lightning's own ``OnExceptionCheckpoint`` would also resume from it, in the middle of an
    epoch, where no finished epoch was saved; the result would not be an uninterrupted run's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_exception(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002 - Lightning's signature
        exception: BaseException,  # noqa: ARG002 - Lightning's signature
    ) -> None:
        """Write the checkpoint; not while validating, when averaged weights stand in for others.

        Where it cannot be written, what ended the training is still what the caller is told.
        """
        if trainer.validating:
            return
        try:
            trainer.save_checkpoint(self.path, weights_only=False)
        except OSError as error:
            _log.warning("%s: cannot be written (%s)", self.path, error.strerror)


@contextmanager
def returning_after_interrupt(trainer: lightning.Trainer) -> Iterator[None]:
    """Let the caller go on after Ctrl-C, where Lightning would end the process.

    Lightning also ignores every later Ctrl-C; the earlier answer to it is restored.
    """
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        if trainer.state.status != TrainerStatus.INTERRUPTED:
            raise
        signal.signal(signal.SIGINT, handler)


@contextmanager
def expected_warnings_ignored() -> Iterator[None]:
    """Ignore what Lightning warns of although it is meant to be so, and nothing else."""
    with warnings.catch_warnings():
        for beginning in _EXPECTED:
            warnings.filterwarnings("ignore", beginning)
        yield
