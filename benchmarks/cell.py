"""One run of one sampler on one function with one seed, and the file that keeps finished runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import optuna
from benchmarks.contender import CONTENDERS
from benchmarks.jsonl import append_line, read_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from benchmarks.functions import Problem
    from optuna.samplers import BaseSampler


@dataclass(frozen=True)
class Task:
    """What to run; ``fingerprint`` names the program, so that a changed one runs anew."""

    problem: str
    contender: str
    seed: int
    evaluations: int
    fingerprint: str


@dataclass(frozen=True)
class Cell:
    """A finished task: the best value after each evaluation, lower is better."""

    task: Task
    best: tuple[float, ...]


def run_cell(
    task: Task, problem: Problem, samplers: Mapping[str, Callable[[int], BaseSampler]] = CONTENDERS
) -> Cell:
    """Let the sampler minimise the problem, in memory and one trial at a time."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=samplers[task.contender](task.seed))
    best: list[float] = []
    for _ in range(task.evaluations):
        trial = study.ask(dict(problem.space))
        value = problem.evaluate(trial.params)
        study.tell(trial, value)
        best.append(min(value, best[-1]) if best else value)
    return Cell(task, tuple(best))


def read_cells(path: Path) -> dict[Task, Cell]:
    """Return the finished runs."""
    cells = (Cell(Task(**line["task"]), tuple(line["best"])) for line in read_lines(path))
    return {cell.task: cell for cell in cells}


def append_cell(path: Path, cell: Cell) -> None:
    """Add a finished run."""
    append_line(path, {"task": asdict(cell.task), "best": cell.best})
