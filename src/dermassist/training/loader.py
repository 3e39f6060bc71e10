"""Loaders whose order and views follow the epoch alone, however a training got there."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from dermassist.config import TrainingConfig
from dermassist.data.cache import FieldCache
from dermassist.data.ham10000 import Record
from dermassist.training.dataset import (
    EpochOrder,
    FieldDataset,
    serving_transform,
    shown_positions,
    training_transform,
)

VALIDATION_BATCH = 64


class EpochData(lightning.LightningDataModule):
    """Makes the training loader anew for every epoch.

    Args:
        config: the recipe.
        train: records to learn from.
        validation: records to choose by.
        cache: fields of all these records.
        workers: processes that make views beside the training process.
    """

    def __init__(
        self,
        config: TrainingConfig,
        train: Sequence[Record],
        validation: Sequence[Record],
        *,
        cache: FieldCache,
        workers: int,
    ) -> None:
        super().__init__()
        self.config = config
        self.train = train
        self.validation = validation
        self.cache = cache
        self.workers = workers

    def train_dataloader(self) -> DataLoader[tuple[Tensor, int]]:
        """Return this epoch's batches of random views."""
        optimisation, preprocessing = self.config.optimisation, self.config.preprocessing
        epoch, rank, world_size = 0, 0, 1
        if self.trainer:
            epoch = self.trainer.current_epoch
            rank, world_size = self.trainer.global_rank, self.trainer.world_size
        transform = training_transform(
            self.config.augmentation,
            optimisation.resolution(epoch, default=preprocessing.size_px),
            fill=preprocessing.fill,
            fit=preprocessing.fit,
            seed=optimisation.seed,
            epoch=epoch,
        )
        among = None
        if optimisation.class_cap:
            among = shown_positions(
                [record.diagnosis.index for record in self.train],
                cap=optimisation.class_cap,
                seed=optimisation.seed,
                epoch=epoch,
            )
        order = EpochOrder(
            len(self.train),
            seed=optimisation.seed,
            epoch=epoch,
            rank=rank,
            world_size=world_size,
            among=among,
        )
        return DataLoader(
            FieldDataset(self.train, self.cache, transform),
            batch_size=optimisation.batch_size,
            sampler=order,
            drop_last=len(order) >= optimisation.batch_size,
            # Its own, so that making an iterator does not move the one that dropout draws from.
            generator=torch.Generator(),
            num_workers=self.workers,
            worker_init_fn=_use_one_thread,
        )

    def val_dataloader(self) -> DataLoader[tuple[Tensor, int]]:
        """Return batches of the views that the runtime would see.

        Every process answers all of them: dealt out, some would be counted twice.
        """
        transform = serving_transform(self.config.preprocessing)
        return DataLoader(
            FieldDataset(self.validation, self.cache, transform),
            batch_size=VALIDATION_BATCH,
            num_workers=self.workers,
            worker_init_fn=_use_one_thread,
        )


def _use_one_thread(_worker: int) -> None:
    cv2.setNumThreads(0)
