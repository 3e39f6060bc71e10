"""The Lightning module: loss, optimiser, schedule and validation metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from dermassist.config import TrainingConfig
from dermassist.diagnosis import CODES
from dermassist.model.network import MobileNetV2, freeze_layers, frozen_modules

SELECTION_METRIC = "validation/macro_f1"
PLATEAU_FACTOR = 0.1
PLATEAU_PATIENCE = 3
_EPOCH_SEED_STRIDE = 100_003


class LesionModule(lightning.LightningModule):
    """Trains a MobileNetV2 on batches of ``(N, H, W, 3)`` uint8 views and labels 0 to 6."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: TrainingConfig, *, class_counts: Sequence[int]) -> None:
        super().__init__()
        self.config = config
        self.network = MobileNetV2(classes=len(CODES), dropout=config.model.dropout)
        freeze_layers(self.network, config.model.frozen_layers)
        weights = class_weights(class_counts, power=config.optimisation.class_weight_power)
        self.loss = nn.CrossEntropyLoss(
            weight=weights, label_smoothing=config.optimisation.label_smoothing
        )
        self.validation_loss = nn.CrossEntropyLoss()
        self.register_buffer("mean", torch.tensor(config.preprocessing.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(config.preprocessing.std).view(1, 3, 1, 1))
        self.metrics = MetricCollection(
            {
                "macro_f1": MulticlassF1Score(len(CODES), average="macro"),
                "balanced_accuracy": MulticlassAccuracy(len(CODES), average="macro"),
                "accuracy": MulticlassAccuracy(len(CODES), average="micro"),
            },
            prefix="validation/",
        )

    def forward(self, views: Tensor) -> Tensor:
        """Return logits ``(N, 7)`` of views ``(N, H, W, 3)`` uint8."""
        # A permuted view of channels-last pixels is already in the layout that convolutions like.
        scaled = views.permute(0, 3, 1, 2).float() / 255.0
        logits: Tensor = self.network((scaled - self.mean) / self.std)
        return logits

    def train(self, mode: bool = True) -> LesionModule:
        """Set train mode; batch norms of frozen layers keep their statistics."""
        super().train(mode)
        for layer in frozen_modules(self.network, self.config.model.frozen_layers):
            layer.eval()
        return self

    def on_train_epoch_start(self) -> None:
        """Set train mode; make dropout follow seed and epoch alone, so that a run resumes alike."""
        # Lightning restores each module's mode by itself and never calls train(), which is what
        # keeps the statistics of frozen layers.
        self.train()
        seed = self.config.optimisation.seed * _EPOCH_SEED_STRIDE + self.current_epoch
        torch.manual_seed(seed + self.global_rank)

    def training_step(self, batch: tuple[Tensor, Tensor], _batch_index: int) -> Tensor:
        """Return the weighted, smoothed cross-entropy of a batch."""
        views, labels = batch
        loss: Tensor = self.loss(self(views), labels)
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _batch_index: int) -> None:
        """Collect the metrics of a batch."""
        views, labels = batch
        logits = self(views)
        self.metrics.update(logits, labels)
        self.log("validation/loss", self.validation_loss(logits, labels), sync_dist=True)

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of all validation images."""
        self.log_dict(self.metrics.compute(), prog_bar=True)
        self.metrics.reset()

    def configure_optimizers(self) -> Any:
        """Return AdamW and the schedule that the configuration names."""
        settings = self.config.optimisation
        optimiser = AdamW(
            self._parameter_groups(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        if settings.scheduler == "plateau":
            plateau = ReduceLROnPlateau(
                optimiser, mode="max", factor=PLATEAU_FACTOR, patience=PLATEAU_PATIENCE
            )
            # With the epoch's last step, so after validation and before the checkpoint: Lightning
            # makes epoch-wise steps after it, and a resumed run would miss one.
            schedule = {
                "scheduler": plateau,
                "monitor": SELECTION_METRIC,
                "interval": "step",
                "frequency": self._steps // settings.epochs_to_run,
            }
        else:
            schedule = {"scheduler": self._one_cycle(optimiser), "interval": "step"}
        return {"optimizer": optimiser, "lr_scheduler": schedule}

    @property
    def _steps(self) -> int:
        """Steps until training ends."""
        return int(self.trainer.estimated_stepping_batches)

    def _one_cycle(self, optimiser: AdamW) -> OneCycleLR:
        settings = self.config.optimisation
        steps = self._steps * settings.epochs // settings.epochs_to_run
        return OneCycleLR(
            optimiser,
            max_lr=settings.learning_rate,
            total_steps=steps,
            # PyTorch divides by zero where warming up takes exactly one step.
            pct_start=settings.warmup_share if settings.warmup_share * steps > 1.0 else 0.0,
            cycle_momentum=False,
        )

    def _parameter_groups(self) -> list[dict[str, Any]]:
        learning = [p for p in self.network.parameters() if p.requires_grad]
        if self.config.optimisation.decay_all:
            return [{"params": learning}]
        # Vectors are biases and batch norm scales: shrinking them regularises nothing.
        matrices = [p for p in learning if p.ndim > 1]
        vectors = [p for p in learning if p.ndim <= 1]
        return [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]


def class_weights(counts: Sequence[int], *, power: float) -> Tensor:
    """Return ``counts ** -power``, scaled so that the mean weight of an image is 1.

    Args:
        counts: training images of each class; a class without images gets weight 0.
        power: 0 no weighting, 0.5 square root, 1 every class weighs the same in total.
    """
    frequency = torch.tensor(counts, dtype=torch.float64)
    raw = torch.where(frequency > 0, frequency.clamp(min=1) ** -power, 0.0)
    return (raw * frequency.sum() / (raw * frequency).sum()).float()
