"""Compare the samplers on a table of real trainings, and the short trainings with longer ones.

Run from the root of the repository:

    python -m benchmarks.sampler_table build --data FOLDER --init WEIGHTS --rows FILE
    python -m benchmarks.sampler_table replay
    python -m benchmarks.sampler_table replay --fresh
    python -m benchmarks.sampler_table build --seed 1 --data FOLDER --init WEIGHTS --rows FILE
    python -m benchmarks.sampler_table average
    python -m benchmarks.sampler_table replay --table table-mean.csv
    python -m benchmarks.sampler_table pruning
    python -m benchmarks.sampler_table rank --data FOLDER --init WEIGHTS --rows FILE
    python -m benchmarks.sampler_table whole --data FOLDER --init WEIGHTS

``build`` trains the declared grid (``table.toml``), adds each training to FILE as it ends, goes on
where it was stopped, and then writes ``table.csv`` and ``table.about.json``. ``replay`` lets every
sampler search that table and writes ``table.json``, ``table.md`` and ``table.png``; with
``--fresh`` it writes ``table-fresh.json`` and so on, from seeds that had no say in how the search
is. With another seed ``build`` trains the same grid by other chance; ``average`` then writes how
far the tables agree, and their mean, which has less of that chance and can be searched as well.
``pruning`` writes whom the rules for giving up early would have lost. ``rank`` trains a few of the
table's configurations longer, keeps each in FILE as well, and writes ``rank.json``: how well the
short trainings' order agrees with the longer ones'. ``whole`` trains the same configurations with
the whole recipe, and writes ``whole.json``: how well all those orders agree with that.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import (
    table_build,
    table_mean,
    table_pruning,
    table_rank,
    table_replay,
    table_whole,
)
from benchmarks.small_budget import exit_status_of

from dermassist.interfaces.cli.option import DEFAULT_CACHE, DEFAULT_SPLITS
from dermassist.lock import InUseError

RESULTS = Path("results/memetic")


def main() -> int:
    """Run one of the parts; return the exit status."""
    options = _parser().parse_args()
    return exit_status_of(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    if options.part == "build":
        table_build.build(_material(options), options.results, seed=options.seed)
    elif options.part == "average":
        table_mean.average(options.results)
    elif options.part == "pruning":
        table_pruning.judge(options.results)
    elif options.part == "rank":
        table_rank.rank(_material(options), options.results, configurations=options.configurations)
    elif options.part == "whole":
        if not table_whole.whole(_material(options), options.results):
            raise InUseError("another process is still at some of the trainings")
    else:
        table_replay.replay(
            options.results,
            table_name=options.table,
            fresh=options.fresh,
            workers=options.workers,
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parts = parser.add_subparsers(dest="part", required=True)
    for name in ("build", "average", "replay", "pruning", "rank", "whole"):
        part = parts.add_parser(name)
        part.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
        if name in {"build", "replay", "rank"}:
            part.add_argument("--workers", type=int, default=2, help="processes of one thread each")
        if name in {"build", "rank", "whole"}:
            _add_material(part)
        if name in {"build", "rank"}:
            part.add_argument(
                "--rows", dest="kept", type=Path, required=True, help="keeps finished trainings"
            )
        if name == "whole":
            part.add_argument("--runs", dest="kept", type=Path, default=Path("runs/whole"))
            part.add_argument("--workers", type=int, default=1, help="processes that augment")
        if name == "build":
            part.add_argument("--seed", type=int, help="of the trainings, not the declared one")
        if name == "replay":
            part.add_argument("--table", default=table_build.TABLE_NAME, help="file in the folder")
            part.add_argument("--fresh", action="store_true", help="with other seeds")
        if name == "rank":
            part.add_argument("--configurations", type=int, default=10)
    return parser


def _add_material(part: argparse.ArgumentParser) -> None:
    part.add_argument("--data", type=Path, required=True, help="folder that holds HAM10000")
    part.add_argument("--init", default="imagenet", help="start weights, or 'imagenet'")
    part.add_argument("--splits", type=Path, default=DEFAULT_SPLITS)
    part.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="decoded images")


def _material(options: argparse.Namespace) -> table_build.Material:
    return table_build.Material(
        data=options.data,
        splits=options.splits,
        cache=options.cache,
        init=options.init,
        kept=options.kept,
        workers=options.workers,
    )


if __name__ == "__main__":
    sys.exit(main())
