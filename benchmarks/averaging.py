"""What averaging the weights of the last steps is worth: finished trainings answered both ways.

    python -m benchmarks.averaging runs/full/default-seed0 runs/full/default-seed1 --data FOLDER

A checkpoint holds the averaged weights (``ema_decay``) and the plain ones, which averaging does not
touch: they are those of the same training without it. Answers are of the validation lesions of each
run's fold, so this may choose; the test fold is not read. Writes ``averaging.json`` and
``averaging.md``. Log loss is before any temperature.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from benchmarks.own_trial import own_trial
from benchmarks.small_budget import FloatArray, answer, exit_status_of
from benchmarks.variant import MEASURES, signed
from torch import Tensor

from dermassist.config import TrainingConfig
from dermassist.data.cache import open_cache
from dermassist.data.ham10000 import Record, read_ham10000
from dermassist.data.split import read_splits
from dermassist.diagnosis import CODES
from dermassist.errors import ConfigError, DataError
from dermassist.evaluation.bootstrap import Estimate, bootstrap
from dermassist.evaluation.document import to_document
from dermassist.evaluation.metrics import measure
from dermassist.evaluation.table import Table, render_markdown
from dermassist.interfaces.cli.option import DEFAULT_CACHE, DEFAULT_SPLITS
from dermassist.storage import write_text
from dermassist.training.module import LesionModule
from dermassist.training.run import CHECKPOINT_FOLDER, read_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Where Lightning's averaging leaves either kind of weights in a checkpoint.
KINDS = {"averaged": "state_dict", "plain": "current_model_state"}
_SEED = 0


@dataclass(frozen=True, eq=False)
class Answered:
    """A finished training's probabilities ``(n, 7)`` of its validation images, both ways."""

    name: str
    records: tuple[Record, ...]
    probabilities: Mapping[str, FloatArray]


def main() -> int:
    """Answer and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="+", help="folders of finished trainings")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds HAM10000")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--splits", type=Path, default=DEFAULT_SPLITS)
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="decoded images")
    options = parser.parse_args()
    return exit_status_of(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    dataset, splits = read_ham10000(options.data), read_splits(options.splits)
    answered = []
    for run in options.runs:
        record = read_record(run)
        recipe = TrainingConfig.from_dict(record["config"], where=str(run))
        trial = own_trial(record["origin"], dataset.records, splits, where=run)
        cache = open_cache(
            (*trial.train, *trial.validation),
            recipe.preprocessing,
            options.cache,
            pixel_aspect=dataset.pixel_aspect,
        )
        weights = read_both(run / CHECKPOINT_FOLDER / "last.ckpt")
        both = {
            kind: answer(module_with(recipe, state), trial.validation, cache)
            for kind, state in weights.items()
        }
        answered.append(Answered(run.name, trial.validation, both))
        print(f"{run.name} answered", flush=True)
    write(answered, options.results)


def module_with(recipe: TrainingConfig, weights: Mapping[str, Tensor]) -> LesionModule:
    """Return the training of a recipe whose network has these weights."""
    module = LesionModule(recipe, class_counts=[1] * len(CODES))
    module.network.load_state_dict(dict(weights))
    return module


def read_both(path: Path) -> dict[str, dict[str, Tensor]]:
    """Return the averaged and the plain weights of a checkpoint, by the network's names.

    Raises:
        DataError: it cannot be read, or its training averaged nothing.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        return {
            kind: {
                name.removeprefix("network."): value
                for name, value in content[key].items()
                if name.startswith("network.")
            }
            for kind, key in KINDS.items()
        }
    except (OSError, RuntimeError, KeyError, EOFError) as error:
        raise DataError(f"{path}: holds no averaged weights beside plain ones ({error})") from error


def write(answered: Sequence[Answered], results: Path) -> None:
    """Write each run's figures both ways, and the mean difference with an interval by lesion."""
    figures = {each.name: {kind: _figures(each, kind) for kind in KINDS} for each in answered}
    rows = [
        (f"{name}, {kind}", *(f"{own[key]:.3f}" for key in MEASURES))
        for name, kinds in figures.items()
        for kind, own in kinds.items()
    ]
    differences = compare(answered)
    rows.append(("plain less averaged, mean", *(signed(differences[name]) for name in MEASURES)))
    note = (
        f"{len(answered[0].records)} validation images a run; 95 % intervals by lesion, over the "
        "mean of the runs: they do not hold the scatter of seeds. Log loss is before any "
        "temperature."
    )
    table = Table(
        "The last weights, averaged and plain",
        ("Training", *MEASURES.values()),
        tuple(rows),
        (note,),
    )
    document = {
        "runs": figures,
        "differences": {name: to_document(value) for name, value in differences.items()},
    }
    write_text(results / "averaging.json", json.dumps(document, indent=1) + "\n")
    write_text(results / "averaging.md", render_markdown(table) + "\n")


def compare(answered: Sequence[Answered]) -> dict[str, Estimate]:
    """Return plain less averaged, mean of the runs, resampled by lesion.

    Raises:
        ConfigError: the runs are of different folds.
    """
    first = answered[0].records
    if any(each.records != first for each in answered):
        raise ConfigError("the runs must be of one fold")
    labels = np.array([record.diagnosis.index for record in first])
    lesions = np.array([record.lesion_id for record in first])

    def statistic(weights: FloatArray) -> dict[str, FloatArray]:
        plain, averaged = (
            [measure(labels, run.probabilities[kind], weights=weights).overall for run in answered]
            for kind in ("plain", "averaged")
        )
        pairs = list(zip(plain, averaged, strict=True))
        return {
            name: np.mean([getattr(p, name) - getattr(a, name) for p, a in pairs], axis=0)
            for name in MEASURES
        }

    drawn = bootstrap(statistic, groups=lesions, rng=np.random.default_rng(_SEED))
    return {name: drawn.estimate(name) for name in MEASURES}


def _figures(answered: Answered, kind: str) -> dict[str, float]:
    labels = np.array([record.diagnosis.index for record in answered.records])
    overall = measure(labels, answered.probabilities[kind]).overall
    return {name: float(getattr(overall, name)) for name in MEASURES}


if __name__ == "__main__":
    sys.exit(main())
