"""What each artifact step and each augmentation is worth: on against off, same seeds.

    python -m benchmarks.ablation --data ham10000

Every variant changes one thing of ``benchmarks/small.toml`` and trains at its small budget (128 px,
8 epochs) on the training part of a fold. The validation part answers; the test fold is not
touched, since this may choose. Stopped, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.small_budget import (
    Budgeted,
    FloatArray,
    Images,
    Outcome,
    add_options,
    exit_status_of,
    imagenet_start,
    run_budgeted,
)

from dermassist.config import TrainingConfig, read_config
from dermassist.data.cache import open_cache
from dermassist.data.ham10000 import Ham10000, Record, read_ham10000
from dermassist.data.protocol import lesion_trial
from dermassist.data.split import read_splits
from dermassist.evaluation.bootstrap import Estimate, bootstrap
from dermassist.evaluation.document import to_document
from dermassist.evaluation.metrics import measure
from dermassist.evaluation.table import Table, format_estimate, render_markdown
from dermassist.storage import write_text

BASE = "base"
_LEAST_SEEDS = 2
_BOOTSTRAP_SEED = 0
MEASURES = {
    "macro_f1": "Macro F1",
    "balanced_accuracy": "Balanced accuracy",
    "log_loss": "Log loss",
}


@dataclass(frozen=True)
class Variant:
    """The base recipe with one thing changed.

    Attributes:
        name: of its folder.
        label: what it does, for the table.
        change: returns the changed recipe.
    """

    name: str
    label: str
    change: Callable[[TrainingConfig], TrainingConfig]


def _augmented(name: str, label: str, **changes: Any) -> Variant:
    return Variant(
        name,
        label,
        lambda recipe: replace(recipe, augmentation=replace(recipe.augmentation, **changes)),
    )


def _cleaned(step: str) -> Variant:
    return Variant(
        f"with-{step}",
        f"with artifact step: {step}",
        lambda recipe: replace(recipe, preprocessing=replace(recipe.preprocessing, steps=(step,))),
    )


VARIANTS = (
    _cleaned("smoothing"),
    _cleaned("brightness"),
    _cleaned("hair"),
    _augmented("no-flips", "without flips", flips=False),
    _augmented("no-rotation", "without rotation", rotation_degrees=0.0),
    _augmented("no-scale", "without change of scale", scale=(1.0, 1.0)),
    _augmented("no-shift", "without shift", shift=0.0),
    _augmented(
        "no-colour",
        "without brightness, contrast, saturation and hue",
        brightness=0.0,
        contrast=0.0,
        saturation=0.0,
        hue_degrees=0.0,
    ),
    _augmented("no-gamma", "without gamma", gamma=0.0),
    _augmented("with-stretch", "with change of proportions, 20 %", stretch=0.2),
    _augmented(
        "with-crop", "with random resized crop", framing="random_resized_crop", scale=(0.5, 1.0)
    ),
    _augmented("with-erasing", "with erasing, 25 %", erasing=0.25),
    _augmented("with-mixup", "with mixup", mixing="mixup"),
    _augmented("with-cutmix", "with CutMix", mixing="cutmix"),
)


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished training of a variant."""

    variant: str
    seed: int
    outcome: Outcome


def main() -> int:
    """Train what is missing, then write table and document; return the exit status."""
    options = _options()
    return exit_status_of(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    base = read_config(options.recipe)
    dataset = read_ham10000(options.data)
    trial = lesion_trial(dataset.records, read_splits(options.splits), fold=0)
    images = Images(trial.train, trial.validation, trial.validation)
    finished: list[Trained] = []
    # Seed by seed, so that a table of all variants is there early.
    for seed in options.seeds:
        for variant in (Variant(BASE, "the base recipe", lambda recipe: recipe), *VARIANTS):
            recipe = variant.change(base)
            recipe = replace(recipe, optimisation=replace(recipe.optimisation, seed=seed))
            job = Budgeted(
                f"{variant.name}-seed{seed}", recipe, lambda: imagenet_start(options.init)
            )
            print(job.name, flush=True)
            outcome = run_budgeted(
                job,
                images,
                _cache(dataset, images, recipe, options.cache),
                options.runs,
                workers=options.workers,
            )
            finished.append(Trained(variant.name, seed, outcome))
        write_table(finished, trial.validation, base, options.results)


def write_table(
    finished: Sequence[Trained], records: Sequence[Record], base: TrainingConfig, results: Path
) -> None:
    """Write ``ablation.json`` and ``ablation.md``: each variant less the base, mean over seeds.

    Args:
        finished: trainings; every seed of a variant is paired with the base's.
        records: the answered images.
        base: the recipe that every variant changes.
        results: folder.
    """
    labels = np.array([record.diagnosis.index for record in records])
    lesions = np.array([record.lesion_id for record in records])
    names = list(dict.fromkeys(each.variant for each in finished))

    def statistic(weights: FloatArray) -> dict[str, FloatArray]:
        means = {name: _mean(finished, name, labels, weights) for name in names}
        return {
            f"{name}/{key}": means[name][key] - (0.0 if name == BASE else means[BASE][key])
            for name in names
            for key in MEASURES
        }

    drawn = bootstrap(statistic, groups=lesions, rng=np.random.default_rng(_BOOTSTRAP_SEED))
    estimates = {name: {key: drawn.estimate(f"{name}/{key}") for key in MEASURES} for name in names}
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
    write_text(results / "ablation.json", json.dumps(document, indent=1) + "\n")
    table = _table(estimates, len(labels), seeds, base)
    write_text(results / "ablation.md", render_markdown(table) + "\n")
    print(f"written to {results / 'ablation.md'}")


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
    estimates: dict[str, dict[str, Estimate]],
    images: int,
    seeds: Sequence[int],
    base: TrainingConfig,
) -> Table:
    label = {variant.name: variant.label for variant in VARIANTS}
    rows = [("the base recipe", *(format_estimate(estimates[BASE][key]) for key in MEASURES))]
    rows += [
        (label[name], *(_signed(estimates[name][key]) for key in MEASURES))
        for name in estimates
        if name != BASE
    ]
    optimisation = base.optimisation
    budget = (
        f"Budget: {base.preprocessing.size_px} px, {optimisation.epochs} epochs of at most "
        f"{optimisation.class_cap} images a class, seeds {', '.join(map(str, seeds))}; "
        f"{images} validation images of fold 0. 95 % intervals by lesion, over the mean of seeds: "
        "they do not hold the scatter of seeds."
    )
    header = ("Change, less the base recipe", *MEASURES.values())
    return Table("Ablation: each step on and off", header, tuple(rows), (budget,))


def _signed(estimate: Estimate) -> str:
    return f"{estimate.value:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"


def _cache(dataset: Ham10000, images: Images, recipe: TrainingConfig, folder: Path) -> Any:
    return open_cache(
        (*images.train, *images.validation),
        recipe.preprocessing,
        folder,
        pixel_aspect=dataset.pixel_aspect,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_options(parser)
    parser.add_argument("--init", default="imagenet", help="start weights, or 'imagenet'")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"))
    options = parser.parse_args()
    if len(set(options.seeds)) < _LEAST_SEEDS:
        parser.error(f"--seeds must be {_LEAST_SEEDS} or more different numbers")
    return options


if __name__ == "__main__":
    sys.exit(main())
