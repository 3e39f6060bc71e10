"""Training and validation images as torch data sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from dermassist.config import AugmentationSection
from dermassist.data.cache import FieldCache
from dermassist.data.ham10000 import Record
from dermassist.imaging import Fill, Preprocessing, to_view
from dermassist.training.augmentation import augment

_EPOCH_SEED_STRIDE = 1_000_003
#: From a field and the image's position in the data set to the network's square.
Transform = Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]


class FieldDataset(Dataset[tuple[Tensor, int]]):
    """Views ``(size, size, 3)`` uint8 with their labels 0 to 6."""

    def __init__(self, records: Sequence[Record], cache: FieldCache, transform: Transform) -> None:
        self.records = tuple(records)
        self.cache = cache
        self.transform = transform

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        record = self.records[position]
        view = self.transform(self.cache.field(record.image_id), position)
        return torch.from_numpy(view), record.diagnosis.index


class EpochOrder(Sampler[int]):
    """A random order of the images that depends on nothing but seed and epoch.

    PyTorch's own shuffling draws from a generator, which moves on with every iterator that is
    made of a loader; after resuming, Lightning makes one more than otherwise. The order is that
    of a loader's first iterator.

    Several processes deal the images out in turn, so that their batches of a step are together
    the batch that one process would have made of them; images that do not go round are left out.

    Args:
        images: how many there are.
        seed: of the training.
        epoch: counted from 0.
        rank: of this process, from 0.
        world_size: number of processes.
        among: positions of the images to show; by default all.
    """

    def __init__(
        self,
        images: int,
        *,
        seed: int,
        epoch: int,
        rank: int = 0,
        world_size: int = 1,
        among: Sequence[int] | None = None,
    ) -> None:
        self.among = range(images) if among is None else among
        self.key = seed * _EPOCH_SEED_STRIDE + epoch
        self.rank = rank
        self.world_size = world_size

    def __len__(self) -> int:
        return len(self.among) // self.world_size

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.key)
        # Before it shuffles, an iterator draws a seed for its workers.
        torch.empty((), dtype=torch.int64).random_(generator=generator)
        order = torch.randperm(len(self.among), generator=generator).tolist()
        dealt = order[self.rank :: self.world_size][: len(self)]
        return iter([self.among[place] for place in dealt])


def shown_positions(labels: Sequence[int], *, cap: int, seed: int, epoch: int) -> list[int]:
    """Return which images an epoch shows, ascending: at most ``cap`` of every label.

    Args:
        labels: of every image.
        cap: at least 1.
        seed: of the training; with the epoch it decides which images are drawn.
        epoch: counted from 0.
    """
    random = np.random.default_rng((seed, epoch, len(labels)))
    array = np.asarray(labels)
    chosen = []
    for label in np.unique(array):
        positions = np.flatnonzero(array == label)
        kept = positions if len(positions) <= cap else random.choice(positions, cap, replace=False)
        chosen.append(kept)
    return [int(position) for position in np.sort(np.concatenate(chosen))]


def training_transform(
    settings: AugmentationSection,
    size_px: int,
    *,
    fill: Fill,
    fit: float,
    seed: int,
    epoch: int,
) -> Transform:
    """Return random views; each depends on nothing but seed, epoch and position."""
    return partial(
        _augmented, settings=settings, size_px=size_px, fill=fill, fit=fit, key=(seed, epoch)
    )


def serving_transform(preprocessing: Preprocessing) -> Transform:
    """Return the views that the runtime would see; fields in the cache are already cleaned."""
    return partial(_centred, preprocessing=replace(preprocessing, steps=()))


def _augmented(
    field: NDArray[np.uint8],
    position: int,
    *,
    settings: AugmentationSection,
    size_px: int,
    fill: Fill,
    fit: float,
    key: tuple[int, int],
) -> NDArray[np.uint8]:
    random = np.random.default_rng((*key, position))
    return augment(field, size_px, settings, fill=fill, fit=fit, random=random)


def _centred(
    field: NDArray[np.uint8], _position: int, *, preprocessing: Preprocessing
) -> NDArray[np.uint8]:
    # A copy, because a square field's view is the cache itself, which is read-only.
    return to_view(field, preprocessing).pixels.copy()
