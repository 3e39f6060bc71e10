"""Objectives that worker processes can import, which train nothing and leave notes in a folder."""

from __future__ import annotations

import itertools
import math
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dermassist.config import TrainingConfig
from dermassist.errors import DataError

Report = Callable[[int, float], bool]
EPOCHS = 3


def score_of(config: TrainingConfig) -> float:
    """Return a hill whose top is dropout 0.3, 6 frozen layers and a batch of 32."""
    cost = 4.0 * (config.model.dropout - 0.3) ** 2 + ((config.model.frozen_layers - 6) / 20) ** 2
    return math.exp(-cost) - (0.0 if config.optimisation.batch_size == 32 else 0.1)


@dataclass(frozen=True)
class Fake:
    """Prepares an objective that adds a line to ``notes`` for every candidate it has scored.

    Attributes:
        notes: a file; it also tells how often the misbehaviours below have happened.
        pause_s: how long a candidate takes.
        fails: candidates that raise an error first.
        deaths: candidates that kill their process first.
        refuses: refuse to be prepared.
        stuck_after: candidates that wait for each other and end; later ones never do.
    """

    notes: Path
    pause_s: float = 0.0
    fails: int = 0
    deaths: int = 0
    refuses: bool = False
    stuck_after: int | None = None

    def prepare(self) -> Callable[[TrainingConfig, Report], float]:
        if self.refuses:
            raise DataError("the images are gone")
        return self._score

    def _score(self, config: TrainingConfig, report: Report) -> float:
        if _count(self.notes.with_suffix(".deaths")) < self.deaths:
            _note(self.notes.with_suffix(".deaths"), config)
            os.kill(os.getpid(), signal.SIGKILL)
        if _count(self.notes.with_suffix(".fails")) < self.fails:
            _note(self.notes.with_suffix(".fails"), config)
            raise RuntimeError("out of memory")
        if self.stuck_after is not None:
            self._wait(self.stuck_after)
        time.sleep(self.pause_s)
        score = score_of(config)
        for epoch in range(EPOCHS):
            if report(epoch, score * (epoch + 1) / EPOCHS):
                break
        _note(self.notes, config)
        return score

    def _wait(self, others: int) -> None:
        """Wait until so many candidates have begun, or for good if they began before this one."""
        ranks = itertools.count(1)
        names = ((rank, f"{self.notes.name}.begun.{rank}") for rank in ranks)
        own = next(rank for rank, name in names if _made(self.notes.with_name(name)))
        while own > others or begun(self.notes) < others:
            time.sleep(0.01)


def _made(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def begun(notes: Path) -> int:
    """Return how many candidates of a fake with ``stuck_after`` have begun."""
    return len(list(notes.parent.glob(f"{notes.name}.begun.*")))


def _note(path: Path, config: TrainingConfig) -> None:
    line = f"{config.model.dropout} {config.model.frozen_layers} {config.optimisation.batch_size}\n"
    with path.open("a") as file:
        file.write(line)


def _count(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0
