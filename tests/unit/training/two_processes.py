"""Run the first step of a training and save its gradients; started by test_two_processes.py.

    python two_processes.py DATA FOLDER DEVICES

Batch norm keeps its statistics, because each process would otherwise see its own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from dermassist.config import ModelSection, OptimisationSection, TrainingConfig
from dermassist.data.cache import open_cache
from dermassist.data.ham10000 import read_ham10000
from dermassist.imaging import Preprocessing
from dermassist.model.network import MobileNetV2
from dermassist.training.run import Parts, RunSettings, Start, train

IMAGES_A_STEP = 8
PREPROCESSING = Preprocessing(size_px=32)


class SaveGradients(lightning.Callback):
    """Saves the gradients that the optimiser will see in the first step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any
    ) -> None:
        """Keep the statistics of every batch norm."""
        for layer in pl_module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: Any
    ) -> None:
        """Save once, from the first process."""
        if trainer.global_step == 0 and trainer.is_global_zero:
            named = pl_module.named_parameters()
            torch.save({name: p.grad for name, p in named if p.grad is not None}, self.path)


def lively_weights() -> dict[str, Tensor]:
    """Return random weights whose batch norms fit them, so that every layer gets gradients."""
    torch.manual_seed(0)
    network = MobileNetV2()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    network(torch.rand(16, 3, 64, 64))
    return network.state_dict()


def main() -> None:
    """Train one epoch on as many devices as asked."""
    data, folder, devices = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    config = TrainingConfig(
        model=ModelSection(dropout=0.0),
        preprocessing=PREPROCESSING,
        optimisation=OptimisationSection(
            epochs=1,
            batch_size=IMAGES_A_STEP // devices,
            # A weighted mean over half a batch is not half of that over the batch.
            class_weight_power=0.0,
            ema_decay=0.0,
            precision="float32",
        ),
    )
    records = read_ham10000(data).records
    train(
        config,
        Parts(records[: 2 * IMAGES_A_STEP], records[-IMAGES_A_STEP:]),
        open_cache(records, PREPROCESSING, folder / "cache", pixel_aspect=1.0),
        RunSettings(folder / "run", workers=0, devices=devices, accelerator="cpu", progress=False),
        start=Start(lively_weights()),
        callbacks=[SaveGradients(folder / "gradients.pt")],
    )


if __name__ == "__main__":
    main()
