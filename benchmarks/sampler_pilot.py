"""Compare versions of the memetic sampler where its defaults are chosen: on the pilot problems.

Run  python -m benchmarks.sampler_pilot  from the root of the repository. It prints, for the made-up
tables and for the functions, the mean rank of every version and of its peers after few and after
many evaluations, and each version's rank alone against the search without climbing. With
``--confirm`` it takes the tables and seeds that were kept back from the choice; with ``--only`` a
few of the versions and peers.
"""

from __future__ import annotations

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from benchmarks import contender, pilot
from benchmarks.cell import Task, run_cell
from scipy.stats import rankdata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.functions import Problem
    from numpy.typing import NDArray

_LOOKS = {"tables": (30, 60), "functions": (60, 200)}
_PEERS = ("Random", "TPE", "NSGA-II", contender.PLAIN)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--confirm", action="store_true", help="what was kept back")
    parser.add_argument("--on", choices=tuple(_LOOKS), action="append", help="by default both")
    parser.add_argument("--only", action="append", help="a version or peer, by default all of them")
    parser.add_argument("--workers", type=int, default=1, help="processes to use")
    options = parser.parse_args()
    names = tuple(options.only or (*_PEERS, *pilot.VERSIONS))
    if unknown := set(names) - {*_PEERS, *pilot.VERSIONS}:
        parser.error(f"--only: there is no {min(unknown)!r}")
    if contender.PLAIN not in names:
        parser.error(f"--only must name {contender.PLAIN!r}, with which all are compared")
    for group in options.on or _LOOKS:
        problems, seeds = pilot.chosen(group, confirm=options.confirm)
        courses = _courses(group, problems, seeds, names, confirm=options.confirm, options=options)
        for look in _LOOKS[group]:
            print(f"\n{group}: {len(problems)}, {len(seeds)} seeds, after {look} evaluations")
            print(_table(courses[..., look - 1], names))


def _courses(
    group: str,
    problems: Sequence[Problem],
    seeds: Sequence[int],
    names: Sequence[str],
    *,
    confirm: bool,
    options: argparse.Namespace,
) -> NDArray[np.float64]:
    """Return the best value so far, shape (problems, contenders, seeds, evaluations)."""
    jobs = [
        (group, confirm, place, Task(problem.name, name, seed, max(_LOOKS[group]), ""))
        for place, problem in enumerate(problems)
        for name in names
        for seed in seeds
    ]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, mp_context=context) as pool:
        best = list(pool.map(_best, jobs, chunksize=50))
    return np.array(best).reshape(len(problems), len(names), len(seeds), -1)


def _best(job: tuple[str, bool, int, Task]) -> tuple[float, ...]:
    group, confirm, place, task = job
    problems, _ = pilot.chosen(group, confirm=confirm)
    samplers = {**contender.CONTENDERS, **pilot.VERSIONS}
    return run_cell(task, problems[place], samplers).best


def _table(values: NDArray[np.float64], names: Sequence[str]) -> str:
    """Return lines of mean ranks from values of shape (problems, contenders, seeds)."""
    ranks = rankdata(values, axis=1).mean(axis=(0, 2))
    plain = values[:, names.index(contender.PLAIN)][:, None]
    won = ((values < plain) + 0.5 * (values == plain)).mean(axis=(0, 2))
    spread = values.max(axis=(1, 2), keepdims=True) - values.min(axis=(1, 2), keepdims=True)
    missing = (values / np.where(spread > 0.0, spread, 1.0)).mean(axis=(0, 2))
    lines = ["| Sampler | Mean rank | Beats no climbing | Mean regret |", "|---|---|---|---|"]
    lines += [
        f"| {names[i]} | {ranks[i]:.3f} | {100 * won[i]:.1f} % | {missing[i]:.4f} |"
        for i in np.argsort(ranks)
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
