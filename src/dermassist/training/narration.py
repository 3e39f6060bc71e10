"""How far a training is, in lines for a log, where nobody watches a bar."""

from __future__ import annotations

import time
from collections.abc import Callable

import lightning
from lightning.pytorch.callbacks import Callback

from dermassist.training.module import LOSS_METRIC, SELECTION_METRIC


class EpochLines(Callback):
    """Tells one line after every epoch: its number, the time so far, the loss and the score."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        """Start the clock; a resumed training counts from where it goes on.

        Args:
            tell: takes a line without its end.
        """
        self._tell = tell
        self._began = time.monotonic()

    def on_train_epoch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002 - Lightning's signature
    ) -> None:
        """Tell the line, once for all devices."""
        if not trainer.is_global_zero:
            return
        metrics, epoch = trainer.callback_metrics, trainer.current_epoch + 1
        minutes = (time.monotonic() - self._began) / 60
        line = f"epoch {epoch} of {trainer.max_epochs} after {minutes:.1f} min"
        line += f", training loss {float(metrics[LOSS_METRIC]):.3f}"
        # Metrics of the last validation stay until the next one.
        if epoch % (trainer.check_val_every_n_epoch or 1) == 0:
            line += f", validation macro F1 {float(metrics[SELECTION_METRIC]):.3f}"
        self._tell(line)
