"""Compare the memetic sampler with its peers on the declared functions.

Run  python -m benchmarks.sampler_functions  from the root of the repository. A stopped run goes on
where it was; finished runs are kept in ``functions.cells.jsonl``. Writes ``functions.json``,
``functions.csv``, ``functions.md`` and ``functions.png`` beside it.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benchmarks import functions, landscape
from benchmarks.cell import Cell, Task, append_cell, read_cells, run_cell
from benchmarks.contender import CONTENDERS, MEMETIC, fingerprint
from benchmarks.contest import Duel, Score, duels, scored
from benchmarks.jsonl import sole_writer_of
from matplotlib.figure import Figure

from dermassist.storage import replacing, write_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PROBLEMS = {problem.name: problem for problem in functions.PROBLEMS}
_NAMES = tuple(CONTENDERS)
_SOURCES = tuple(Path(str(module.__file__)) for module in (functions, landscape))


@dataclass(frozen=True)
class Standing:
    """Scores and duels after some number of evaluations."""

    evaluations: int
    scores: list[Score]
    duels: list[Duel]


def main() -> None:
    """Run what is missing and write the tables and the figure."""
    options = _options()
    seeds = functions.SEEDS[:3] if options.quick else functions.SEEDS
    budget = functions.EARLY_EVALUATIONS // 2 if options.quick else functions.EVALUATIONS
    tasks = _tasks(seeds, budget)
    kept = options.results / "functions.cells.jsonl"
    with sole_writer_of(kept):
        done = _run_missing(tasks, kept, workers=options.workers)
    looks = sorted({min(functions.EARLY_EVALUATIONS, budget), budget})
    standings = [_standing([done[task] for task in tasks], seeds, at) for at in looks]
    _write(options.results, standings, seeds)
    print(_summary_table(standings[-1]))


def _run_missing(tasks: Sequence[Task], kept: Path, *, workers: int) -> dict[Task, Cell]:
    done = read_cells(kept)
    missing = [task for task in tasks if task not in done]
    print(f"{len(tasks)} runs, {len(tasks) - len(missing)} already finished", flush=True)
    for count, cell in enumerate(_finished(missing, workers=workers), start=1):
        append_cell(kept, cell)
        done[cell.task] = cell
        if count % 50 == 0:
            print(f"{count} of {len(missing)}", flush=True)
    return done


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--results", type=Path, help="folder, by default results/memetic")
    parser.add_argument("--workers", type=int, default=1, help="processes to use")
    parser.add_argument(
        "--quick", action="store_true", help="3 seeds, 30 evaluations: a smoke test"
    )
    options = parser.parse_args()
    if options.workers < 1:
        parser.error(f"--workers must be at least 1, got {options.workers}")
    if options.results is None:
        # a smoke test must not overwrite the published tables
        options.results = Path("results/memetic-quick" if options.quick else "results/memetic")
    return options


def _tasks(seeds: Sequence[int], evaluations: int) -> list[Task]:
    prints = {name: fingerprint(name, _SOURCES) for name in _NAMES}
    return [
        Task(problem, name, seed, evaluations, prints[name])
        for seed in seeds
        for problem in _PROBLEMS
        for name in _NAMES
    ]


def _finished(tasks: Sequence[Task], *, workers: int) -> Iterator[Cell]:
    if workers == 1:
        yield from map(_run, tasks)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(_run, tasks)


def _run(task: Task) -> Cell:
    return run_cell(task, _PROBLEMS[task.problem])


def _standing(cells: Sequence[Cell], seeds: Sequence[int], at: int) -> Standing:
    value = {(c.task.problem, c.task.contender, c.task.seed): c.best[at - 1] for c in cells}
    scores = [
        score
        for problem in _PROBLEMS
        for score in scored(
            np.array([[value[problem, name, seed] for seed in seeds] for name in _NAMES]),
            problem=problem,
            contenders=_NAMES,
            champion=MEMETIC,
        )
    ]
    return Standing(at, scores, duels(scores, contenders=_NAMES, champion=MEMETIC))


def _write(folder: Path, standings: Sequence[Standing], seeds: Sequence[int]) -> None:
    document = {
        "seeds": list(seeds),
        "problems": {name: problem.family for name, problem in _PROBLEMS.items()},
        "fingerprints": {name: fingerprint(name, _SOURCES) for name in _NAMES},
        "standings": [asdict(standing) for standing in standings],
    }
    write_text(folder / "functions.json", json.dumps(document, indent=1) + "\n")
    write_text(folder / "functions.csv", _csv(standings))
    write_text(folder / "functions.md", _markdown(standings, seeds))
    with replacing(folder / "functions.png") as temporary:
        _figure(standings[-1]).savefig(temporary, dpi=130, metadata={"Software": None})


def _csv(standings: Sequence[Standing]) -> str:
    rows = [
        {"evaluations": standing.evaluations, **asdict(score)}
        for standing in standings
        for score in standing.scores
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _markdown(standings: Sequence[Standing], seeds: Sequence[int]) -> str:
    parts = [f"{len(_PROBLEMS)} functions, {len(seeds)} seeds; a lower rank is better.\n"]
    for standing in standings:
        parts.append(f"## After {standing.evaluations} evaluations\n")
        parts.append(_summary_table(standing) + "\n")
    parts.append(f"## Each function after {standings[-1].evaluations} evaluations\n")
    parts.append("Median of the best value found, quartiles in brackets; the minimum is 0.\n")
    parts.append(_detail_table(standings[-1]) + "\n")
    return "\n".join(parts)


def _summary_table(standing: Standing) -> str:
    head = (
        "| Sampler | Mean rank | Memetic better / worse on | p (signed ranks) |\n|---|---|---|---|"
    )
    ranked = sorted(standing.duels, key=lambda duel: duel.mean_rank)
    return "\n".join([head, *(_duel_row(duel) for duel in ranked)])


def _duel_row(duel: Duel) -> str:
    if duel.contender == MEMETIC:
        return f"| **{duel.contender}** | {duel.mean_rank:.2f} | | |"
    versus = f"{duel.problems_won} / {duel.problems_lost}"
    return f"| {duel.contender} | {duel.mean_rank:.2f} | {versus} | {duel.p_value:.2g} |"


def _detail_table(standing: Standing) -> str:
    rows = ["| Function | " + " | ".join(_NAMES) + " |", "|---" * (len(_NAMES) + 1) + "|"]
    for problem in _PROBLEMS:
        scores = [score for score in standing.scores if score.problem == problem]
        rows.append(f"| {problem} | " + " | ".join(map(_score_text, scores)) + " |")
    return "\n".join(rows)


def _score_text(score: Score) -> str:
    spread = f"{score.lower_quartile:.3g} to {score.upper_quartile:.3g}"
    return f"{score.median:.3g} ({spread})"


def _figure(standing: Standing) -> Figure:
    """Draw the mean rank of every sampler on every function, and over all of them below."""
    ranks = np.array([score.mean_rank for score in standing.scores])
    grid = ranks.reshape(len(_PROBLEMS), len(_NAMES))
    grid = np.vstack([grid, grid.mean(axis=0)])
    figure = Figure(figsize=(8.5, 6.5), layout="constrained")
    axes = figure.add_subplot()
    picture = axes.imshow(grid, cmap="viridis", vmin=1, vmax=len(_NAMES), aspect="auto")
    for (row, column), rank in np.ndenumerate(grid):
        colour = "white" if rank < 0.55 * len(_NAMES) else "black"
        weight = "bold" if rank == grid[row].min() else "normal"
        axes.text(column, row, f"{rank:.2f}", ha="center", va="center", color=colour, weight=weight)
    axes.set_xticks(range(len(_NAMES)), [name.replace(" without", "\nwithout") for name in _NAMES])
    axes.set_yticks(range(len(grid)), [*_PROBLEMS, "all functions"])
    axes.axhline(len(grid) - 1.5, color="white", linewidth=3)
    axes.set_title(f"Mean rank after {standing.evaluations} evaluations (1 is best)")
    figure.colorbar(picture, ax=axes, label="mean rank")
    return figure


if __name__ == "__main__":
    main()
