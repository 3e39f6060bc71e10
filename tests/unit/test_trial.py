"""No image that tests a trial trains, chooses or calibrates its network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dermassist import trial as module
from dermassist.config import TrainingConfig
from dermassist.data.cache import FieldCache
from dermassist.data.ham10000 import Record
from dermassist.data.protocol import Trial, lesion_trial
from dermassist.data.split import make_splits
from dermassist.diagnosis import DIAGNOSES
from dermassist.errors import DataError
from dermassist.imaging.geometry import Preprocessing
from dermassist.model.bundle import Bundle
from dermassist.model.network import MobileNetV2
from dermassist.model.weights import write_weights
from dermassist.publication import Material, Origin
from dermassist.training.run import Parts, RunSettings, TrainingOutcome

from ..conftest import tiny_manifest

SQUEEZED = 4 / 3


@pytest.fixture(scope="module")
def trial() -> Trial:
    """Return one fold's trial of 140 lesions, each with one or two images."""
    records = tuple(
        Record(f"I{k}-{i}", f"L{k}", DIAGNOSES[k % 7], "histo", None, "male", "back", "x")
        for k in range(140)
        for i in range(1 + k % 2)
    )
    return lesion_trial(records, make_splits(records, seed=0), fold=1)


def bench(weights: str = "last") -> module.Bench:
    return module.Bench(
        TrainingConfig(),
        cache=FieldCache(np.zeros(0, np.uint8), {}, {}),
        pixel_aspect=SQUEEZED,
        initial_weights={},
        start_origin={},
        weights=weights,
    )


def test_a_trial_trains_on_its_training_part_and_chooses_by_validation(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Parts] = []

    def train(_recipe: object, parts: Parts, *_: object, **__: object) -> TrainingOutcome:
        given.append(parts)
        return TrainingOutcome(tmp_path, tmp_path, best_macro_f1=0.5, epochs=1, finished=True)

    monkeypatch.setattr(module, "train", train)
    assert module.train_trial(trial, bench(), RunSettings(tmp_path))
    assert given == [Parts(trial.train, trial.validation)]


@pytest.mark.parametrize("weights", ["last", "best"])
def test_a_trial_s_network_is_calibrated_by_validation(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    networks = {name: MobileNetV2() for name in ("last", "best")}
    for name, network in networks.items():
        write_weights(network, tmp_path / f"{name}_model.pth")
    (tmp_path / "run.json").write_text('{"seed": 5}')
    given: dict[str, Any] = {}

    def publish(network: MobileNetV2, _: object, origin: Origin, *__: Path, **more: Any) -> Bundle:
        given.update(head=network.head.weight, training=origin.training, **more)
        return Bundle.unwritten(tmp_path, tiny_manifest(), b"")

    monkeypatch.setattr(module, "publish", publish)
    module._publish(trial, bench(weights), tmp_path, None)
    assert given["material"] == Material(trial.train, trial.validation, SQUEEZED)
    assert given["head"].equal(networks[weights].head.weight)
    assert given["training"] == {"seed": 5, "weights": weights}


def test_a_model_s_recipe_is_that_of_its_training_with_the_view_it_answers_with() -> None:
    recipe = TrainingConfig()
    served = replace(recipe.preprocessing, network_px=256)
    training = {"config": recipe.to_dict(), "weights": "last", "origin": {"fold": 1}}
    manifest = tiny_manifest(preprocessing=served, training=training)
    described = module.described_training(manifest)
    assert described == {**training, "config": replace(recipe, preprocessing=served).to_dict()}
    assert described != training
    assert manifest.training == training


@pytest.mark.parametrize("training", [{}, {"config": None}])
def test_a_model_that_does_not_say_how_it_was_trained_is_refused(training: dict[str, Any]) -> None:
    manifest = tiny_manifest(preprocessing=Preprocessing(), training=training)
    with pytest.raises(DataError, match="does not say how it was trained"):
        module.described_training(manifest)
