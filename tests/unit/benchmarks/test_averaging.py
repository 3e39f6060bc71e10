"""A finished training answered with its averaged and with its plain weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.averaging import Answered, compare, read_both, write

from dermassist.config import OptimisationSection, TrainingConfig
from dermassist.data.cache import open_cache
from dermassist.data.ham10000 import Record, read_ham10000
from dermassist.diagnosis import DIAGNOSES
from dermassist.errors import ConfigError, DataError
from dermassist.imaging import Preprocessing
from dermassist.model.network import MobileNetV2
from dermassist.model.weights import read_weights
from dermassist.training.run import Parts, RunSettings, Start, train


@pytest.mark.slow
def test_plain_weights_are_those_of_the_training_without_averaging(
    make_ham10000: Callable[..., Path], tmp_path: Path
) -> None:
    records = read_ham10000(make_ham10000(lesions_per_class=2, size=(64, 64))).records
    optimisation = OptimisationSection(
        epochs=2, batch_size=4, ema_decay=0.5, precision="float32", learning_rate=1e-3
    )
    config = TrainingConfig(preprocessing=Preprocessing(size_px=32), optimisation=optimisation)
    cache = open_cache(records, config.preprocessing, tmp_path / "cache", pixel_aspect=1.0)
    torch.manual_seed(0)
    start = Start(MobileNetV2().state_dict())
    parts = Parts(records[::2], records[1::2])

    def trained(ema_decay: float, folder: str) -> Path:
        recipe = replace(config, optimisation=replace(optimisation, ema_decay=ema_decay))
        settings = RunSettings(tmp_path / folder, workers=0, accelerator="cpu", progress=False)
        train(recipe, parts, cache, settings, start=start)
        return settings.directory

    with_it, without = trained(0.5, "with"), trained(0.0, "without")
    both = read_both(with_it / "checkpoints/last.ckpt")
    alone = read_weights(without / "last_model.pth")
    shipped = read_weights(with_it / "last_model.pth")
    for name, value in alone.items():
        torch.testing.assert_close(both["plain"][name], value, rtol=0, atol=0)
        torch.testing.assert_close(both["averaged"][name], shipped[name], rtol=0, atol=0)
    head = "classifier.1.weight"
    assert not torch.equal(both["plain"][head], both["averaged"][head])
    with pytest.raises(DataError, match="holds no averaged weights"):
        read_both(without / "checkpoints/last.ckpt")


def answered(name: str, plain: int, averaged: int, *, lesion: str = "lesion") -> Answered:
    """Return a run whose first so many of seven images are right, one a class."""
    records = tuple(
        Record(f"image{k}", f"{lesion}{k}", diagnosis, "histo", None, "male", "back", "here")
        for k, diagnosis in enumerate(DIAGNOSES)
    )
    places = np.arange(7)

    def said(right: int) -> np.ndarray:
        named = np.where(places < right, places, (places + 1) % 7)
        return 0.02 + 0.86 * np.eye(7)[named]

    return Answered(name, records, {"plain": said(plain), "averaged": said(averaged)})


def test_differences_are_the_mean_of_the_runs(tmp_path: Path) -> None:
    runs = [answered("a", 7, 4), answered("b", 5, 4)]
    differences = compare(runs)
    assert differences["accuracy"].value == pytest.approx((3 / 7 + 1 / 7) / 2)
    assert differences["log_loss"].value < 0.0
    write(runs, tmp_path)
    document = json.loads((tmp_path / "averaging.json").read_text())
    assert document["runs"]["a"]["averaged"]["accuracy"] == pytest.approx(4 / 7)
    assert document["differences"]["accuracy"]["value"] == differences["accuracy"].value
    assert "| a, plain | 1.000 |" in (tmp_path / "averaging.md").read_text()
    with pytest.raises(ConfigError, match="one fold"):
        compare([*runs, answered("c", 7, 7, lesion="other")])
