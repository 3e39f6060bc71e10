"""One training from configuration to weights on disk; killed at any point, it resumes."""

from __future__ import annotations

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor

from dermassist.config import TrainingConfig, describes_same
from dermassist.data.cache import FieldCache
from dermassist.data.ham10000 import Record
from dermassist.diagnosis import DIAGNOSES
from dermassist.errors import ConfigError, DataError
from dermassist.lock import sole_use_of
from dermassist.model.weights import load_weights, read_weights, write_weights
from dermassist.storage import write_text
from dermassist.training.averaging import TailAveraging
from dermassist.training.checkpoint import MovableCheckpoint, WholeCheckpointIO, read_epochs
from dermassist.training.fingerprint import hash_images
from dermassist.training.hardware import check_accelerator, keep_freed_memory, trainer_precision
from dermassist.training.interruption import (
    InterruptedCheckpoint,
    expected_warnings_ignored,
    returning_after_interrupt,
)
from dermassist.training.loader import EpochData
from dermassist.training.module import SELECTION_METRIC, LesionModule
from dermassist.training.narration import EpochLines
from dermassist.training.seen import RECORD_NAME
from dermassist.training.teacher import Teacher

_log = logging.getLogger(__name__)

BEST_WEIGHTS_NAME = "best_model.pth"
LAST_WEIGHTS_NAME = "last_model.pth"
CHECKPOINT_FOLDER = "checkpoints"
LOCK_NAME = "run.lock"
#: Under these a run's record says how many epochs the weights beside it have learned (0 before
#: there are any), and what the training looks at.
EPOCHS_KEY = "epochs_in_weights"
IMAGES_KEY = "images_sha256"


@dataclass(frozen=True)
class RunSettings:
    """Where and with how much of the machine a training runs.

    Attributes:
        directory: receives checkpoints, weights and the record.
        workers: processes that augment images beside the training process; they do not change the
            result.
        devices: processes or accelerators to train on, each with batches of the recipe's size: two
            of them take half as many steps of twice as many images. A run resumes on as many.
        accelerator: Lightning's name: ``auto``, ``cpu``, ``gpu`` and the like.
        progress: draw a progress bar.
        tell: told a line after every epoch, for logs.
    """

    directory: Path
    workers: int = 1
    devices: int = 1
    accelerator: str = "auto"
    progress: bool = True
    tell: Callable[[str], None] | None = None


@dataclass(frozen=True)
class Parts:
    """Records to learn from and records to choose by."""

    train: tuple[Record, ...]
    validation: tuple[Record, ...]

    def __post_init__(self) -> None:
        if not self.train or not self.validation:
            raise ConfigError("training needs at least one training and one validation image")


@dataclass(frozen=True, eq=False)
class Start:
    """What a training knows before its first image.

    Attributes:
        weights: ImageNet or any other; ignored when resuming.
        teacher: whose answers are learned beside the labels.
    """

    weights: dict[str, Tensor]
    teacher: Teacher | None = None


@dataclass(frozen=True)
class TrainingOutcome:
    """What a training left behind.

    Attributes:
        best_weights: weights of the finished epoch with the highest validation macro F1.
        last_weights: weights after the last finished epoch.
        best_macro_f1: on validation.
        epochs: finished epochs.
        finished: False where the run was interrupted; run the same command to resume.
    """

    best_weights: Path
    last_weights: Path
    best_macro_f1: float
    epochs: int
    finished: bool


def train(
    config: TrainingConfig,
    parts: Parts,
    cache: FieldCache,
    settings: RunSettings,
    *,
    start: Start,
    origin: Mapping[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
) -> TrainingOutcome:
    """Train, or resume the training that ``settings.directory`` holds.

    Args:
        config: the recipe.
        parts: who is trained on and who chooses.
        cache: fields of all these records.
        settings: where and on what.
        start: weights to begin with, and a teacher.
        origin: what the run's record says besides, in plain JSON types: splits, start weights.
        callbacks: further Lightning callbacks.

    Returns:
        Paths of the weights written; with ``finished`` False after Ctrl-C.

    Raises:
        ConfigError: the directory holds a training with another configuration or of other images,
            the recipe freezes layers on the way on more than one device, or there is no such
            accelerator here, or fewer of it.
        OSError: the disk is full, or the directory cannot be written to.
        WeightsError: the initial weights do not fit.
    """
    check_accelerator(settings.accelerator, devices=settings.devices)
    if config.optimisation.freezing and settings.devices > 1:
        # Processes agree at the start on whose gradients they exchange.
        raise ConfigError("freezing is for one device; leave it out, or train with --devices 1")
    taught_by = {"teacher": start.teacher.sha256} if start.teacher else {}
    described = {**(origin or {}), **taught_by}
    record = _agreed_record(
        _description(config, parts, cache, settings, origin=described),
        settings.directory,
        precision=trainer_precision(config.optimisation.precision, settings.accelerator),
    )
    keep_freed_memory()
    module = make_module(config, parts.train, start)
    checkpoint = _best_checkpoint(settings.directory)
    data = EpochData(config, parts.train, parts.validation, cache=cache, workers=settings.workers)
    with expected_warnings_ignored():
        trainer = _make_trainer(
            config, settings, [checkpoint, _last_checkpoint(settings.directory), *callbacks]
        )
        # Not before: a start that fails must not keep the corrected one out of its folder.
        _write_record(settings.directory, record)
        _log.info("training in %s", trainer.precision)
        with returning_after_interrupt(trainer):
            trainer.fit(module, data, ckpt_path=_resume_path(settings.directory), weights_only=True)
    return _finish(module, trainer, checkpoint, settings.directory)


@contextmanager
def sole_training_in(directory: Path) -> Iterator[None]:
    """Hold the folder of a training against other processes, for as long as the block lasts.

    Two trainings in one folder would overwrite each other's checkpoints. ``train`` does not ask for
    this itself, since what follows it, such as testing, may have to be one's own as well.

    Raises:
        InUseError: another process trains there.
    """
    if int(
        os.environ.get("LOCAL_RANK", "0")
    ):  # Lightning's name; the process that began us holds it
        yield
        return
    refusal = "another process trains here; wait for it, or give another folder"
    with sole_use_of(directory, lock=LOCK_NAME, refusal=refusal):
        yield


def make_module(config: TrainingConfig, records: Sequence[Record], start: Start) -> LesionModule:
    """Return what a training of these records begins with; its chance follows the recipe's seed.

    Raises:
        WeightsError: the initial weights do not fit.
    """
    torch.manual_seed(config.optimisation.seed)
    counts = Counter(record.diagnosis for record in records)
    module = LesionModule(
        config, class_counts=[counts[d] for d in DIAGNOSES], teacher=start.teacher
    )
    load_weights(module.network, start.weights)
    module.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # untyped overload in torch
    return module


def read_record(directory: Path) -> dict[str, Any]:
    """Read what ``train`` recorded of a run.

    Raises:
        DataError: the folder holds no run.
    """
    try:
        record: dict[str, Any] = json.loads((directory / RECORD_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{directory}: holds no training run ({error})") from error
    return record


def check_finished(directory: Path, record: Mapping[str, Any], *, epochs: int) -> None:
    """Refuse a run whose weights are not those of a finished training.

    The record of an earlier version does not say so; then the checkpoint does, where there is one.

    Args:
        directory: of the run.
        record: that it holds.
        epochs: until training ends.

    Raises:
        DataError: the training was stopped or killed, and not resumed to its end.
        WeightsError: its checkpoint cannot be read.
    """
    in_weights: int | None = record.get(EPOCHS_KEY)
    if in_weights is not None and in_weights >= epochs:
        return
    checkpoint = _resume_path(directory)
    if checkpoint is not None:
        done = read_epochs(checkpoint)
        if in_weights is None and done >= epochs:
            return
    elif in_weights is None:
        return
    else:
        done = in_weights
    raise DataError(
        f"{directory}: its weights are not those of a finished training ({done} of {epochs} "
        "epochs are done); run the same  dermassist train  command again"
    )


def _description(
    config: TrainingConfig,
    parts: Parts,
    cache: FieldCache,
    settings: RunSettings,
    *,
    origin: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what a run resumes with, and with nothing else."""
    return {
        "config": config.to_dict(),
        "origin": dict(origin),
        "train_images": len(parts.train),
        "validation_images": len(parts.validation),
        "first_train_image": parts.train[0].image_id,
        "devices": settings.devices,
        IMAGES_KEY: hash_images(parts.train, parts.validation, cache),
    }


def _agreed_record(
    described: Mapping[str, Any], directory: Path, *, precision: str
) -> dict[str, Any]:
    """Return the record of a run to begin, or of the one found, which must be the same.

    Raises:
        ConfigError: the directory holds another one.
    """
    path = directory / RECORD_NAME
    if not path.exists():
        return {**described, EPOCHS_KEY: 0, "precision": [precision]}
    # Records of earlier versions do not say all of it; from here on they do.
    unsaid = {"devices": described["devices"], IMAGES_KEY: described[IMAGES_KEY], EPOCHS_KEY: 0}
    found = {**unsaid, **read_record(directory)}
    epochs, images = found.pop(EPOCHS_KEY), found[IMAGES_KEY]
    # A run may go on where arithmetic is another; its record then says both.
    used = [*found.pop("precision", []), precision]
    named = {**described, IMAGES_KEY: images}
    if not describes_same(found, named, recipe="config", where=str(path)):
        raise ConfigError(
            f"{directory}: holds a training with another configuration, other data or another "
            "number of devices; give another folder, or remove this one"
        )
    if images != described[IMAGES_KEY]:
        raise ConfigError(
            f"{directory}: holds a training of other images or labels that bear the same names; "
            "give those, or another folder, or remove this one"
        )
    return {**found, EPOCHS_KEY: epochs, "precision": list(dict.fromkeys(used))}


def _write_record(directory: Path, record: Mapping[str, Any]) -> None:
    write_text(directory / RECORD_NAME, json.dumps(record, indent=1) + "\n")


def _best_checkpoint(directory: Path) -> ModelCheckpoint:
    return MovableCheckpoint(
        dirpath=directory / CHECKPOINT_FOLDER,
        filename="best",
        monitor=SELECTION_METRIC,
        mode="max",
        enable_version_counter=False,
    )


def _last_checkpoint(directory: Path) -> ModelCheckpoint:
    """Keep the newest epoch, better or not: what a killed run resumes from."""
    return MovableCheckpoint(
        dirpath=directory / CHECKPOINT_FOLDER,
        filename="last",
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


def _make_trainer(
    config: TrainingConfig, settings: RunSettings, callbacks: list[Callback]
) -> lightning.Trainer:
    optimisation = config.optimisation
    extra: list[Callback] = [
        LearningRateMonitor(),
        InterruptedCheckpoint(settings.directory / CHECKPOINT_FOLDER / "interrupted.ckpt"),
    ]
    if settings.progress:
        extra.append(TQDMProgressBar(refresh_rate=10))
    if settings.tell is not None:
        extra.append(EpochLines(settings.tell))
    if optimisation.ema_decay > 0.0:
        extra.append(EMAWeightAveraging(decay=optimisation.ema_decay))
    if optimisation.averaged_share > 0.0:
        extra.append(TailAveraging(optimisation.averaged_share))
    precision: Any = trainer_precision(optimisation.precision, settings.accelerator)
    return lightning.Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices,
        strategy="ddp" if settings.devices > 1 else "auto",
        precision=precision,
        max_epochs=optimisation.epochs_to_run,
        check_val_every_n_epoch=optimisation.validate_every,
        callbacks=[*extra, *callbacks],
        plugins=[WholeCheckpointIO()],
        logger=CSVLogger(settings.directory, name="log"),
        reload_dataloaders_every_n_epochs=1,
        # The loaders deal out images themselves, in an order that does not depend on processes.
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        enable_progress_bar=settings.progress,
        enable_model_summary=False,
    )


def _resume_path(directory: Path) -> Path | None:
    path = directory / CHECKPOINT_FOLDER / "last.ckpt"
    return path if path.is_file() else None


def _finish(
    module: LesionModule, trainer: lightning.Trainer, checkpoint: ModelCheckpoint, directory: Path
) -> TrainingOutcome:
    """Turn the checkpoints into plain weights, also those of a training that Ctrl-C ended.

    Selected weights are the averaged ones. The record says, last, of which epoch they are.
    """
    best, last = directory / BEST_WEIGHTS_NAME, directory / LAST_WEIGHTS_NAME
    folder = directory / CHECKPOINT_FOLDER
    resumes_from = _resume_path(directory)
    for target, name in ((best, "best.ckpt"), (last, "last.ckpt")):
        if trainer.is_global_zero and (folder / name).is_file():
            load_weights(module.network, read_weights(folder / name))
            write_weights(module.network, target)
    if trainer.is_global_zero and resumes_from is not None:
        _write_record(directory, {**read_record(directory), EPOCHS_KEY: read_epochs(resumes_from)})
    score = checkpoint.best_model_score
    return TrainingOutcome(
        best_weights=best,
        last_weights=last,
        best_macro_f1=float(score) if score is not None else float("nan"),
        epochs=trainer.current_epoch,
        finished=trainer.state.finished and trainer.current_epoch >= (trainer.max_epochs or 0),
    )
