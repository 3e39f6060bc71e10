"""Recipes that differ from a base in one thing, trained at one small budget and compared with it.

What the ablation and the screening of ideas share. The training part of a fold teaches, its
validation part answers; the test fold is not touched, since this may choose.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.small_budget import (
    Budgeted,
    FloatArray,
    Images,
    Outcome,
    Place,
    add_options,
    finished_earlier,
    imagenet_start,
    run_budgeted,
)

from dermassist.config import TrainingConfig, read_config
from dermassist.data.cache import open_cache
from dermassist.data.ham10000 import Ham10000, Record, read_ham10000
from dermassist.data.protocol import Trial, lesion_trial
from dermassist.data.split import read_splits
from dermassist.errors import ConfigError, DataError
from dermassist.evaluation.bootstrap import Estimate, bootstrap
from dermassist.evaluation.document import to_document
from dermassist.evaluation.metrics import measure
from dermassist.evaluation.table import Table, format_estimate, render_markdown
from dermassist.storage import write_text
from dermassist.training.teacher import Teacher, read_teacher

BASE = "base"
_BOOTSTRAP_SEED = 0
MEASURES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "macro_auc": "Macro AUC",
    "log_loss": "Log loss",
}


@dataclass(frozen=True)
class Variant:
    """The base recipe with one thing changed.

    Attributes:
        name: of its folder.
        label: what it does, for the table.
        change: returns the changed recipe.
        taught: whether a teacher's answers are learned beside the labels.
    """

    name: str
    label: str
    change: Callable[[TrainingConfig], TrainingConfig]
    taught: bool = False


@dataclass(frozen=True)
class Comparison:
    """Variants that are compared with one base.

    Attributes:
        name: of the files in the results folder.
        title: of the table.
        variants: without the base.
    """

    name: str
    title: str
    variants: tuple[Variant, ...]


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished training of a variant."""

    variant: str
    seed: int
    outcome: Outcome


def changed(section: str, name: str, label: str, **changes: Any) -> Variant:
    """Return a variant with other settings in one section of the recipe."""
    return Variant(
        name,
        label,
        lambda recipe: replace(recipe, **{section: replace(getattr(recipe, section), **changes)}),
    )


augmented = partial(changed, "augmentation")
optimised = partial(changed, "optimisation")


def add_comparison_options(parser: argparse.ArgumentParser, comparison: Comparison) -> None:
    """Add what every command that compares variants takes."""
    add_options(parser)
    parser.add_argument("--init", default="imagenet", help="start weights, or 'imagenet'")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--only",
        nargs="*",
        metavar="NAME",
        help="train these alone, or nothing where none is named; the table holds all that are "
        f"finished ({BASE}, {', '.join(variant.name for variant in comparison.variants)})",
    )


def compare(comparison: Comparison, options: argparse.Namespace) -> None:
    """Train what is missing, seed by seed, and write the table after each seed.

    Raises:
        ConfigError: the teacher must not teach here, or a variant that needs one has none.
        DataError: the data set is incomplete, or a folder holds another training.
    """
    base = read_config(options.recipe)
    dataset = read_ham10000(options.data)
    trial = lesion_trial(dataset.records, read_splits(options.splits), fold=0)
    images = Images(trial.train, trial.validation, trial.validation)
    teacher = _teacher(options, trial, base)
    variants = [
        variant
        for variant in (
            Variant(BASE, "the base recipe", lambda recipe: recipe),
            *comparison.variants,
        )
        if teacher is not None or not variant.taught
    ]
    names = [variant.name for variant in variants]
    wanted = names if options.only is None else options.only
    unknown = set(wanted) - set(names)
    if unknown:
        raise ConfigError(
            f"--only {' '.join(sorted(unknown))}: no such variant, or one that needs a --teacher; "
            f"there are {', '.join(names)}"
        )
    place = Place(options.runs, options.answers)
    finished: list[Trained] = []
    # Seed by seed, so that a table of all variants is there early.
    for count, seed in enumerate(options.seeds, start=1):
        for variant in variants:
            job = _job(variant, seed, base, options.init, trial, teacher)
            if variant.name in wanted:
                print(job.name, flush=True)
                cache = _cache(dataset, images, job.recipe, options.cache)
                run_budgeted(job, images, cache, place, workers=options.workers)
            outcome = finished_earlier(job, images, place)
            if outcome is not None:
                finished.append(Trained(variant.name, seed, outcome))
        told = complete(finished, options.seeds[:count])
        write_table(comparison, told, trial.validation, base, options.results)


def complete(finished: Sequence[Trained], seeds: Sequence[int]) -> list[Trained]:
    """Return the trainings of those variants that are finished with every seed."""
    done = {
        name: {each.seed for each in finished if each.variant == name} for name in _names(finished)
    }
    return [each for each in finished if done[each.variant] >= set(seeds)]


def write_table(
    comparison: Comparison,
    finished: Sequence[Trained],
    records: Sequence[Record],
    base: TrainingConfig,
    results: Path,
) -> None:
    """Write ``NAME.json`` and ``NAME.md``: each variant less the base, mean over seeds.

    Args:
        comparison: whose name and title they bear.
        finished: trainings; every seed of a variant is paired with the base's. Without the base
            nothing is written.
        records: the answered images.
        base: the recipe that every variant changes.
        results: folder.

    Raises:
        DataError: the table that is there has variants that this one would not have.
    """
    names = _names(finished)
    if BASE not in names:
        print("no table yet: the base recipe has not been trained with every seed")
        return
    labels = np.array([record.diagnosis.index for record in records])
    lesions = np.array([record.lesion_id for record in records])

    def statistic(weights: FloatArray) -> dict[str, FloatArray]:
        means = {name: _mean(finished, name, labels, weights) for name in names}
        return {
            f"{name}/{key}": means[name][key] - (0.0 if name == BASE else means[BASE][key])
            for name in names
            for key in MEASURES
        }

    drawn = bootstrap(statistic, groups=lesions, rng=np.random.default_rng(_BOOTSTRAP_SEED))
    estimates = {name: {key: drawn.estimate(f"{name}/{key}") for key in MEASURES} for name in names}
    path = results / f"{comparison.name}.json"
    lost = _compared_in(path) - set(names)
    if lost:
        raise DataError(
            f"{path}: also compares {', '.join(sorted(lost))}, whose trainings are not at hand; "
            "train them again, or give another --results"
        )
    seeds = sorted({each.seed for each in finished})
    document = {
        "budget": {"seeds": seeds, "recipe": base.to_dict()},
        "images": len(labels),
        "base": {key: to_document(value) for key, value in estimates[BASE].items()},
        "differences": {
            name: {key: to_document(value) for key, value in estimates[name].items()}
            for name in names
            if name != BASE
        },
    }
    write_text(path, json.dumps(document, indent=1) + "\n")
    table = _table(comparison, estimates, len(labels), seeds, base)
    write_text(path.with_suffix(".md"), render_markdown(table) + "\n")
    print(f"written to {path.with_suffix('.md')}")


def _compared_in(path: Path) -> set[str]:
    """Return the variants of a table that is there."""
    if not path.is_file():
        return set()
    return set(json.loads(path.read_text(encoding="utf-8"))["differences"])


def _names(finished: Sequence[Trained]) -> list[str]:
    return list(dict.fromkeys(each.variant for each in finished))


def _teacher(options: argparse.Namespace, trial: Trial, base: TrainingConfig) -> Teacher | None:
    bundle = getattr(options, "teacher", None)
    return None if bundle is None else read_teacher(bundle, trial.origin, base.preprocessing)


def _job(
    variant: Variant,
    seed: int,
    base: TrainingConfig,
    init: str,
    trial: Trial,
    teacher: Teacher | None,
) -> Budgeted:
    recipe = variant.change(base)
    recipe = replace(recipe, optimisation=replace(recipe.optimisation, seed=seed))
    return Budgeted(
        f"{variant.name}-seed{seed}",
        recipe,
        lambda: imagenet_start(init, trial.origin),
        teacher=teacher if variant.taught else None,
    )


def _mean(
    finished: Sequence[Trained], name: str, labels: np.ndarray[Any, Any], weights: FloatArray
) -> dict[str, FloatArray]:
    measured = [
        measure(labels, each.outcome.probabilities, weights=weights).overall
        for each in finished
        if each.variant == name
    ]
    return {key: np.mean([getattr(each, key) for each in measured], axis=0) for key in MEASURES}


def _table(
    comparison: Comparison,
    estimates: dict[str, dict[str, Estimate]],
    images: int,
    seeds: Sequence[int],
    base: TrainingConfig,
) -> Table:
    label = {variant.name: variant.label for variant in comparison.variants}
    rows = [("the base recipe", *(format_estimate(estimates[BASE][key]) for key in MEASURES))]
    rows += [
        (label[name], *(signed(estimates[name][key]) for key in MEASURES))
        for name in estimates
        if name != BASE
    ]
    optimisation = base.optimisation
    budget = (
        f"Budget: {base.preprocessing.size_px} px, {optimisation.epochs} epochs of at most "
        f"{optimisation.class_cap} images a class, seeds {', '.join(map(str, seeds))}; "
        f"{images} validation images of fold 0. 95 % intervals by lesion, over the mean of seeds: "
        "they do not hold the scatter of seeds. Log loss is before any temperature."
    )
    header = ("Change, less the base recipe", *MEASURES.values())
    return Table(comparison.title, header, tuple(rows), (budget,))


def signed(estimate: Estimate) -> str:
    """Return a difference with its interval, as tables have it."""
    return f"{estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"


def _cache(dataset: Ham10000, images: Images, recipe: TrainingConfig, folder: Path) -> Any:
    return open_cache(
        (*images.train, *images.validation),
        recipe.preprocessing,
        folder,
        pixel_aspect=dataset.pixel_aspect,
    )
