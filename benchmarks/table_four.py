"""The paper's Table IV under one leak-free protocol and one small budget.

    python -m benchmarks.table_four --data ham10000 [--found best.toml]

MobileNetV2 with our recipe, with hyperparameters that a search found, and with a plain recipe;
ResNet50 and DenseNet121 with our recipe. Every network is tested once on fold 0. Stopped, the same
command goes on. No number is copied from anywhere; a network whose ImageNet weights cannot be had
is trained from scratch and says so.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.backbone import BackboneName, describe_file, start_backbone
from benchmarks.small_budget import (
    Budgeted,
    Images,
    Outcome,
    Place,
    add_options,
    exit_status_of,
    imagenet_start,
    run_budgeted,
)

from dermassist.config import TrainingConfig, read_config
from dermassist.data.cache import open_cache
from dermassist.data.ham10000 import Record, read_ham10000
from dermassist.data.protocol import Trial, lesion_trial
from dermassist.data.split import read_splits
from dermassist.evaluation.document import to_document
from dermassist.evaluation.summary import Summary, summarise
from dermassist.evaluation.table import Table, format_estimate, render_markdown
from dermassist.storage import write_text
from dermassist.tuning.space import hyperparameters_of, with_params

OURS, FOUND, STANDARD = "dermassist", "dermassist-found", "mobilenetv2-standard"
LABELS = {
    OURS: "DermAssist (MobileNetV2, our recipe)",
    FOUND: "DermAssist, found by memetic search",
    STANDARD: "MobileNetV2, standard recipe",
    "resnet50": "ResNet50, our recipe",
    "densenet121": "DenseNet121, our recipe",
}
NOT_SEARCHED = "no search result was given (--found)"
COMPARED = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
}
_BOOTSTRAP_SEED = 0


@dataclass(frozen=True, eq=False)
class Row:
    """A finished contender."""

    name: str
    outcome: Outcome
    summary: Summary


def main() -> int:
    """Train what is missing, then write table and document; return the exit status."""
    options = _options()
    return exit_status_of(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    ours = read_config(options.recipe)
    dataset = read_ham10000(options.data)
    trial = lesion_trial(dataset.records, read_splits(options.splits), fold=0)
    images = Images(trial.train, trial.validation, trial.test)
    place = Place(options.runs, options.answers)
    rows: list[Row] = []
    for job in _jobs(ours, trial, options):
        print(job.name, flush=True)
        cache = open_cache(
            (*images.train, *images.validation, *images.answered),
            job.recipe.preprocessing,
            options.cache,
            pixel_aspect=dataset.pixel_aspect,
        )
        outcome = run_budgeted(job, images, cache, place, workers=options.workers)
        rows.append(Row(job.name, outcome, _summarise(outcome, trial.test)))
        write_rows(rows, ours, options.results)


def write_rows(rows: Sequence[Row], recipe: TrainingConfig, results: Path) -> None:
    """Write ``table_four.json`` and ``table_four.md``; contenders not yet trained say so."""
    document = {
        "recipe": recipe.to_dict(),
        "rows": [
            {
                "name": row.name,
                "started_from": row.outcome.started_from,
                "parameters": row.outcome.parameters,
                "summary": to_document(row.summary),
            }
            for row in rows
        ],
    }
    write_text(results / "table_four.json", json.dumps(document, indent=1) + "\n")
    write_text(results / "table_four.md", render_markdown(_table(rows, recipe)) + "\n")
    print(f"written to {results / 'table_four.md'}")


def _jobs(ours: TrainingConfig, trial: Trial, options: argparse.Namespace) -> list[Budgeted]:
    jobs = [Budgeted(OURS, ours, lambda: imagenet_start(options.init, trial.origin))]
    if options.found is not None:
        found = at_budget(read_config(options.found), ours)
        jobs.append(Budgeted(FOUND, found, lambda: imagenet_start(options.init, trial.origin)))
    standard = read_config(options.standard)
    jobs.append(Budgeted(STANDARD, standard, lambda: imagenet_start(options.init, trial.origin)))
    given: dict[BackboneName, Path | None] = {
        "resnet50": options.resnet50,
        "densenet121": options.densenet121,
    }
    jobs += [
        Budgeted(
            name,
            ours,
            lambda name=name, file=file: start_backbone(name, file),  # type: ignore[misc] # mypy cannot type defaults of a lambda
            network=f"monai {name}, first stride 2",
            begins_from=None if file is None else describe_file(file),
        )
        for name, file in given.items()
    ]
    return jobs


def at_budget(found: TrainingConfig, ours: TrainingConfig) -> TrainingConfig:
    """Return our recipe with what the search chose: rate, decay, dropout, batch, frozen layers."""
    return with_params(ours, hyperparameters_of(found))


def _summarise(outcome: Outcome, records: Sequence[Record]) -> Summary:
    return summarise(
        np.array([record.diagnosis.index for record in records]),
        outcome.probabilities,
        groups=np.array([record.lesion_id for record in records]),
        rng=np.random.default_rng(_BOOTSTRAP_SEED),
    )


def _table(rows: Sequence[Row], recipe: TrainingConfig) -> Table:
    done = {row.name: row for row in rows}
    cells = []
    for name, label in LABELS.items():
        if name in done:
            row = done[name]
            measured = (format_estimate(getattr(row.summary.overall, key)) for key in COMPARED)
            millions = f"{row.outcome.parameters / 1e6:.1f} M"
            cells.append((label, row.outcome.started_from, millions, *measured))
        else:
            reason = NOT_SEARCHED if name == FOUND else "not trained yet"
            cells.append((label, reason, *[""] * (len(COMPARED) + 1)))
    optimisation = recipe.optimisation
    budget = (
        f"Budget: {recipe.preprocessing.size_px} px, {optimisation.epochs} epochs of at most "
        f"{optimisation.class_cap} images a class, one seed; tested once on lesion-grouped fold 0. "
        "A row from scratch is no fair picture of its network. Dropout is MobileNetV2's alone."
    )
    header = ("Network", "Started from", "Parameters", *COMPARED.values())
    return Table("The paper's Table IV at one small budget", header, tuple(cells), (budget,))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_options(parser)
    parser.add_argument("--standard", type=Path, default=Path("benchmarks/small_standard.toml"))
    parser.add_argument("--found", type=Path, help="best.toml of a search")
    parser.add_argument("--resnet50", type=Path, help="torchvision's weights, if at hand")
    parser.add_argument("--densenet121", type=Path, help="torchvision's weights, if at hand")
    parser.add_argument("--init", default="imagenet", help="MobileNetV2's weights, or 'imagenet'")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
