"""Every figure of merit of one set of answers, for the sample itself or for many resamples at once.

Averages over classes run over the scored classes: those with at least ``minimum_images`` images in
``y_true``. So does balanced accuracy, as in scikit-learn, which also averages over the classes
present. Precision, recall, F1 and AUC of a class that is not scored are nan, and a resample that
holds none of a scored class has nan for that class and for every average over it. AUC and
sensitivity at a specificity also want ``minimum_images`` images of the other side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Self, TypeVar

import numpy as np

from dermassist.diagnosis import CODES, Diagnosis
from dermassist.evaluation import confusion
from dermassist.evaluation.array import (
    BoolArray,
    FloatArray,
    IntArray,
    checked_count,
    checked_labels,
    checked_probabilities,
    checked_weights,
)
from dermassist.evaluation.calibration import expected_calibration_error
from dermassist.evaluation.malignancy import is_malignant, malignant_probability
from dermassist.evaluation.ranking import (
    RocCurve,
    area_under_curve,
    roc_curve,
    sensitivity_at_specificity,
)
from dermassist.evaluation.scoring import brier_score, log_loss

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: An array over resamples while computing, an ``Estimate`` with its interval when reported.
T = TypeVar("T")


@dataclass(frozen=True)
class Overall(Generic[T]):
    """One value per figure of merit of the whole.

    Sensitivities at a specificity follow ``ranking.sensitivity_at_specificity``: melanoma is
    ranked by its own probability against all other images, malignancy by the sum of mel, bcc and
    akiec against the four benign classes.
    """

    accuracy: T
    balanced_accuracy: T
    macro_precision: T
    macro_f1: T
    weighted_precision: T
    weighted_recall: T
    weighted_f1: T
    macro_auc: T
    malignancy_auc: T
    melanoma_sensitivity_at_90: T
    melanoma_sensitivity_at_95: T
    malignancy_sensitivity_at_90: T
    malignancy_sensitivity_at_95: T
    #: Sum of squared differences over the classes, 0 to 2.
    brier_score: T
    #: Mean negative log likelihood in nats.
    log_loss: T
    #: Expected calibration error, 15 bins. It cannot fall below 0, so chance alone raises it; judge
    #: it beside ``calibration_reference``.
    calibration_error: T


@dataclass(frozen=True)
class PerClass(Generic[T]):
    """The columns of the paper's Table III, and the area under the one-versus-rest ROC curve."""

    precision: T
    recall: T
    f1: T
    auc: T


@dataclass(frozen=True)
class Metrics:
    """All figures of merit of one sample ``batch = ()`` or of ``(resamples,)`` of it."""

    #: Arrays ``(*batch,)``.
    overall: Overall[FloatArray]
    #: Arrays ``(*batch, 7)``.
    per_class: PerClass[FloatArray]
    #: Counts ``(*batch, 7, 7)``, rows the true class.
    confusion: FloatArray


@dataclass(frozen=True)
class _Answers:
    labels: IntArray
    chances: FloatArray
    weights: FloatArray


@dataclass(frozen=True)
class _Ranking:
    """A ROC curve that is only read where positives and negatives are numerous enough."""

    curve: RocCurve
    enough: bool

    @classmethod
    def of(
        cls, positive: BoolArray, score: FloatArray, weights: FloatArray, minimum_images: int
    ) -> Self:
        enough = min(positive.sum(), (~positive).sum()) >= minimum_images
        return cls(roc_curve(positive, score, weights=weights), bool(enough))

    @property
    def area(self) -> FloatArray:
        return self._known(area_under_curve(self.curve))

    def sensitivity_at(self, specificity: float) -> FloatArray:
        return self._known(sensitivity_at_specificity(self.curve, specificity=specificity))

    def _known(self, values: FloatArray) -> FloatArray:
        return values if self.enough else np.full_like(values, np.nan)


def measure(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    minimum_images: int = 1,
) -> Metrics:
    """Compute every figure of merit; the predicted class is the first most probable one.

    Args:
        y_true: labels ``(n,)``, 0 to 6.
        probabilities: ``(n, 7)``.
        weights: multiplicities ``(*batch, n)``; one per image if absent.
        minimum_images: a class with fewer images in ``y_true`` is not scored.

    Raises:
        DataError: labels, probabilities or weights do not fit together.
        ConfigError: ``minimum_images`` is below 1.
    """
    labels = checked_labels(y_true)
    chances = checked_probabilities(probabilities, images=len(labels), classes=len(CODES))
    answers = _Answers(labels, chances, checked_weights(weights, images=len(labels)))
    scored = scored_classes(labels, minimum_images=minimum_images)
    counts = confusion.confusion_matrix(labels, chances.argmax(axis=1), weights=answers.weights)
    per_class = PerClass(
        precision=np.where(scored, confusion.precision(counts), np.nan),
        recall=np.where(scored, confusion.recall(counts), np.nan),
        f1=np.where(scored, confusion.f1_score(counts), np.nan),
        auc=_class_areas(answers, minimum_images=minimum_images),
    )
    return Metrics(
        overall=Overall(
            **_averages(counts, per_class, scored=scored),
            **_detection(answers, minimum_images=minimum_images),
            **_probability_scores(answers),
        ),
        per_class=per_class,
        confusion=counts,
    )


def scored_classes(y_true: ArrayLike, *, minimum_images: int = 1) -> BoolArray:
    """Return which of the seven classes have at least ``minimum_images`` images ``(7,)``.

    Raises:
        DataError: labels out of range.
        ConfigError: ``minimum_images`` is below 1.
    """
    minimum = checked_count(minimum_images, name="minimum_images")
    return np.bincount(checked_labels(y_true), minlength=len(CODES)) >= minimum


def _averages(
    counts: FloatArray, per_class: PerClass[FloatArray], *, scored: BoolArray
) -> dict[str, FloatArray]:
    def macro(values: FloatArray) -> FloatArray:
        return confusion.macro_average(values, scored=scored)

    def weighted(values: FloatArray) -> FloatArray:
        images = confusion.support(counts)
        return confusion.weighted_average(values, counts=images, scored=scored)

    return {
        "accuracy": confusion.accuracy(counts),
        "balanced_accuracy": macro(per_class.recall),
        "macro_precision": macro(per_class.precision),
        "macro_f1": macro(per_class.f1),
        "weighted_precision": weighted(per_class.precision),
        "weighted_recall": weighted(per_class.recall),
        "weighted_f1": weighted(per_class.f1),
        "macro_auc": macro(per_class.auc),
    }


def _class_areas(answers: _Answers, *, minimum_images: int) -> FloatArray:
    rankings = [
        _Ranking.of(answers.labels == c, answers.chances[:, c], answers.weights, minimum_images)
        for c in range(len(CODES))
    ]
    return np.stack([ranking.area for ranking in rankings], axis=-1)


def _detection(answers: _Answers, *, minimum_images: int) -> dict[str, FloatArray]:
    mel = Diagnosis.MEL.index
    melanoma = _Ranking.of(
        answers.labels == mel, answers.chances[:, mel], answers.weights, minimum_images
    )
    malignancy = _Ranking.of(
        is_malignant(answers.labels),
        malignant_probability(answers.chances),
        answers.weights,
        minimum_images,
    )
    return {
        "malignancy_auc": malignancy.area,
        "melanoma_sensitivity_at_90": melanoma.sensitivity_at(0.90),
        "melanoma_sensitivity_at_95": melanoma.sensitivity_at(0.95),
        "malignancy_sensitivity_at_90": malignancy.sensitivity_at(0.90),
        "malignancy_sensitivity_at_95": malignancy.sensitivity_at(0.95),
    }


def _probability_scores(answers: _Answers) -> dict[str, FloatArray]:
    arrays, weights = (answers.labels, answers.chances), answers.weights
    return {
        "brier_score": brier_score(*arrays, weights=weights),
        "log_loss": log_loss(*arrays, weights=weights),
        "calibration_error": expected_calibration_error(*arrays, weights=weights),
    }
