"""What a network is shown: each image with its own label, and when it chooses, as in serving."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dermassist.config import OptimisationSection, TrainingConfig
from dermassist.data.cache import open_cache
from dermassist.data.ham10000 import read_ham10000
from dermassist.imaging import Preprocessing
from dermassist.inference.classifier import Classifier
from dermassist.model.bundle import Bundle
from dermassist.training.loader import EpochData

from ...conftest import tiny_graph, tiny_manifest

Make = Callable[..., Path]

CLEANED = Preprocessing(size_px=32, steps=("hair", "brightness"), fit=0.5)


def test_validation_shows_the_views_that_the_runtime_answers(
    make_ham10000: Make, tmp_path: Path
) -> None:
    dataset = read_ham10000(make_ham10000(lesions_per_class=1, mask_size=(80, 60)))
    records, aspect = dataset.records, dataset.pixel_aspect
    assert aspect == pytest.approx(4 / 3)
    config = TrainingConfig(preprocessing=CLEANED)
    cache = open_cache(records, CLEANED, tmp_path / "cache", pixel_aspect=aspect)
    data = EpochData(config, records, records, cache=cache, workers=0)
    manifest = tiny_manifest(preprocessing=CLEANED)
    runtime = Classifier(Bundle.unwritten(Path(), manifest, tiny_graph(size_px=32)), threads=1)

    views, labels = next(iter(data.val_dataloader()))

    for record, view, label in zip(records, views, labels, strict=True):
        assert record.path is not None
        served = runtime.view(record.path, pixel_aspect=aspect).pixels
        np.testing.assert_array_equal(view.numpy(), served)
        assert label == record.diagnosis.index


def test_an_epoch_shows_every_image_with_its_own_label(make_ham10000: Make, tmp_path: Path) -> None:
    records = read_ham10000(make_ham10000(lesions_per_class=2)).records
    small = Preprocessing(size_px=32)
    config = TrainingConfig(
        preprocessing=small, optimisation=OptimisationSection(batch_size=len(records) // 3)
    )
    cache = open_cache(records, small, tmp_path / "cache", pixel_aspect=1.0)
    loader = EpochData(config, records, records, cache=cache, workers=0).train_dataloader()
    order = list(loader.sampler)

    shown = [int(label) for _, labels in loader for label in labels]

    assert sorted(order) == list(range(len(records)))
    assert shown == [records[position].diagnosis.index for position in order]
