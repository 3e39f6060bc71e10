"""One run of one sampler on one function with one seed, and the file that keeps finished runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import optuna
from benchmarks.contender import CONTENDERS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from benchmarks.functions import Problem


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


def run_cell(task: Task, problem: Problem) -> Cell:
    """Let the sampler minimise the problem, in memory and one trial at a time."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=CONTENDERS[task.contender](task.seed))
    best: list[float] = []
    for _ in range(task.evaluations):
        trial = study.ask(dict(problem.space))
        value = problem.evaluate(trial.params)
        study.tell(trial, value)
        best.append(min(value, best[-1]) if best else value)
    return Cell(task, tuple(best))


def read_cells(path: Path) -> dict[Task, Cell]:
    """Return the finished runs; a last line that was cut off by a kill is left out."""
    if not path.exists():
        return {}
    whole, _, _ = path.read_text(encoding="utf-8").rpartition("\n")
    lines = (json.loads(line) for line in whole.splitlines() if line)
    cells = (Cell(Task(**line["task"]), tuple(line["best"])) for line in lines)
    return {cell.task: cell for cell in cells}


def append_cells(path: Path, cells: Iterable[Cell]) -> None:
    """Add finished runs, one JSON line each, after dropping a cut-off last line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    with path.open("r+" if text else "w", encoding="utf-8") as file:
        file.truncate(len(text.rpartition("\n")[0].encode()) + 1 if "\n" in text else 0)
        file.seek(0, 2)
        for cell in cells:
            file.write(json.dumps({"task": asdict(cell.task), "best": cell.best}) + "\n")
            file.flush()
