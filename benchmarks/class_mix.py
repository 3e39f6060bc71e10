"""What class weights do to probabilities, and what undoing it costs: on validation lesions.

    python -m benchmarks.class_mix --data HAM10000

A loss in which rare classes weigh more teaches a network the probabilities of a mix in which they
are more common: with weights ``frequency ** -power`` it finds each class too probable by that
factor (Elkan, "The Foundations of Cost-Sensitive Learning", IJCAI 2001, theorem 2; Menon et al.,
"Long-tail learning via logit adjustment", ICLR 2021). Adding ``power`` times the log frequency to
the scaled logits undoes it. How much is left of it in a network can be fitted with the temperature:
one direction of the biases of Alexandari, Kundaje, Shrikumar, "Maximum Likelihood with
Bias-Corrected Calibration is Hard-To-Beat at Label Shift Adaptation", ICML 2020.

The model that ships answers the validation images of its fold; what is fitted to a fifth of their
lesions comes from the others. Writes ``class_mix.json`` and ``class_mix.md``.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from benchmarks.own_trial import trial_of_model
from benchmarks.variant import MEASURES, signed
from scipy.optimize import minimize

from dermassist.answering import Answers, answer_records
from dermassist.data.ham10000 import read_ham10000
from dermassist.data.split import read_splits
from dermassist.diagnosis import CODES, Diagnosis
from dermassist.errors import DataError
from dermassist.evaluation.array import FloatArray, IntArray, checked_labels
from dermassist.evaluation.bootstrap import Bootstrap, bootstrap
from dermassist.evaluation.document import to_document
from dermassist.evaluation.metrics import measure
from dermassist.evaluation.table import Table, format_estimate, render_markdown
from dermassist.evaluation.temperature import TEMPERATURE_RANGE, apply_temperature
from dermassist.inference.classifier import Classifier
from dermassist.interfaces.cli.option import DEFAULT_SPLITS
from dermassist.storage import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

#: How often the log shares of the classes are added; ``None`` is fitted.
STRENGTHS: dict[str, float | None] = {
    "temperature alone": 0.0,
    "0.2 of the log shares": 0.2,
    "0.4 of the log shares": 0.4,
    "fitted, as likely as can be": None,
}
COLUMNS = {**MEASURES, "melanoma_recall": "Melanoma recall"}
PARTS = 5
_SEED = 0
#: Beyond 1 more would be undone than a loss of equal classes can have done.
STRENGTH_RANGE = (0.0, 1.0)


class Answered(Protocol):
    """Images with their lesions, and what a network said of them."""

    @property
    def labels(self) -> IntArray:
        """True diagnoses ``(n,)``, 0 to 6."""

    @property
    def lesions(self) -> NDArray[np.str_]:
        """Lesion of each image ``(n,)``."""

    @property
    def logits(self) -> FloatArray:
        """What the network said, ``(n, 7)``."""


def main() -> None:
    """Answer, undo in several strengths, compare and write."""
    parser = argparse.ArgumentParser(description="What class weights do to probabilities.")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds HAM10000")
    parser.add_argument("--splits", type=Path, default=DEFAULT_SPLITS)
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args()
    dataset, classifier = read_ham10000(options.data), Classifier.load()
    splits = read_splits(options.splits)
    trial = trial_of_model(classifier.manifest, dataset.records, splits)
    counts = np.bincount([r.diagnosis.index for r in trial.train], minlength=len(CODES))
    answers = answer_records(trial.validation, classifier, pixel_aspect=dataset.pixel_aspect)
    graph = classifier.manifest.files["model.onnx"].sha256
    write(answers, class_shares(counts), options.results, graph_sha256=graph)


def write(answers: Answers, shares: FloatArray, results: Path, *, graph_sha256: str) -> None:
    """Write figures of every strength, as differences from the temperature alone.

    Args:
        answers: of the model, to validation images.
        shares: of the classes in its training images ``(7,)``.
        results: folder.
        graph_sha256: of the model's graph, so that figures of another model are told from these.
    """
    restored = {
        name: cross_fitted(answers, shares, strength) for name, strength in STRENGTHS.items()
    }
    drawn = compare(answers.labels, answers.lesions, restored)
    fit = fit_class_mix(answers.labels, answers.logits, shares)
    note = (
        f"{len(answers.records)} validation images, 95 % intervals by lesion. The first row holds "
        f"figures, the others differences from it. Fitted to all of them the strength is "
        f"{fit.strength:.2f}."
    )
    table = to_table("Undoing the class weights", drawn, tuple(restored), note)
    document = {
        "graph_sha256": graph_sha256,
        "strength": fit.strength,
        "figures": {name: to_document(drawn.estimate(name)) for name in drawn.values},
    }
    write_text(results / "class_mix.json", json.dumps(document, indent=1) + "\n")
    write_text(results / "class_mix.md", render_markdown(table) + "\n")


def to_table(title: str, drawn: Bootstrap, names: tuple[str, ...], note: str) -> Table:
    """Return figures of the first of ``names``, and how the others differ from it."""
    base, *others = names
    rows = [(base, *(format_estimate(drawn.estimate(f"{base}/{key}")) for key in COLUMNS))]
    rows += [
        (name, *(signed(drawn.estimate(f"{name}/difference/{key}")) for key in COLUMNS))
        for name in others
    ]
    header = ("What is added to the scaled logits", *COLUMNS.values())
    return Table(title, header, tuple(rows), (note,))


def cross_fitted(answers: Answered, shares: FloatArray, strength: float | None) -> FloatArray:
    """Return probabilities ``(n, 7)``; what those of a lesion rest on is fitted to others.

    Args:
        answers: of validation images.
        shares: of the classes in the training images ``(7,)``.
        strength: how often the log shares are added, or ``None`` to fit that too.
    """
    names, place = np.unique(answers.lesions, return_inverse=True)
    part = np.random.default_rng(_SEED).permutation(len(names))[place] % PARTS
    found = np.empty_like(answers.logits)
    for k in range(PARTS):
        own, others = part == k, part != k
        fit = fit_class_mix(
            answers.labels[others], answers.logits[others], shares, strength=strength
        )
        shifted = answers.logits[own] + fit.shift(shares)
        found[own] = apply_temperature(shifted, temperature=fit.temperature)
    return found


def compare(
    labels: IntArray, lesions: NDArray[np.str_], restored: Mapping[str, FloatArray]
) -> Bootstrap:
    """Return every measure of each, and its difference from the first, resampled by lesion.

    Args:
        labels: true diagnoses ``(n,)``.
        lesions: of each image ``(n,)``.
        restored: probabilities ``(n, 7)`` by what was done to them.
    """
    base = next(iter(restored))

    def statistic(weights: FloatArray) -> dict[str, FloatArray]:
        own = {name: _measures(labels, p, weights) for name, p in restored.items()}
        return {
            f"{name}/{key}": value for name, each in own.items() for key, value in each.items()
        } | {
            f"{name}/difference/{key}": each[key] - own[base][key]
            for name, each in own.items()
            for key in COLUMNS
        }

    return bootstrap(statistic, groups=lesions, rng=np.random.default_rng(_SEED))


def _measures(
    labels: IntArray, probabilities: FloatArray, weights: FloatArray
) -> dict[str, FloatArray]:
    measured = measure(labels, probabilities, weights=weights)
    return {
        **{key: getattr(measured.overall, key) for key in MEASURES},
        "melanoma_recall": measured.per_class.recall[..., Diagnosis.MEL.index],
    }


@dataclass(frozen=True)
class ClassMixFit:
    """How much of a class weighting the logits still hold.

    Attributes:
        strength: how many times the log shares are added to the scaled logits, 0 to 1.
        temperature: fitted with it; divides the logits first.
    """

    strength: float
    temperature: float

    def shift(self, shares: ArrayLike) -> FloatArray:
        """Return what to add to the logits before the temperature ``(classes,)``."""
        return self.strength * self.temperature * np.log(np.asarray(shares, np.float64))


def class_shares(counts: ArrayLike) -> FloatArray:
    """Return the share of each class; one without images counts as having one.

    Args:
        counts: images of each class ``(classes,)``.
    """
    counted = np.maximum(np.asarray(counts, np.float64), 1.0)
    return np.asarray(counted / counted.sum())


def fit_class_mix(
    y_true: ArrayLike, logits: ArrayLike, shares: ArrayLike, *, strength: float | None = None
) -> ClassMixFit:
    """Find strength and temperature that minimise the negative log likelihood of validation data.

    The loss is convex in strength and inverse temperature.

    Args:
        y_true: labels ``(n,)``.
        logits: ``(n, classes)``.
        shares: of the classes in the training images ``(classes,)``, above 0.
        strength: fixed; by default it is fitted.

    Raises:
        DataError: labels out of range, or logits that are not finite.
    """
    values = np.atleast_2d(np.asarray(logits, np.float64))
    if not np.isfinite(values).all():
        raise DataError("logits must be finite: the network's output holds nan or infinity")
    labels = checked_labels(y_true, classes=values.shape[1], images=len(values))
    prior = np.log(np.asarray(shares, np.float64))
    low, high = TEMPERATURE_RANGE
    within = STRENGTH_RANGE if strength is None else (strength, strength)
    found = minimize(
        _loss_and_slopes,
        x0=(1.0, within[0]),
        args=(labels, values, prior),
        jac=True,
        method="L-BFGS-B",
        bounds=((1 / high, 1 / low), within),
        options={"ftol": 1e-14, "gtol": 1e-9},
    )
    inverse, found_strength = found.x
    return ClassMixFit(strength=float(found_strength), temperature=float(1 / inverse))


def _loss_and_slopes(
    parameters: FloatArray, labels: IntArray, logits: FloatArray, prior: FloatArray
) -> tuple[float, FloatArray]:
    """Return the mean loss, and its slopes by inverse temperature and strength."""
    inverse, strength = parameters
    chances = apply_temperature(logits * inverse + strength * prior, temperature=1.0)
    places = np.arange(len(labels))
    loss = -np.log(np.maximum(chances[places, labels], np.finfo(np.float64).tiny)).mean()
    of_logits = (chances * logits).sum(axis=1) - logits[places, labels]
    of_prior = chances @ prior - prior[labels]
    return float(loss), np.array([of_logits.mean(), of_prior.mean()])


if __name__ == "__main__":
    main()
