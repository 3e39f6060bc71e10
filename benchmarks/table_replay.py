"""Let every sampler search the table of real trainings, on its own levels.

Each parameter's levels are ordered, so a sampler sees their places, 0 to n - 1, as an integer.
"""

from __future__ import annotations

import csv
import hashlib
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.cell import Task, run_cell
from benchmarks.contender import CONTENDERS, MEMETIC, fingerprint
from benchmarks.contest import PairedDifference, Score, paired_differences, scored
from benchmarks.functions import Problem
from benchmarks.table_build import MEAN_NAME, TABLE_NAME
from matplotlib.figure import Figure
from optuna.distributions import IntDistribution

from dermassist.storage import replacing, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.functions import Params
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

#: Seeds of the samplers, one run each, and evaluations of a run. The seeds were 50 when the table
#: was first looked at, too few to tell samplers apart whose mean ranks differ by 0.2.
SEEDS: tuple[int, ...] = tuple(range(3001, 3201))
#: Seeds that nothing had been measured with when the search was last changed: they show how much of
#: a standing is owed to the seeds.
FRESH_SEEDS: tuple[int, ...] = tuple(range(4001, 4601))
_FRESH_SUFFIX = "-fresh"
EVALUATIONS = 60
_LOOKS = (30, EVALUATIONS)
#: The loss of macro F1 against TPE that must be excluded.
TOLERANCE = 0.005
_TPE = "TPE"
_PROBLEM = "training_table"
_NAMES = tuple(CONTENDERS)
_COLOURS = ("#999999", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#D55E00")


@dataclass(frozen=True)
class Table:
    """Scores of a full grid.

    Attributes:
        levels: of each parameter, in rising order.
        macro_f1: shape (levels of the first parameter, of the second, ...).
    """

    levels: dict[str, tuple[float, ...]]
    macro_f1: NDArray[np.float64]

    def score(self, point: Mapping[str, float]) -> float:
        """Return the macro F1 at a point given by its levels' values."""
        place = tuple(own.index(float(point[name])) for name, own in self.levels.items())
        return float(self.macro_f1[place])

    @property
    def problem(self) -> Problem:
        """Return the search for the highest score, as a minimum of what is missing to 1."""

        def missing_to_one(params: Params) -> float:
            return 1.0 - float(self.macro_f1[tuple(params[name] for name in self.levels)])

        space = {name: IntDistribution(0, len(own) - 1) for name, own in self.levels.items()}
        return Problem(_PROBLEM, "mixed", space, missing_to_one)


@dataclass(frozen=True)
class Look:
    """The contest after some number of evaluations; its values are what is missing to 1."""

    evaluations: int
    scores: list[Score]
    differences: list[PairedDifference]


def read_table(path: Path) -> Table:
    """Read a table; the columns before ``macro_f1`` are the parameters.

    Raises:
        ValueError: it is no full grid.
    """
    with path.open(newline="", encoding="utf-8") as file:
        header, *lines = csv.reader(file)
    names = header[: header.index("macro_f1")]
    values = np.array([[float(text) for text in line[: len(names) + 1]] for line in lines])
    levels = {name: tuple(np.unique(values[:, i]).tolist()) for i, name in enumerate(names)}
    grid = np.full([len(own) for own in levels.values()], np.nan)
    for *point, score in values.tolist():
        grid[tuple(levels[name].index(v) for name, v in zip(names, point, strict=True))] = score
    if np.isnan(grid).any() or len(lines) != grid.size:
        raise ValueError(f"{path}: {len(lines)} lines are no full grid of {grid.shape}")
    return Table(levels, grid)


def replay(
    results: Path, *, table_name: str = TABLE_NAME, fresh: bool = False, workers: int = 1
) -> None:
    """Run the contest and write its results; without a table, say how to make it.

    Args:
        results: folder of the table, which receives ``json``, ``md`` and ``png`` of the same name.
        table_name: the file.
        fresh: take the fresh seeds, and write to names that say so.
        workers: processes.
    """
    path = results / table_name
    if not path.exists():
        print(
            f"skipped: there is no {path}; make it with  python -m benchmarks.sampler_table build"
        )
        return
    table = read_table(path)
    seeds = FRESH_SEEDS if fresh else SEEDS
    courses = run_contest(path, seeds=seeds, workers=workers)
    looks = [look_at(courses, evaluations) for evaluations in _LOOKS]
    points = "means of several real trainings each" if table_name == MEAN_NAME else "real trainings"
    document = {
        "table_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "points": int(table.macro_f1.size),
        "best_macro_f1": float(table.macro_f1.max()),
        "seeds": list(seeds),
        "looks": [asdict(look) for look in looks],
        "no_worse_than_tpe": _is_no_worse_than_tpe(looks[-1]),
    }
    named = path.with_stem(path.stem + _FRESH_SUFFIX) if fresh else path
    write_text(named.with_suffix(".json"), json.dumps(document, indent=1) + "\n")
    write_text(named.with_suffix(".md"), _markdown(table, looks, points=points, seeds=len(seeds)))
    with replacing(named.with_suffix(".png")) as temporary:
        _figure(table, courses, looks[-1]).savefig(temporary, dpi=130, metadata={"Software": None})
    print(_score_table(looks[-1]))


def run_contest(path: Path, *, seeds: Sequence[int], workers: int = 1) -> NDArray[np.float64]:
    """Return the best cost after each evaluation, shape (contenders, seeds, evaluations)."""
    tasks = [
        Task(_PROBLEM, name, seed, EVALUATIONS, fingerprint(name, (path,)))
        for name in _NAMES
        for seed in seeds
    ]
    run = partial(_best, path)
    if workers == 1:
        best = list(map(run, tasks))
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            best = list(pool.map(run, tasks, chunksize=10))
    return np.array(best).reshape(len(_NAMES), len(seeds), EVALUATIONS)


def _best(path: Path, task: Task) -> tuple[float, ...]:
    return run_cell(task, read_table(path).problem).best


def look_at(courses: NDArray[np.float64], evaluations: int) -> Look:
    """Return the contest's standing after some number of evaluations."""
    values = courses[:, :, evaluations - 1]
    return Look(
        evaluations,
        scored(values, problem=_PROBLEM, contenders=_NAMES, champion=MEMETIC),
        paired_differences(values, contenders=_NAMES, champion=MEMETIC),
    )


def _is_no_worse_than_tpe(look: Look) -> bool:
    against = next(each for each in look.differences if each.contender == _TPE)
    return against.low > -TOLERANCE


def _markdown(table: Table, looks: list[Look], *, points: str, seeds: int) -> str:
    shape = " x ".join(f"{len(own)} {name}" for name, own in table.levels.items())
    best = f"the best of all reaches a macro F1 of {table.macro_f1.max():.4f}"
    parts = [
        f"{table.macro_f1.size} {points} ({shape}), {seeds} seeds; {best}.",
        "A lower rank is better; an advantage is in macro F1, seed by seed.\n",
    ]
    for look in looks:
        parts.append(f"## After {look.evaluations} evaluations\n")
        parts.append(_score_table(look) + "\n")
    return "\n".join(parts)


def _score_table(look: Look) -> str:
    head = (
        "| Sampler | Median macro F1 (quartiles) | Mean rank | Memetic's advantage [95 %] | p |\n"
        "|---|---|---|---|---|"
    )
    advantage = {each.contender: each for each in look.differences}
    ranked = sorted(look.scores, key=lambda score: score.mean_rank)
    return "\n".join([head, *(_score_row(s, advantage.get(s.contender)) for s in ranked)])


def _score_row(score: Score, advantage: PairedDifference | None) -> str:
    quartiles = f"{1 - score.upper_quartile:.4f} to {1 - score.lower_quartile:.4f}"
    found = f"{1 - score.median:.4f} ({quartiles})"
    if advantage is None:
        return f"| **{score.contender}** | {found} | {score.mean_rank:.2f} | | |"
    versus = f"{advantage.mean:+.4f} [{advantage.low:+.4f}, {advantage.high:+.4f}]"
    return (
        f"| {score.contender} | {found} | {score.mean_rank:.2f} | {versus} | {score.p_value:.2g} |"
    )


def _figure(table: Table, courses: NDArray[np.float64], look: Look) -> Figure:
    """Draw the samplers' courses beside the memetic one's advantage over each of the others."""
    figure = Figure(figsize=(11.0, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, own, colour in zip(_NAMES, 1.0 - courses, _COLOURS, strict=True):
        left.plot(range(1, EVALUATIONS + 1), own.mean(axis=0), color=colour, label=name)
    left.axhline(table.macro_f1.max(), color="black", linestyle=":", label="best of the table")
    left.set(xlabel="evaluations", ylabel="best macro F1 so far, mean of the seeds")
    left.legend(fontsize=8)
    _draw_advantages(right, look)
    return figure


def _draw_advantages(axes: Axes, look: Look) -> None:
    names = [each.contender for each in look.differences]
    means = np.array([each.mean for each in look.differences])
    ends = np.array([[each.mean - each.low, each.high - each.mean] for each in look.differences])
    axes.errorbar(means, range(len(names)), xerr=ends.T, fmt="o", color="#D55E00", capsize=3)
    axes.axvline(0.0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set(
        xlabel="advantage of the memetic search, macro F1 [95 %]",
        title=f"After {look.evaluations} evaluations, seed by seed",
    )
