"""A short training that only ends in a score: how a search looks at a candidate."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerStatus
from torch import Tensor

from dermassist.config import TrainingConfig
from dermassist.data.cache import FieldCache, open_cache
from dermassist.imaging import Preprocessing
from dermassist.training.hardware import keep_freed_memory, trainer_precision
from dermassist.training.interruption import expected_warnings_ignored, returning_after_interrupt
from dermassist.training.loader import EpochData
from dermassist.training.module import SELECTION_METRIC
from dermassist.training.run import Parts, Start, make_module

#: Takes an epoch, counted from 0, and its validation macro F1; answers whether to stop there.
Report = Callable[[int, float], bool]


@dataclass(frozen=True, eq=False)
class ProxyTraining:
    """Trains candidates from the same start on the same images, and leaves no files.

    Attributes:
        parts: who is trained on, and whose macro F1 is the score.
        cache: fields of all these records, at the candidates' size.
        initial_weights: ImageNet or any other start.
        accelerator: Lightning's name: ``auto``, ``cpu``, ``gpu`` and the like.
    """

    parts: Parts
    cache: FieldCache
    initial_weights: dict[str, Tensor]
    accelerator: str = "auto"

    def __call__(self, config: TrainingConfig, report: Report) -> float:
        """Train with a recipe and return the macro F1, 0 to 1, of the last epoch on validation.

        Args:
            config: the recipe; the same one gives the same score on the same machine.
            report: called after every epoch.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
            WeightsError: the initial weights do not fit.
        """
        module = make_module(config, self.parts.train, Start(self.initial_weights))
        data = EpochData(
            config, self.parts.train, self.parts.validation, cache=self.cache, workers=0
        )
        scores = _Scores(report)
        with expected_warnings_ignored():
            trainer = self._trainer(config, scores)
            with returning_after_interrupt(trainer):
                trainer.fit(module, data)
        if trainer.state.status == TrainerStatus.INTERRUPTED:
            raise KeyboardInterrupt
        return scores.last

    def _trainer(self, config: TrainingConfig, scores: Callback) -> lightning.Trainer:
        precision: Any = trainer_precision(config.optimisation.precision, self.accelerator)
        return lightning.Trainer(
            accelerator=self.accelerator,
            devices=1,
            precision=precision,
            max_epochs=config.optimisation.epochs_to_run,
            callbacks=[scores],
            logger=False,
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )


@dataclass(frozen=True, eq=False)
class ProxyPlan:
    """What a process needs to make a ``ProxyTraining`` of its own; it can be pickled.

    Attributes:
        parts: who is trained on, and whose macro F1 is the score.
        preprocessing: of the candidates.
        cache: decoded images live here.
        pixel_aspect: of the data set.
        read_weights: reads the start weights.
        threads: that the process may use.
        accelerator: Lightning's name: ``auto``, ``cpu``, ``gpu`` and the like.
    """

    parts: Parts
    preprocessing: Preprocessing
    cache: Path
    pixel_aspect: float
    read_weights: Callable[[], dict[str, Tensor]]
    threads: int = 1
    accelerator: str = "auto"

    def open_cache(self, progress: Callable[[int, int], None] | None = None) -> FieldCache:
        """Open the decoded images, of training and validation alone, or make them first.

        Raises:
            DataError: an image is missing.
            ImageError: an image cannot be read.
        """
        return open_cache(
            (*self.parts.train, *self.parts.validation),
            self.preprocessing,
            self.cache,
            pixel_aspect=self.pixel_aspect,
            progress=progress,
        )

    def prepare(self) -> ProxyTraining:
        """Set this process up for short trainings.

        Raises:
            WeightsError: the start weights cannot be read.
        """
        torch.set_num_threads(self.threads)
        cv2.setNumThreads(0)
        keep_freed_memory()
        # One line for every training, about devices that are not there.
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
        return ProxyTraining(
            self.parts, self.open_cache(), self.read_weights(), accelerator=self.accelerator
        )


class _Scores(Callback):
    """Hands every epoch's validation score on, and stops the training when told to."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.last = float("nan")

    def on_validation_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,  # noqa: ARG002 - Lightning's signature
    ) -> None:
        """Report the epoch that was validated."""
        self.last = float(trainer.callback_metrics[SELECTION_METRIC])
        if self.report(trainer.current_epoch, self.last):
            trainer.should_stop = True
