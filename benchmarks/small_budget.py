"""Short trainings of any network under one loop, kept and resumed epoch by epoch.

The ablation and the paper's Table IV compare trainings with each other, so all of them run here:
the same views, order, loss, optimiser and schedule, whatever the network. The answers of a finished
training are a small file, from which tables can be made again without training.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from dermassist.config import TrainingConfig, describes_same
from dermassist.data.cache import FieldCache
from dermassist.data.ham10000 import Record
from dermassist.diagnosis import DIAGNOSES
from dermassist.errors import ConfigError, DataError, DermAssistError
from dermassist.interfaces.cli.option import DEFAULT_CACHE, DEFAULT_SPLITS
from dermassist.interfaces.cli.train import initial_weights
from dermassist.model.network import MobileNetV2
from dermassist.model.weights import load_weights
from dermassist.storage import replacing, write_text
from dermassist.training.checkpoint import WholeCheckpointIO
from dermassist.training.dataset import FieldDataset, serving_transform
from dermassist.training.hardware import keep_freed_memory, trainer_precision
from dermassist.training.interruption import expected_warnings_ignored, returning_after_interrupt
from dermassist.training.loader import VALIDATION_BATCH, EpochData
from dermassist.training.module import LesionModule
from dermassist.training.run import sole_training_in
from dermassist.training.teacher import Teacher

FloatArray = NDArray[np.float64]
_RECORD_NAME = "job.json"
_STARTED_FROM = "started_from"
#: In a training's folder: its newest epoch.
CHECKPOINT_NAME = "last.ckpt"


@dataclass(frozen=True)
class Budgeted:
    """One short training.

    Attributes:
        name: of its folder.
        recipe: what to do.
        start: returns the network to begin with, and what it begins from in words.
        network: what it is; kept answers of another one are not taken for it.
        begins_from: what it must begin from, in the words of ``start``; None where that depends on
            what can be had.
        teacher: whose answers a MobileNetV2 learns beside the labels, as the recipe weighs them.
    """

    name: str
    recipe: TrainingConfig
    start: Callable[[], tuple[nn.Module, str]]
    network: str = "mobilenet_v2"
    begins_from: str | None = None
    teacher: Teacher | None = None


@dataclass(frozen=True)
class Images:
    """What a short training sees, and what it answers once at its end."""

    train: tuple[Record, ...]
    validation: tuple[Record, ...]
    answered: tuple[Record, ...]


@dataclass(frozen=True)
class Place:
    """Where short trainings live.

    Attributes:
        runs: a folder each for their checkpoints.
        answers: a file each for what they answered; it stays when the checkpoints are gone.
    """

    runs: Path
    answers: Path

    def kept(self, job: Budgeted) -> Path:
        """Return the file of a training's answers."""
        return self.answers / f"{job.name}.npz"


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a short training left behind.

    Attributes:
        probabilities: of the answered images ``(n, 7)``, in their order; no temperature, rounded
            to float32.
        started_from: in words.
        parameters: of the network.
    """

    probabilities: FloatArray
    started_from: str
    parameters: int


class AnyNetwork(LesionModule):
    """The training of the product for a network without MobileNetV2's named layers."""

    def __init__(
        self, config: TrainingConfig, *, class_counts: Sequence[int], network: nn.Module
    ) -> None:
        if config.model.frozen_layers or config.optimisation.freezing:
            raise ConfigError("only MobileNetV2 can have frozen layers here")
        if config.optimisation.layer_decay != 1.0:
            raise ConfigError("only MobileNetV2 can have a layer_decay here")
        super().__init__(config, class_counts=class_counts)
        self.network = network  # type: ignore[assignment] # any network of seven logits

    def train(self, mode: bool = True) -> AnyNetwork:
        """Set train mode; nothing is frozen."""
        nn.Module.train(self, mode)
        return self

    def _freeze_for_epoch(self) -> None:
        """Freeze nothing: the layers have no names to be counted by."""

    def _parameter_groups(self) -> list[dict[str, Any]]:
        settings = self.config.optimisation
        vectors = [p for p in self.network.parameters() if p.ndim <= 1]
        matrices = [p for p in self.network.parameters() if p.ndim > 1]
        spared: dict[str, Any] = {} if settings.decay_all else {"weight_decay": 0.0}
        return [
            {"params": matrices, "lr": settings.learning_rate},
            {"params": vectors, "lr": settings.learning_rate, **spared},
        ]


def run_budgeted(
    job: Budgeted, images: Images, cache: FieldCache, place: Place, *, workers: int = 1
) -> Outcome:
    """Train, or go on where it was stopped, answer once, and keep the answers.

    Raises:
        DataError: another training's checkpoints or answers are there, or damaged ones.
        InUseError: another process is at this training.
    """
    earlier = finished_earlier(job, images, place)
    if earlier is not None:
        return earlier
    with sole_training_in(place.runs / job.name):
        return _run(job, images, cache, place, workers)


def _run(job: Budgeted, images: Images, cache: FieldCache, place: Place, workers: int) -> Outcome:
    folder = place.runs / job.name
    description = describe(job, images)
    record = folder / _RECORD_NAME
    torch.manual_seed(job.recipe.optimisation.seed)
    network, started_from = job.start()
    if record.exists():
        found = json.loads(record.read_text(encoding="utf-8"))
        # Records of earlier versions do not say from what; from here on they do.
        began_from = found.pop(_STARTED_FROM, started_from)
        _check_same(found, description, record, "--runs")
        if began_from != started_from:
            raise DataError(
                f"{record}: this training began from {began_from}, now it would from "
                f"{started_from}; make that available again, or give another --runs"
            )
    write_text(record, json.dumps({**description, _STARTED_FROM: started_from}))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # untyped in torch
    module = _module(job, _counts(images.train), network)
    _fit(module, images, cache, folder, workers)
    parameters = sum(p.numel() for p in network.parameters())
    outcome = Outcome(answer(module, images.answered, cache), started_from, parameters)
    keep(place.kept(job), outcome, description)
    return outcome


def finished_earlier(job: Budgeted, images: Images, place: Place) -> Outcome | None:
    """Return what this training has left behind, or None where it is not finished.

    Raises:
        DataError: the answers are another training's, or damaged.
    """
    path = place.kept(job)
    if not path.exists():
        return None
    outcome, found = _read(path)
    _check_same(found, describe(job, images), path, "--answers")
    if job.begins_from not in {None, outcome.started_from}:
        raise DataError(
            f"{path}: began from {outcome.started_from}, not {job.begins_from}; "
            "give another --answers, or remove it"
        )
    if len(outcome.probabilities) != len(images.answered):
        raise DataError(f"{path}: is damaged (too few answers); remove it to train again")
    return outcome


def keep(path: Path, outcome: Outcome, description: Mapping[str, Any]) -> None:
    """Write a training's answers, and which training it was."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            probabilities=outcome.probabilities.astype(np.float32),
            started_from=np.array(outcome.started_from),
            parameters=np.array(outcome.parameters),
            training=np.array(json.dumps(description)),
        )


def describe(job: Budgeted, images: Images) -> dict[str, Any]:
    """Return, in plain types, what tells this training from others."""
    return {
        "recipe": job.recipe.to_dict(),
        "network": job.network,
        "teacher": job.teacher.sha256 if job.teacher is not None else None,
        "train": _digest(images.train),
        "answered": _digest(images.answered),
    }


def imagenet_start(init: str, origin: Mapping[str, Any]) -> tuple[nn.Module, str]:
    """Return a MobileNetV2 with the weights that ``--init`` names, for ``Budgeted.start``.

    Args:
        init: as ``--init`` takes it; a file is taken to hold ImageNet's.
        origin: of the trial, so that weights which have learned from its other parts are refused.

    Raises:
        ConfigError: they have.
    """
    network = MobileNetV2()
    load_weights(network, initial_weights(init, origin))
    return network, "ImageNet"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what every command that trains at this budget takes."""
    parser.add_argument("--data", type=Path, required=True, help="folder that holds HAM10000")
    parser.add_argument("--recipe", type=Path, default=Path("benchmarks/small.toml"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--splits", type=Path, default=DEFAULT_SPLITS)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="decoded images")
    parser.add_argument("--workers", type=int, default=1, help="processes that augment images")
    parser.add_argument("--runs", type=Path, default=Path("runs/small"), help="checkpoints")
    parser.add_argument(
        "--answers",
        type=Path,
        default=Path("results/small"),
        help="what finished trainings answered; they are not trained again (give an empty folder "
        "here and as --runs to train all anew)",
    )


def exit_status_of(run: Callable[[], None]) -> int:
    """Return the exit status of a command that can be stopped and told to go on."""
    try:
        run()
    except KeyboardInterrupt:
        print("stopped; run the same command to go on", file=sys.stderr)
        return 130
    except DermAssistError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _digest(records: Sequence[Record]) -> str:
    names = "\n".join(record.image_id for record in records)
    return f"{len(records)} images, sha256 {hashlib.sha256(names.encode()).hexdigest()}"


def _check_same(
    found: Mapping[str, Any], wanted: Mapping[str, Any], path: Path, option: str
) -> None:
    if not describes_same(found, wanted, recipe="recipe", where=str(path)):
        raise DataError(f"{path}: is another training's; give another {option}, or remove it")


def _module(job: Budgeted, class_counts: Sequence[int], network: nn.Module) -> LesionModule:
    if not isinstance(network, MobileNetV2):
        if job.teacher is not None:
            raise ConfigError("only MobileNetV2 can have a teacher here")
        return AnyNetwork(job.recipe, class_counts=class_counts, network=network)
    module = LesionModule(job.recipe, class_counts=class_counts, teacher=job.teacher)
    module.network.load_state_dict(network.state_dict())
    module.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # untyped
    return module


def _fit(
    module: LesionModule, images: Images, cache: FieldCache, folder: Path, workers: int
) -> None:
    optimisation = module.config.optimisation
    keep_freed_memory()
    last = ModelCheckpoint(
        dirpath=folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False
    )
    averaging = [EMAWeightAveraging(decay=optimisation.ema_decay)] if optimisation.ema_decay else []
    trainer = lightning.Trainer(
        precision=trainer_precision(optimisation.precision),  # type: ignore[arg-type] # its names
        max_epochs=optimisation.epochs_to_run,
        check_val_every_n_epoch=optimisation.validate_every,
        callbacks=[last, *averaging],
        plugins=[WholeCheckpointIO()],
        logger=False,
        devices=1,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    data = EpochData(module.config, images.train, images.validation, cache=cache, workers=workers)
    checkpoint = folder / CHECKPOINT_NAME
    with expected_warnings_ignored(), returning_after_interrupt(trainer):
        trainer.fit(
            module, data, ckpt_path=checkpoint if checkpoint.is_file() else None, weights_only=True
        )
    if trainer.current_epoch < optimisation.epochs_to_run:
        raise KeyboardInterrupt
    # The averaged weights, where there are any, are those that a checkpoint holds.
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    module.load_state_dict(state)


@torch.no_grad()
def answer(module: LesionModule, records: Sequence[Record], cache: FieldCache) -> FloatArray:
    """Return probabilities ``(n, 7)`` of the views that the runtime would see; no temperature."""
    dataset = FieldDataset(records, cache, serving_transform(module.config.preprocessing))
    module.to("cpu").eval()
    seen_px = module.config.preprocessing.seen_px
    parts: list[Tensor] = [
        module(views, seen_px=seen_px).softmax(1)
        for views, _ in DataLoader(dataset, batch_size=VALIDATION_BATCH)
    ]
    return torch.cat(parts).float().double().numpy()


def _counts(records: Sequence[Record]) -> list[int]:
    counts = Counter(record.diagnosis for record in records)
    return [counts[diagnosis] for diagnosis in DIAGNOSES]


def _read(path: Path) -> tuple[Outcome, dict[str, Any]]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            outcome = Outcome(
                content["probabilities"].astype(np.float64),
                str(content["started_from"]),
                int(content["parameters"]),
            )
            return outcome, json.loads(str(content["training"]))
    except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
        raise DataError(f"{path}: is damaged ({error}); remove it to train again") from error
