"""Train the found recipe and the one to beat in full, with several seeds each, and test each once.

    python -m benchmarks.full_training --found runs/search/best.toml --data FOLDER --init WEIGHTS

The one to beat is the found recipe with the paper's hyperparameters in place of the found ones, so
that the two differ in what was searched and in nothing else; with ``--as-written`` it is the
paper's whole recipe, at its whole cost. Both are trained under the lesion protocol, on the fold
whose validation lesions the search used; nothing that a search or a training has seen is among the
tested lesions. What is tested are the weights of the last epoch, so that testing chooses nothing.
Stopped or killed, the same command goes on, and a training that was tested is never tested again.
Started twice, the two share the trainings out, and whichever ends last writes the whole tables.
Every seed trains both recipes before the next seed begins, and the tables are written after each
training: ``full.json``, ``full.md`` and ``full.png`` in the results, with each training's answers
in ``full/``.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.full_result import FullRun, write_standing

from dermassist.config import TrainingConfig, read_config
from dermassist.data.cache import open_cache
from dermassist.data.ham10000 import Ham10000, read_ham10000
from dermassist.data.protocol import Trial, lesion_trial
from dermassist.data.split import read_splits
from dermassist.errors import ConfigError, DermAssistError
from dermassist.interfaces.cli.option import DEFAULT_CACHE, DEFAULT_SPLITS
from dermassist.interfaces.cli.output import progress
from dermassist.interfaces.cli.train import initial_weights, start_origin
from dermassist.pooling import (
    check_tested,
    is_tested,
    read_predictions,
)
from dermassist.training.run import RunSettings
from dermassist.trial import Bench, Ended, run_trial
from dermassist.tuning.result import STUDY_NAME
from dermassist.tuning.space import hyperparameters_of, with_params

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

FOUND, DEFAULT = "found", "default"
_LEAST_SEEDS = 3


@dataclass(frozen=True)
class Job:
    """One training: which recipe, with which seed."""

    arm: str
    recipe: TrainingConfig
    seed: int

    @property
    def name(self) -> str:
        """Return the name of its folder and of its results."""
        return f"{self.arm}-seed{self.seed}"

    def of(self, trial: Trial) -> Trial:
        """Return the protocol's trial under this job's name."""
        return replace(trial, name=self.name, origin={**trial.origin, "compared_as": self.arm})


def main() -> int:
    """Train, test and tabulate what is missing; return the exit status."""
    options = _options()
    try:
        return _run(options)
    except DermAssistError as error:
        print(error, file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    found, default = read_config(options.found), read_config(options.default)
    if not options.as_written:
        default = with_params(found, hyperparameters_of(default))
    if default == found:
        raise ConfigError(f"{options.found}: has the hyperparameters of {options.default} already")
    jobs = _jobs(found, default, options.seeds)
    place = options.results / "full"
    dataset, splits = read_ham10000(options.data), read_splits(options.splits)
    trial = lesion_trial(dataset.records, splits, fold=options.fold)
    _check_search(options.found.with_name(STUDY_NAME), trial)
    start = start_origin(options.init)
    _tested(jobs, trial, place, start)
    for job in jobs:
        own = job.of(trial)
        if not is_tested(own, place):
            ended = _train_and_test(own, job, dataset, place, options)
            if ended is Ended.STOPPED:
                print("stopped; run the same command to go on", file=sys.stderr)
                return 130
            if ended is Ended.ELSEWHERE:
                print(f"{job.name}: another process is at it", flush=True)
        # Another process may have tested some in the meantime.
        tested = _tested(jobs, trial, place, start)
        if tested:
            runs = [_read_run(each, place) for each in tested]
            write_standing(runs, trial.test, options.results, of=len(jobs))
    if len(tested) < len(jobs):
        left = len(jobs) - len(tested)
        print(f"{left} of {len(jobs)} are still with another process", file=sys.stderr)
        return 1
    return 0


def _tested(jobs: Sequence[Job], trial: Trial, place: Path, start: Mapping[str, Any]) -> list[Job]:
    """Return the trainings that were tested.

    Raises:
        DataError: one is of another recipe, trial or start than this command would train.
    """
    tested = [job for job in jobs if is_tested(job.of(trial), place)]
    for job in tested:
        own = job.of(trial)
        check_tested(
            [own],
            place,
            recipe=job.recipe,
            weights="last",
            taught=False,
            starts={own.name: start},
        )
    return tested


def _check_search(study: Path, trial: Trial) -> None:
    """Refuse to test on lesions that the search has seen.

    Args:
        study: what the search wrote beside its recipe; a recipe alone does not tell.
        trial: that will be tested.

    Raises:
        ConfigError: the search was of another fold or another split.
    """
    if not study.is_file():
        return
    searched = json.loads(study.read_text(encoding="utf-8"))["declaration"].get("origin", {})
    for key in ("protocol", "fold", "splits_sha256"):
        if searched.get(key) != trial.origin[key]:
            raise ConfigError(
                f"{study}: the search's {key} was {searched.get(key)}, not {trial.origin[key]}: it "
                "may have seen what would be tested; give the same --fold and --splits"
            )


def _jobs(found: TrainingConfig, default: TrainingConfig, seeds: Sequence[int]) -> list[Job]:
    return [
        Job(arm, replace(recipe, optimisation=replace(recipe.optimisation, seed=seed)), seed)
        for seed in seeds
        for arm, recipe in ((FOUND, found), (DEFAULT, default))
    ]


def _train_and_test(
    trial: Trial, job: Job, dataset: Ham10000, place: Path, options: argparse.Namespace
) -> Ended:
    print(f"{job.name}: {len(trial.train)} images", flush=True)
    records = (*trial.train, *trial.validation)
    with progress("Decoding", len(records)) as advance:
        cache = open_cache(
            records,
            job.recipe.preprocessing,
            options.cache,
            pixel_aspect=dataset.pixel_aspect,
            progress=lambda _done, _total: advance(),
        )
    bench = Bench(
        recipe=job.recipe,
        cache=cache,
        pixel_aspect=dataset.pixel_aspect,
        initial_weights=initial_weights(options.init, trial.origin),
        start_origin=start_origin(options.init),
    )
    watched = sys.stdout.isatty()
    run = RunSettings(
        options.runs / job.name,
        workers=options.workers,
        progress=watched,
        tell=None if watched else lambda line: print(f"{job.name}: {line}", flush=True),
    )
    return run_trial(trial, bench, run, place)


def _read_run(job: Job, place: Path) -> FullRun:
    return FullRun(job.arm, job.seed, read_predictions(job.name, place))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--found", type=Path, required=True, help="best.toml of a search")
    parser.add_argument("--default", type=Path, default=Path("configs/paper.toml"))
    parser.add_argument(
        "--as-written",
        action="store_true",
        help="train all of --default, not only its hyperparameters in the found recipe",
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that holds HAM10000")
    parser.add_argument("--init", default="imagenet", help="start weights, or 'imagenet'")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(_LEAST_SEEDS)))
    parser.add_argument("--fold", type=int, default=0, help="the fold that the search used")
    parser.add_argument("--runs", type=Path, default=Path("runs/full"))
    parser.add_argument("--results", type=Path, default=Path("results/memetic"))
    parser.add_argument("--splits", type=Path, default=DEFAULT_SPLITS)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="decoded images")
    parser.add_argument("--workers", type=int, default=1, help="processes that augment images")
    options = parser.parse_args()
    if len(set(options.seeds)) < _LEAST_SEEDS or min(options.seeds) < 0:
        parser.error(f"--seeds must be {_LEAST_SEEDS} or more different numbers from 0")
    return options


if __name__ == "__main__":
    sys.exit(main())
