"""What a second training at a constant rate is worth, on the validation lesions of its folds.

    A="protocol lesion --data HAM10000"
    dermassist $A --config configs/ship.toml --runs R1 --results A1
    dermassist $A --config configs/settle.toml --init R1/lesion --runs R2 --results A2
    python -m benchmarks.settling R1/lesion R2/lesion --data HAM10000

``configs/settle.toml`` goes on from each network of ``configs/ship.toml`` and keeps the mean of its
steps. The networks of both answer the same validation images; their logits are kept in
``results/settling``, so that everything else can be made again without networks: leave the folders
out. Writes ``settling.json`` and ``settling.md``; no test image is read.

The rule by which it would take the place of the network that ships was written when one of the
second trainings had ended: over all folds log loss falls clear of chance, neither balanced accuracy
nor macro F1 falls, and on fold 0 its log loss is not above that of the network that ships. What
came of it is told in ``docs/experiments.md``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.averaging import module_with
from benchmarks.class_mix import COLUMNS, compare, cross_fitted
from benchmarks.kept_answers import Said, keep_validation, read_validation
from benchmarks.small_budget import answer, exit_status_of
from benchmarks.variant import signed
from numpy.typing import NDArray

from dermassist.config import TrainingConfig
from dermassist.data.cache import open_cache
from dermassist.data.ham10000 import Ham10000, read_ham10000
from dermassist.data.protocol import Trial, lesion_trial
from dermassist.data.split import FOLDS, read_splits
from dermassist.diagnosis import CODES
from dermassist.errors import DataError
from dermassist.evaluation.document import to_document
from dermassist.evaluation.table import Table, format_estimate, render_markdown
from dermassist.interfaces.cli.option import DEFAULT_CACHE, DEFAULT_SPLITS
from dermassist.model.weights import read_weights
from dermassist.storage import write_text
from dermassist.training.run import LAST_WEIGHTS_NAME, check_finished, read_record
from dermassist.training.seen import check_same_part

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST, SECOND = "ship.toml", "settle.toml"
#: No class mix is undone here; with this strength only a temperature is fitted.
_NOTHING_UNDONE = 0.0
_EVEN = np.full(len(CODES), 1.0 / len(CODES))


def main() -> int:
    """Answer what is not answered yet, and compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=Path, nargs="*", help="of the first and of the second recipe")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds HAM10000")
    parser.add_argument("--splits", type=Path, default=DEFAULT_SPLITS)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="decoded images")
    options = parser.parse_args()
    if len(options.runs) not in {0, 2}:
        parser.error("name the folders of both recipes' runs, or neither")
    return exit_status_of(lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    dataset, splits = read_ham10000(options.data), read_splits(options.splits)
    trials = [lesion_trial(dataset.records, splits, fold=fold) for fold in range(FOLDS)]
    folder = options.results / "settling"
    kept = {folder / f"{trial.name}.npz": trial for trial in trials}
    for path, trial in kept.items():
        runs = [each / trial.name for each in options.runs]
        # Where either training has not left its weights yet, the others are compared without it.
        if runs and not path.is_file() and all((r / LAST_WEIGHTS_NAME).is_file() for r in runs):
            first, second = (
                answer_validation(run, trial, dataset, cache=options.cache) for run in runs
            )
            keep_validation(path, trial, first=first, second=second)
            print(f"{trial.name} answered", flush=True)
    answered = [read_kept(path, trial) for path, trial in kept.items() if path.is_file()]
    if not answered:
        raise DataError(f"{folder}: no fold is answered; name the folders of both recipes' runs")
    write(answered, options.results)


def answer_validation(
    run: Path, trial: Trial, dataset: Ham10000, *, cache: Path
) -> NDArray[np.float32]:
    """Return a finished training's logits ``(n, 7)`` for its validation images, up to a constant.

    They are float32, as they are kept.

    Raises:
        ConfigError: the training is of another fold.
        DataError: it is not finished.
    """
    record = read_record(run)
    check_same_part(record["origin"], trial.origin, where=run, what="its network")
    recipe = TrainingConfig.from_dict(record["config"], where=str(run))
    check_finished(run, record, epochs=recipe.optimisation.epochs_to_run)
    fields = open_cache(
        dataset.records, recipe.preprocessing, cache, pixel_aspect=dataset.pixel_aspect
    )
    module = module_with(recipe, read_weights(run / LAST_WEIGHTS_NAME))
    chances = answer(module, trial.validation, fields)
    return np.log(np.maximum(chances, np.finfo(np.float64).tiny)).astype(np.float32)


def read_kept(path: Path, trial: Trial) -> dict[str, Said]:
    """Return what both networks said.

    Raises:
        DataError: the file cannot be read, or is of other images.
    """
    kept = read_validation(path, trial, "first", "second")
    return {
        name: Said.of(trial.validation, logits)
        for name, logits in zip((FIRST, SECOND), kept, strict=True)
    }


def write(folds: Sequence[dict[str, Said]], results: Path) -> None:
    """Write figures of both, and the difference image by image; temperatures are cross-fitted."""
    chances = {
        name: np.concatenate([cross_fitted(fold[name], _EVEN, _NOTHING_UNDONE) for fold in folds])
        for name in (FIRST, SECOND)
    }
    labels = np.concatenate([fold[FIRST].labels for fold in folds])
    lesions = np.concatenate([fold[FIRST].lesions for fold in folds])
    drawn = compare(labels, lesions, chances)
    rows = [
        (f"`{name}`", *(format_estimate(drawn.estimate(f"{name}/{key}")) for key in COLUMNS))
        for name in (FIRST, SECOND)
    ]
    difference = (signed(drawn.estimate(f"{SECOND}/difference/{key}")) for key in COLUMNS)
    rows.append(("the second less the first", *difference))
    note = (
        f"{len(labels)} answers to validation images of {len(folds)} folds, temperatures fitted to "
        "other lesions, 95 % intervals by lesion; one training each, so that they do not hold the "
        "scatter of seeds."
    )
    header = ("Recipe", *COLUMNS.values())
    table = Table("A second training at a constant rate", header, tuple(rows), (note,))
    document = {name: to_document(drawn.estimate(name)) for name in drawn.values}
    write_text(results / "settling.json", json.dumps(document, indent=1) + "\n")
    write_text(results / "settling.md", render_markdown(table) + "\n")


if __name__ == "__main__":
    sys.exit(main())
