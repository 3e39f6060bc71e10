"""When to refer: a threshold on the summed malignant probability.

Convention: refer when ``malignant_probability >= threshold``. The threshold is one of the scores
seen, the highest at which at least the wanted share of malignant images is referred; images that
tie with it are referred too, so the sensitivity reached is never below the one wanted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

import numpy as np

from dermassist.diagnosis import Diagnosis
from dermassist.errors import ConfigError, DataError
from dermassist.evaluation.array import (
    FloatArray,
    checked_groups,
    checked_labels,
    checked_share,
    checked_weights,
    ratio,
)
from dermassist.evaluation.bootstrap import RESAMPLES, Estimate, bootstrap
from dermassist.evaluation.malignancy import (
    is_malignant,
    malignancy_curve,
    malignant_probability,
)
from dermassist.evaluation.metrics import T
from dermassist.evaluation.ranking import ROUNDING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class ReferralThreshold:
    """A threshold with what it reached on the data that chose it."""

    threshold: float
    wanted_sensitivity: float
    sensitivity: float
    specificity: float
    #: Malignant and benign images it was chosen on.
    malignant_images: int
    benign_images: int


@dataclass(frozen=True)
class ReferralMeasures(Generic[T]):
    """What a threshold does on data that did not choose it."""

    #: Share of malignant images referred.
    sensitivity: T
    #: Share of benign images not referred.
    specificity: T
    #: Share of melanomas referred.
    melanoma_sensitivity: T
    #: Share of all images referred.
    referred: T


@dataclass(frozen=True)
class SourceReferral:
    """What a threshold does on the images of one source.

    Attributes:
        source: where the images come from.
        malignant_images: how many of them are of a malignant class.
        benign_images: how many are not.
        measures: with 95 % intervals by lesion; nan where there is nothing to be measured on.
    """

    source: str
    malignant_images: int
    benign_images: int
    measures: ReferralMeasures[Estimate]


def fit_referral_threshold(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    *,
    sensitivity: float = 0.95,
    groups: ArrayLike | None = None,
) -> ReferralThreshold:
    """Choose the highest threshold that refers the wanted share of malignant images.

    A threshold that just reaches the share on the images that chose it falls short on others.
    With ``groups`` it must therefore reach ``ceil((m + 1) share) / m`` there, where ``m`` is the
    number of malignant lesions: as in split conformal prediction (Vovk, Gammerman, Shafer,
    "Algorithmic Learning in a Random World", 2005, section 4.2), a further lesion of the same kind
    is then referred with at least the wanted probability where every lesion has one image. Lesions
    with many images weigh as much more in the share, so where those are the easy ones, fewer are.

    Args:
        y_true: labels of validation images ``(n,)``.
        probabilities: calibrated probabilities ``(n, 7)``.
        sensitivity: wanted share of malignant images referred.
        groups: lesion of each image ``(n,)``.

    Raises:
        DataError: arrays that do not fit together, or no malignant or no benign image.
        ConfigError: ``sensitivity`` is not between 0 and 1.
    """
    wanted = checked_share(sensitivity, name="sensitivity")
    curve = malignancy_curve(y_true, probabilities)
    if not (curve.positives > 0 and curve.negatives > 0):
        raise DataError(
            "a referral threshold needs malignant and benign images to be chosen on, got "
            f"{int(curve.positives)} and {int(curve.negatives)}"
        )
    asked = wanted
    if groups is not None:
        labels = checked_labels(y_true)
        lesions = checked_groups(groups, images=len(labels))
        malignant = len(np.unique(lesions[is_malignant(labels)]))
        asked = min(1.0, float(np.ceil((malignant + 1) * wanted - ROUNDING)) / malignant)
    first = int(np.argmax(curve.sensitivity >= asked - ROUNDING))
    return ReferralThreshold(
        threshold=float(curve.thresholds[first]),
        wanted_sensitivity=wanted,
        sensitivity=float(curve.sensitivity[first]),
        specificity=float(1 - curve.false_positive_rate[first]),
        malignant_images=int(curve.positives),
        benign_images=int(curve.negatives),
    )


def measure_referral(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    *,
    threshold: float,
    weights: ArrayLike | None = None,
) -> ReferralMeasures[FloatArray]:
    """Measure a threshold on other data; what has no images to be measured on is nan.

    Args:
        y_true: labels ``(n,)``.
        probabilities: ``(n, 7)``, calibrated as those that the threshold was chosen on.
        threshold: refer at this malignant probability and above, 0 to 1.
        weights: multiplicities ``(*batch, n)``; one per image if absent.

    Returns:
        Arrays ``(*batch,)``.

    Raises:
        DataError: arrays that do not fit together.
        ConfigError: the threshold is no probability.
    """
    if not 0 <= threshold <= 1:
        raise ConfigError(f"threshold must be a probability, 0 to 1, got {threshold}")
    referred = malignant_probability(probabilities) >= threshold
    return measure_referred(y_true, referred, weights=weights)


def measure_referred(
    y_true: ArrayLike, referred: ArrayLike, *, weights: ArrayLike | None = None
) -> ReferralMeasures[FloatArray]:
    """Measure who was referred ``(n,)`` bool, by whatever threshold; else as ``measure_referral``.

    Raises:
        DataError: arrays that do not fit together.
    """
    advised = np.asarray(referred, dtype=bool)
    labels = checked_labels(y_true, images=len(advised))
    multiplicity = checked_weights(weights, images=len(labels))
    malignant = is_malignant(labels)

    def share(hit: ArrayLike, among: ArrayLike) -> FloatArray:
        return ratio(multiplicity @ (np.asarray(hit) & among), multiplicity @ np.asarray(among))

    return ReferralMeasures(
        sensitivity=share(advised, malignant),
        specificity=share(~advised, ~malignant),
        melanoma_sensitivity=share(advised, labels == Diagnosis.MEL.index),
        referred=share(advised, np.ones(len(labels), dtype=bool)),
    )


def estimate_referral(
    y_true: ArrayLike,
    referred: ArrayLike,
    *,
    groups: ArrayLike,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> ReferralMeasures[Estimate]:
    """Measure who was referred ``(n,)`` bool with 95 % intervals by lesion."""
    result = bootstrap(
        lambda w: vars(measure_referred(y_true, referred, weights=w)),
        groups=groups,
        rng=rng,
        resamples=resamples,
    )
    return ReferralMeasures(**{name: result.estimate(name) for name in result.values})


def estimate_referral_by_source(
    y_true: ArrayLike,
    referred: ArrayLike,
    *,
    sources: ArrayLike,
    groups: ArrayLike,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> tuple[SourceReferral, ...]:
    """Measure who was referred ``(n,)`` bool, source by source, in the order of their names.

    Args:
        y_true: labels ``(n,)``.
        referred: who was.
        sources: where each image comes from ``(n,)``.
        groups: lesion of each image ``(n,)``.
        rng: of the bootstrap.
        resamples: of the lesions.
    """
    labels, advised = checked_labels(y_true), np.asarray(referred, dtype=bool)
    origins = checked_groups(sources, images=len(labels))
    lesions = checked_groups(groups, images=len(labels))
    malignant = is_malignant(labels)
    found = []
    for source in np.unique(origins):
        inside = origins == source
        own = estimate_referral(
            labels[inside], advised[inside], groups=lesions[inside], rng=rng, resamples=resamples
        )
        counts = (int((inside & malignant).sum()), int((inside & ~malignant).sum()))
        found.append(SourceReferral(str(source), *counts, own))
    return tuple(found)
