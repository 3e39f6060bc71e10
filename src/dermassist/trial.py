"""One trial of a protocol, from images to predictions on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum, auto
from pathlib import Path
from typing import Any

from torch import Tensor

from dermassist.answering import answer_records
from dermassist.config import TrainingConfig
from dermassist.data.cache import FieldCache
from dermassist.data.protocol import Trial
from dermassist.decisions import prediction_table
from dermassist.errors import DataError
from dermassist.inference.classifier import Classifier
from dermassist.lock import InUseError
from dermassist.model.bundle import Bundle
from dermassist.model.manifest import Manifest
from dermassist.model.network import MobileNetV2
from dermassist.model.weights import load_weights, read_weights
from dermassist.pooling import description_path, is_tested, table_path
from dermassist.publication import Material, Origin, publish
from dermassist.storage import write_text
from dermassist.training.run import (
    Parts,
    RunSettings,
    Start,
    read_record,
    sole_training_in,
    train,
)
from dermassist.training.teacher import read_teacher

MODEL_FOLDER = "model"
MODEL_NAME = "dermassist-mobilenetv2"


@dataclass(frozen=True)
class Bench:
    """What all trials of a protocol share.

    Attributes:
        recipe: how to train.
        cache: fields of all images.
        pixel_aspect: of the data set.
        initial_weights: to start from.
        start_origin: what a training's record says of those.
        weights: ``last`` epoch, or ``best`` by validation macro F1.
        teachers: runs of the same protocol whose networks teach these, each its own trial's.
    """

    recipe: TrainingConfig
    cache: FieldCache
    pixel_aspect: float
    initial_weights: dict[str, Tensor]
    start_origin: dict[str, Any]
    weights: str = "last"
    teachers: Path | None = None


class Ended(Enum):
    """How ``run_trial`` left a trial: answered, cut off by Ctrl-C, or to another process."""

    TESTED = auto()
    STOPPED = auto()
    ELSEWHERE = auto()


def run_trial(
    trial: Trial,
    bench: Bench,
    settings: RunSettings,
    results: Path,
    *,
    watching: AbstractContextManager[Callable[[int], None] | None] | None = None,
) -> Ended:
    """Train a trial, or resume it, then test it; one process at a time, so that several can share.

    Args:
        trial: which images.
        bench: how to train.
        settings: where to train.
        results: folder that receives the answers; a trial that has some there is left as it is.
        watching: entered when testing begins; gives what is called with the number of images read
            since the last call.
    """
    try:
        with sole_training_in(settings.directory):
            # Another process may have ended since the caller looked.
            if not is_tested(trial, results):
                if not train_trial(trial, bench, settings):
                    return Ended.STOPPED
                with watching or nullcontext() as advance:
                    answer_trial(trial, bench, settings.directory, results, advance=advance)
    except InUseError:
        return Ended.ELSEWHERE
    return Ended.TESTED


def train_trial(trial: Trial, bench: Bench, settings: RunSettings) -> bool:
    """Train a trial, or resume it; return whether it is finished."""
    origin = {**trial.origin, **bench.start_origin}
    teacher = None
    if bench.teachers is not None:
        taught_by = bench.teachers / trial.name / MODEL_FOLDER
        teacher = read_teacher(taught_by, trial.origin, bench.recipe.preprocessing)
    outcome = train(
        bench.recipe,
        Parts(trial.train, trial.validation),
        bench.cache,
        settings,
        start=Start(bench.initial_weights, teacher),
        origin=origin,
    )
    return outcome.finished


def answer_trial(
    trial: Trial,
    bench: Bench,
    run: Path,
    results: Path,
    *,
    advance: Callable[[int], None] | None = None,
) -> None:
    """Calibrate a trained network on validation images, answer the test images, write both.

    Args:
        trial: which images.
        bench: how it was trained.
        run: folder of the training; receives the model bundle.
        results: folder that receives ``NAME.csv`` and, last, ``NAME.json``.
        advance: called with the number of images read since the last call.
    """
    bundle = _publish(trial, bench, run, advance)
    answer_with(bundle, trial, results, pixel_aspect=bench.pixel_aspect, advance=advance)


def answer_with(
    bundle: Bundle,
    trial: Trial,
    results: Path,
    *,
    pixel_aspect: float,
    advance: Callable[[int], None] | None = None,
) -> None:
    """Answer a trial's test images with a model that was trained on it, and write the answers.

    Args:
        bundle: of the trial; ``pooling.check_trained`` says whether it is.
        trial: which images.
        results: folder that receives ``NAME.csv`` and, last, ``NAME.json``.
        pixel_aspect: of the data set.
        advance: called with the number of images read since the last call.
    """
    answers = answer_records(
        trial.test, Classifier(bundle), pixel_aspect=pixel_aspect, advance=advance
    )
    table = prediction_table(answers, bundle.manifest).to_csv()
    description = {
        "trial": trial.name,
        "training": described_training(bundle.manifest),
        "temperature": bundle.manifest.temperature,
        "graph_sha256": bundle.manifest.files["model.onnx"].sha256,
        "test_images": len(trial.test),
        "predictions_sha256": hashlib.sha256(table.encode()).hexdigest(),
    }
    write_text(table_path(results, trial.name), table)
    write_text(description_path(results, trial.name), json.dumps(description, indent=1) + "\n")


def described_training(manifest: Manifest) -> dict[str, Any]:
    """Return how a model was trained, with the preprocessing that it answers with as its recipe's.

    Its export may enlarge the network's view, which no step of a training does; the recipe that it
    is compared with names the enlargement.

    Raises:
        ConfigError: the recipe that its manifest states is none.
        DataError: the manifest states none.
    """
    try:
        config = TrainingConfig.from_dict(manifest.training["config"], where=manifest.name)
    except (KeyError, TypeError) as error:
        raise DataError(f"{manifest.name}: does not say how it was trained ({error!r})") from error
    recipe = replace(config, preprocessing=manifest.preprocessing)
    return {**manifest.training, "config": recipe.to_dict()}


def _publish(
    trial: Trial, bench: Bench, run: Path, advance: Callable[[int], None] | None
) -> Bundle:
    network = MobileNetV2(dropout=bench.recipe.model.dropout)
    load_weights(network, read_weights(run / f"{bench.weights}_model.pth"))
    created = datetime.now(UTC).isoformat(timespec="seconds")
    described = {**read_record(run), "weights": bench.weights}
    return publish(
        network.eval(),
        bench.recipe.preprocessing,
        Origin(MODEL_NAME, f"0+{trial.name}", created, described),
        run / MODEL_FOLDER,
        material=Material(trial.train, trial.validation, bench.pixel_aspect),
        advance=advance,
    )
