"""How much of the class mix to undo, by validation lesions of five folds, and what it does on test.

    python -m benchmarks.class_mix_folds --data HAM10000 --runs RUNS

What ``benchmarks.class_mix`` asks of the model that ships, asked of its recipe: the network of each
lesion-grouped fold answers its own validation images. Their logits are kept in
``results/ship/validation``, so that everything else can be made again without networks or images.

A strength is chosen for each fold: of those tried, the one with the highest macro F1 on the
validation images of all folds, without the lesions that test this fold; a tie goes to the smaller.
The rule was written when the networks of folds 1 to 4 were still in training. Each network's
temperature is then fitted to its own validation images with that strength, and the answers to test
images, which ``dermassist protocol`` has kept, are shifted. Writes ``class_mix_folds.json``, and
``class_mix_validation.md`` and ``class_mix_test.md``.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.class_mix import (
    class_shares,
    compare,
    cross_fitted,
    fit_class_mix,
    to_table,
)
from benchmarks.kept_answers import Said, keep_validation, read_validation
from numpy.typing import NDArray

from dermassist.answering import answer_records
from dermassist.data.ham10000 import read_ham10000
from dermassist.data.protocol import Trial, lesion_trial
from dermassist.data.split import FOLDS, read_splits
from dermassist.errors import DataError
from dermassist.evaluation.array import FloatArray, IntArray
from dermassist.evaluation.calibration import expected_calibration_error
from dermassist.evaluation.document import to_document
from dermassist.evaluation.metrics import measure
from dermassist.evaluation.table import render_markdown
from dermassist.evaluation.temperature import apply_temperature
from dermassist.inference.classifier import Classifier
from dermassist.interfaces.cli.option import DEFAULT_SPLITS
from dermassist.model.bundle import read_bundle
from dermassist.pooling import description_path, kept_logits, read_predictions
from dermassist.storage import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dermassist.data.split import Splits

#: How often the log shares of the classes are added.
STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
NONE, CHOSEN = "temperature alone", "as chosen by validation"
SHIPPED_FOLD = 0


@dataclass(frozen=True, eq=False)
class FoldAnswers(Said):
    """What a fold's network said of its validation images, and what it takes to undo a class mix.

    Attributes:
        shares: of the classes in the images that trained the network ``(7,)``.
    """

    shares: FloatArray


def main() -> None:
    """Answer what is not answered yet, compare strengths, choose, and measure the choice."""
    parser = argparse.ArgumentParser(description="How much of the class mix to undo.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds HAM10000")
    parser.add_argument("--runs", type=Path, help="RUNS of dermassist protocol, for folds 1 to 4")
    parser.add_argument("--splits", type=Path, default=DEFAULT_SPLITS)
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args()
    dataset, splits = read_ham10000(options.data), read_splits(options.splits)
    trials = [lesion_trial(dataset.records, splits, fold=fold) for fold in range(FOLDS)]
    place = options.results / "ship"
    answers = []
    for trial in trials:
        kept = place / "validation" / f"{trial.name}.npz"
        graph = json.loads(description_path(place / "lesion", trial.name).read_text())
        if not kept.is_file():
            _answer(trial, kept, runs=options.runs, pixel_aspect=dataset.pixel_aspect)
        answers.append(_read(trial, kept, graph_sha256=graph["graph_sha256"]))
    tests = [_tested(trial, place / "lesion", splits) for trial in trials]
    on_validation = figures_on_validation(answers)
    chosen = [
        choose(answers, without=frozenset(record.lesion_id for record in trial.test))
        for trial in trials
    ]
    on_test = figures_on_test(answers, tests, chosen)
    document = {
        "chosen": chosen,
        "calibration_error": on_test[2],
        "validation": on_validation[0],
        "test": on_test[0],
    }
    write_text(options.results / "class_mix_folds.json", json.dumps(document, indent=1) + "\n")
    write_text(options.results / "class_mix_validation.md", on_validation[1] + "\n")
    write_text(options.results / "class_mix_test.md", on_test[1] + "\n")


def choose(answers: Sequence[FoldAnswers], *, without: frozenset[str]) -> float:
    """Return the strength with the highest macro F1 on validation images of all folds.

    Args:
        answers: of each fold's network.
        without: lesions that must have no say, because they test what is chosen.
    """
    used = [~np.isin(part.lesions, sorted(without)) for part in answers]
    labels = np.concatenate([p.labels[u] for p, u in zip(answers, used, strict=True)])

    def macro_f1(strength: float) -> float:
        restored = np.concatenate(
            [
                cross_fitted(part, part.shares, strength)[own]
                for part, own in zip(answers, used, strict=True)
            ]
        )
        return float(measure(labels, restored).overall.macro_f1)

    # The first of the best.
    return max(STRENGTHS, key=macro_f1)


def figures_on_validation(answers: Sequence[FoldAnswers]) -> tuple[dict[str, object], str]:
    """Return figures of every strength on all validation images, and their table."""
    restored = {
        NONE if strength == 0.0 else f"{strength} of the log shares": np.concatenate(
            [cross_fitted(part, part.shares, strength) for part in answers]
        )
        for strength in STRENGTHS
    }
    labels = np.concatenate([part.labels for part in answers])
    lesions = np.concatenate([part.lesions for part in answers])
    fitted = [fit_class_mix(part.labels, part.logits, part.shares).strength for part in answers]
    note = (
        f"{len(labels)} answers to validation images, each by its fold's network, 95 % intervals "
        "by lesion. The first row holds figures, the others differences from it. As likely as can "
        f"be, the strengths of the {len(answers)} networks are "
        f"{', '.join(f'{strength:.2f}' for strength in fitted)}."
    )
    return _written("Undoing the class weights, validation", labels, lesions, restored, note)


def figures_on_test(
    answers: Sequence[FoldAnswers], tests: Sequence[Said], chosen: Sequence[float]
) -> tuple[dict[str, object], str, dict[str, float]]:
    """Return what the chosen strengths do on test images, the table, and calibration errors.

    Args:
        answers: to validation images, which the temperatures are fitted to.
        tests: to test images, fold by fold.
        chosen: strengths, fold by fold.
    """
    restored = {
        NONE: [shifted(part, test, 0.0) for part, test in zip(answers, tests, strict=True)],
        CHOSEN: [
            shifted(part, test, strength)
            for part, test, strength in zip(answers, tests, chosen, strict=True)
        ],
    }
    errors = {
        name: float(
            np.mean(
                [
                    expected_calibration_error(test.labels, chances)
                    for test, chances in zip(tests, parts, strict=True)
                ]
            )
        )
        for name, parts in restored.items()
    }
    labels = np.concatenate([test.labels for test in tests])
    lesions = np.concatenate([test.lesions for test in tests])
    strengths = ", ".join(f"{strength:.1f}" for strength in chosen)
    note = (
        f"{len(labels)} test images, each answered by its fold's network, 95 % intervals by "
        f"lesion. The first row holds figures, the second differences from it. Strengths, fold by "
        f"fold: {strengths}. The calibration error of a network's own answers, mean of "
        f"{len(tests)}: {errors[NONE]:.3f}, and {errors[CHOSEN]:.3f} as chosen."
    )
    whole = {name: np.concatenate(parts) for name, parts in restored.items()}
    figures, text = _written("Undoing the class weights, test", labels, lesions, whole, note)
    return figures, text, errors


def shifted(part: FoldAnswers, test: Said, strength: float) -> FloatArray:
    """Return probabilities of test images ``(n, 7)``; the temperature is fitted to ``part``."""
    fit = fit_class_mix(part.labels, part.logits, part.shares, strength=strength)
    return apply_temperature(test.logits + fit.shift(part.shares), temperature=fit.temperature)


def _written(
    title: str,
    labels: IntArray,
    lesions: NDArray[np.str_],
    restored: Mapping[str, FloatArray],
    note: str,
) -> tuple[dict[str, object], str]:
    drawn = compare(labels, lesions, restored)
    figures = {name: to_document(drawn.estimate(name)) for name in drawn.values}
    return figures, render_markdown(to_table(title, drawn, tuple(restored), note))


def _answer(trial: Trial, kept: Path, *, runs: Path | None, pixel_aspect: float) -> None:
    """Have a fold's network answer its validation images, and keep its logits."""
    if trial.origin["fold"] == SHIPPED_FOLD:
        bundle = read_bundle()
    elif runs is None:
        raise SystemExit(f"{kept}: is not there; name the folder of its network with --runs")
    else:
        bundle = read_bundle(runs / "lesion" / trial.name / "model")
    answers = answer_records(trial.validation, Classifier(bundle), pixel_aspect=pixel_aspect)
    counts = np.bincount([r.diagnosis.index for r in trial.train], minlength=7)
    keep_validation(
        *(kept, trial),
        logits=answers.logits.astype(np.float32),
        counts=counts,
        graph_sha256=bundle.manifest.files["model.onnx"].sha256,
    )


def _read(trial: Trial, kept: Path, *, graph_sha256: str) -> FoldAnswers:
    logits, counts, graph = read_validation(kept, trial, "logits", "counts", "graph_sha256")
    if str(graph) != graph_sha256:
        raise DataError(f"{kept}: is of another network than {trial.name}'s test answers")
    return FoldAnswers.of(trial.validation, logits, shares=class_shares(counts))


def _tested(trial: Trial, place: Path, splits: Splits) -> Said:
    table = read_predictions(trial.name, place, splits=splits)
    description = json.loads(description_path(place, trial.name).read_text(encoding="utf-8"))
    lesion_of = {record.image_id: record.lesion_id for record in trial.test}
    return Said(
        labels=table.labels,
        lesions=np.array([lesion_of[image] for image in table.images]),
        logits=kept_logits(table.probabilities, description["temperature"]),
    )


if __name__ == "__main__":
    main()
