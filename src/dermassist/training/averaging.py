"""The even mean of the weights of a training's last steps."""

from __future__ import annotations

import lightning
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class TailAveraging(WeightAveraging):
    """Averages weights, and the statistics of batch norms, over the last steps, each alike.

    At a rate that stays, steps wander about a region of low loss, and their mean lies further
    inside it than any of them (Izmailov et al., UAI 2018). Before the first of these steps what is
    validated and kept are the weights themselves.

    Args:
        share: of all steps, above 0 to 1; one step at least is averaged.
    """

    def __init__(self, share: float) -> None:
        super().__init__(avg_fn=self._follow)
        self._share = share
        self._first = 0
        self._members = 0

    def on_train_start(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002 - Lightning's signature
    ) -> None:
        """Find the first step that counts."""
        steps = int(trainer.estimated_stepping_batches)
        self._first = steps - max(1, round(self._share * steps))

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:  # noqa: ARG002 - Lightning's signature
        """Follow every step, and count those that are in the mean already."""
        if step_idx is None:
            return False
        self._members = step_idx - self._first
        return True

    def _follow(self, averaged: Tensor, current: Tensor, _steps: Tensor | int) -> Tensor:
        # Not by the count that is given: it lies on the device, which each tensor would wait for.
        if self._members <= 0:
            return current
        return averaged + (current - averaged) / (self._members + 1)
