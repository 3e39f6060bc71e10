"""The Lightning module: loss, optimiser, schedule and validation metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LinearLR, LRScheduler, OneCycleLR, ReduceLROnPlateau
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from dermassist.config import TrainingConfig
from dermassist.diagnosis import CODES
from dermassist.model.network import MobileNetV2, enlarge, freeze_layers, frozen_modules
from dermassist.training.loss import LesionLoss, distillation_loss
from dermassist.training.mixing import mix
from dermassist.training.teacher import Teacher

SELECTION_METRIC = "validation/macro_f1"
LOSS_METRIC = "train/loss"
PLATEAU_FACTOR = 0.1
PLATEAU_PATIENCE = 3
#: Where warming up begins, as a share of the highest rate; that of PyTorch's ``OneCycleLR``.
_FIRST_RATE = 1 / 25
_EPOCH_SEED_STRIDE = 100_003


class LesionModule(lightning.LightningModule):
    """Trains a MobileNetV2 on batches of ``(N, H, W, 3)`` uint8 views and labels 0 to 6."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        config: TrainingConfig,
        *,
        class_counts: Sequence[int],
        teacher: Teacher | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        # No submodule: checkpoints and averaged weights are the pupil's alone.
        self.teacher = teacher
        self.network = MobileNetV2(classes=len(CODES), dropout=config.model.dropout)
        self._frozen_layers = config.model.frozen_layers
        freeze_layers(self.network, self._frozen_layers)
        self.loss = LesionLoss(config.optimisation, class_counts=class_counts)
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

    def forward(self, views: Tensor, *, seen_px: int | None = None) -> Tensor:
        """Return logits ``(N, 7)`` of views ``(N, S, S, 3)`` uint8, enlarged to ``seen_px``."""
        pixels = self.standardise(views)
        logits: Tensor = self.network(enlarge(pixels, seen_px or pixels.shape[-1]))
        return logits

    def standardise(self, views: Tensor) -> Tensor:
        """Return views ``(N, S, S, 3)``, 0 to 255, as the network takes them, ``(N, 3, S, S)``."""
        # A permuted view of channels-last pixels is already in the layout that convolutions like.
        return (views.permute(0, 3, 1, 2).float() / 255.0 - self.mean) / self.std

    def train(self, mode: bool = True) -> LesionModule:
        """Set train mode; batch norms of frozen layers keep their statistics."""
        super().train(mode)
        for layer in frozen_modules(self.network, self._frozen_layers):
            layer.eval()
        return self

    def on_train_epoch_start(self) -> None:
        """Set train mode; make dropout follow seed and epoch alone, so that a run resumes alike."""
        self._freeze_for_epoch()
        # Lightning restores each module's mode by itself and never calls train(), which is what
        # keeps the statistics of frozen layers.
        self.train()
        seed = self.config.optimisation.seed * _EPOCH_SEED_STRIDE + self.current_epoch
        torch.manual_seed(seed + self.global_rank)

    def _freeze_for_epoch(self) -> None:
        self._frozen_layers = self.config.optimisation.frozen(
            self.current_epoch, at_least=self.config.model.frozen_layers
        )
        # A layer without gradients is passed over by the optimiser: no step, no decay.
        freeze_layers(self.network, self._frozen_layers)

    def training_step(self, batch: tuple[Tensor, Tensor], _batch_index: int) -> Tensor:
        """Return the loss of a batch, whose views are mixed if the recipe says so."""
        views, labels = batch
        augmentation = self.config.augmentation
        mixed = mix(views, augmentation.mixing, augmentation.mixing_alpha)
        shown = self.standardise(views if mixed is None else mixed.views)
        logits = self.network(shown)
        loss: Tensor = self.loss(logits, labels)
        if mixed is not None:
            other = self.loss(logits, labels[mixed.partners])
            loss = mixed.share * loss + (1.0 - mixed.share) * other
        if self.teacher is not None:
            settings = self.config.distillation
            taught = distillation_loss(logits, self.teacher(shown), settings)
            loss = (1.0 - settings.weight) * loss + settings.weight * taught
        self.log(LOSS_METRIC, loss, on_step=False, on_epoch=True, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _batch_index: int) -> None:
        """Collect the metrics of a batch."""
        views, labels = batch
        preprocessing = self.config.preprocessing
        copies = [(), (2,), (1,), (1, 2)] if preprocessing.flips else [()]
        answered = [self(views.flip(axes), seen_px=preprocessing.seen_px) for axes in copies]
        logits = torch.stack(answered).mean(0)
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
            stepwise = self._constant if settings.scheduler == "constant" else self._one_cycle
            schedule = {"scheduler": stepwise(optimiser), "interval": "step"}
        return {"optimizer": optimiser, "lr_scheduler": schedule}

    @property
    def _steps(self) -> int:
        """Steps until training ends."""
        return int(self.trainer.estimated_stepping_batches)

    @property
    def _planned_steps(self) -> int:
        """Steps that the schedule is made for."""
        settings = self.config.optimisation
        return self._steps * settings.epochs // settings.epochs_to_run

    def _constant(self, optimiser: AdamW) -> LRScheduler:
        warm_up = round(self.config.optimisation.warmup_share * self._planned_steps)
        return LinearLR(
            optimiser,
            start_factor=_FIRST_RATE if warm_up else 1.0,
            total_iters=warm_up,
        )

    def _one_cycle(self, optimiser: AdamW) -> LRScheduler:
        settings = self.config.optimisation
        steps = self._planned_steps
        return OneCycleLR(
            optimiser,
            max_lr=[group["lr"] for group in optimiser.param_groups],
            total_steps=steps,
            # PyTorch divides by zero where warming up takes exactly one step.
            pct_start=settings.warmup_share if settings.warmup_share * steps > 1.0 else 0.0,
            cycle_momentum=False,
        )

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """Return parameters by learning rate and by whether they decay."""
        settings = self.config.optimisation
        layers = [*self.network.features.children(), self.network.classifier]
        groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
        for position, layer in enumerate(layers):
            rate = settings.learning_rate * settings.layer_decay ** (len(layers) - 1 - position)
            for parameter in layer.parameters():
                if parameter.requires_grad:
                    # Vectors are biases and norms' scales: shrinking them regularises nothing.
                    decays = settings.decay_all or parameter.ndim > 1
                    groups.setdefault((rate, decays), []).append(parameter)
        return [
            {"params": members, "lr": rate, **({} if decays else {"weight_decay": 0.0})}
            for (rate, decays), members in groups.items()
        ]
