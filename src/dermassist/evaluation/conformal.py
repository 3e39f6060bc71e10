"""Sets of diagnoses that hold the true one with a guaranteed share, class by class.

Class-conditional (Mondrian) split conformal prediction: a diagnosis is in the set unless its
probability is lower than all but a share ``1 - coverage`` of what calibration images of that same
diagnosis got. For new images exchangeable with the calibration images of their class, each class is
then covered with probability at least ``coverage``. A class with too few calibration images for
that takes what all calibration images together give, and no guarantee of its own: always in the
set it would keep the promise, and no set would say anything.

Source: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2nd edition, 2022,
section 4.6; Sadinle, Lei, Wasserman, "Least Ambiguous Set-Valued Classifiers With Bounded Error
Levels", JASA 2019; for small classes Ding et al., "Class-Conditional Conformal Prediction with Many
Classes", NeurIPS 2023 (their null cluster). P-values come from crepes (Boström, COPA 2024); using
fitted sets needs numpy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dermassist.diagnosis import CODES
from dermassist.errors import DataError, MissingExtraError
from dermassist.evaluation.array import (
    BoolArray,
    FloatArray,
    IntArray,
    checked_groups,
    checked_labels,
    checked_probabilities,
    checked_share,
    checked_weights,
    ratio,
)
from dermassist.evaluation.bootstrap import RESAMPLES, Estimate, bootstrap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

#: P-values are ratios of whole numbers: a tie with ``1 - coverage`` may differ by rounding.
ROUNDING = 1e-9


@dataclass(frozen=True)
class ConformalSets:
    """What each diagnosis must reach to be in the set.

    Classes with too few calibration images share the minimum of all images together.
    """

    #: Promised share of images whose set holds the true class, per class.
    coverage: float
    #: Lowest probability at which a class is in the set ``(7,)``, by class order.
    minimum_probability: tuple[float, ...]
    #: Calibration images per class ``(7,)``.
    calibration_images: tuple[int, ...]

    @property
    def too_small(self) -> tuple[str, ...]:
        """Codes of the classes with too few calibration images for a guarantee of their own."""
        needed = images_needed(self.coverage)
        counts = zip(CODES, self.calibration_images, strict=True)
        return tuple(code for code, count in counts if count < needed)

    def predict(self, probabilities: ArrayLike) -> BoolArray:
        """Return which classes are in the set of each image ``(n, 7)``; a set can be empty.

        An empty set says that the image is unlike the calibration images of every class.

        Raises:
            DataError: not ``(n, 7)`` probabilities.
        """
        chances = checked_probabilities(probabilities, classes=len(CODES))
        return np.asarray(chances >= np.asarray(self.minimum_probability))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe form, keyed by class code."""
        return {
            "coverage": self.coverage,
            "minimum_probability": dict(zip(CODES, self.minimum_probability, strict=True)),
            "calibration_images": dict(zip(CODES, self.calibration_images, strict=True)),
            "too_small": list(self.too_small),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote.

        Raises:
            DataError: a key or a class is missing, or a value is not a number.
        """
        try:
            return cls(
                coverage=float(data["coverage"]),
                minimum_probability=tuple(float(data["minimum_probability"][c]) for c in CODES),
                calibration_images=tuple(int(data["calibration_images"][c]) for c in CODES),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"the prediction sets of the seven classes cannot be read: {error!r}"
            ) from error


@dataclass(frozen=True)
class SetMeasures:
    """How prediction sets do on data that did not choose them; arrays ``(*batch, ...)``."""

    #: Share of images whose set holds the true class.
    coverage: FloatArray
    #: The same per class ``(*batch, 7)``; nan for a class without images.
    class_coverage: FloatArray
    #: Both with every lesion counting once, as in calibration, however many images it has.
    lesion_coverage: FloatArray
    class_lesion_coverage: FloatArray
    #: Share of all sets that name each class, true or not ``(*batch, 7)``.
    named: FloatArray
    #: Mean number of classes in a set.
    mean_size: FloatArray
    #: Share of sets with exactly one class, and with none.
    single: FloatArray
    empty: FloatArray


@dataclass(frozen=True)
class SetSummary:
    """The same with 95 % intervals by lesion; a class without images has nan."""

    #: Share of images whose set holds the true class.
    coverage: Estimate
    #: The same per class, by class order.
    class_coverage: tuple[Estimate, ...]
    #: Both with every lesion counting once, as in calibration, however many images it has.
    lesion_coverage: Estimate
    class_lesion_coverage: tuple[Estimate, ...]
    #: Share of all sets that name each class, true or not, by class order.
    named: tuple[Estimate, ...]
    #: Mean number of classes in a set.
    mean_size: Estimate
    #: Share of sets with exactly one class, and with none.
    single: Estimate
    empty: Estimate


def images_needed(coverage: float) -> int:
    """Return how many calibration images a class needs for a guarantee of its own.

    With n images the smallest possible p-value is ``1 / (n + 1)``, which must not exceed
    ``1 - coverage``: 9 images at 90 %, 19 at 95 %.

    Raises:
        ConfigError: ``coverage`` is not between 0 and 1.
    """
    return math.ceil(1 / (1 - checked_share(coverage, name="coverage")) - 1 - ROUNDING)


def one_image_per_lesion(groups: ArrayLike, *, rng: np.random.Generator) -> IntArray:
    """Return the index of one random image of every lesion, rising ``(lesions,)``.

    Several images of a lesion are not exchangeable with images of other lesions; the guarantee is
    exact if calibration sees each lesion once.

    Raises:
        DataError: groups are not one-dimensional.
    """
    names = checked_groups(groups, images=len(np.atleast_1d(groups)))
    shuffled = rng.permutation(len(names))
    _, first = np.unique(names[shuffled], return_index=True)
    return np.sort(shuffled[first])


def fit_conformal_sets(
    y_true: ArrayLike, probabilities: ArrayLike, *, coverage: float = 0.9
) -> ConformalSets:
    """Find the probability that each diagnosis must reach, on images kept apart for this.

    Args:
        y_true: labels ``(n,)`` of images that neither trained nor selected the network, nor fitted
            its temperature; one per lesion (``one_image_per_lesion``) for an exact guarantee.
        probabilities: ``(n, 7)``, with the temperature applied.
        coverage: promised share, between 0 and 1.

    Raises:
        DataError: labels and probabilities do not fit together.
        ConfigError: ``coverage`` is not between 0 and 1.
        MissingExtraError: crepes is not installed.
    """
    needed = images_needed(coverage)
    labels = checked_labels(y_true)
    chances = checked_probabilities(probabilities, images=len(labels), classes=len(CODES))
    given = chances[np.arange(len(labels)), labels]
    kept = _p_values(given, bins=labels) > 1 - coverage + ROUNDING
    counts = np.bincount(labels, minlength=len(CODES))
    together = 0.0  # so few images in all that nothing can be left out
    if len(labels) >= needed:
        one_bin = np.zeros_like(labels)
        together = float(given[_p_values(given, bins=one_bin) > 1 - coverage + ROUNDING].min())
    return ConformalSets(
        coverage=coverage,
        minimum_probability=tuple(
            float(given[kept & (labels == c)].min()) if counts[c] >= needed else together
            for c in range(len(CODES))
        ),
        calibration_images=tuple(int(count) for count in counts),
    )


def measure_sets(
    sets: ArrayLike,
    y_true: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    weights: ArrayLike | None = None,
) -> SetMeasures:
    """Measure coverage and size of prediction sets.

    Args:
        sets: which classes are in each set ``(n, 7)`` bool.
        y_true: labels ``(n,)``.
        groups: lesion of each image ``(n,)``; if absent, every image is another lesion.
        weights: multiplicities ``(*batch, n)``; one per image if absent.

    Raises:
        DataError: arrays that do not fit together.
    """
    members = np.asarray(sets, dtype=bool)
    labels = checked_labels(y_true, images=len(members))
    multiplicity = checked_weights(weights, images=len(labels))
    held = members[np.arange(len(labels)), labels]
    sizes = members.sum(axis=1)
    truth = np.eye(len(CODES))[labels]
    total = multiplicity.sum(axis=-1)
    by_lesion = multiplicity * _share_of_lesion(groups, len(labels))
    return SetMeasures(
        coverage=ratio(multiplicity @ held, total),
        class_coverage=ratio(multiplicity @ (truth * held[:, None]), multiplicity @ truth),
        lesion_coverage=ratio(by_lesion @ held, by_lesion.sum(axis=-1)),
        class_lesion_coverage=ratio(by_lesion @ (truth * held[:, None]), by_lesion @ truth),
        named=ratio(multiplicity @ members, total[..., None]),
        mean_size=ratio(multiplicity @ sizes, total),
        single=ratio(multiplicity @ (sizes == 1), total),
        empty=ratio(multiplicity @ (sizes == 0), total),
    )


def estimate_sets(
    sets: ArrayLike,
    y_true: ArrayLike,
    *,
    groups: ArrayLike,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> SetSummary:
    """Measure prediction sets with 95 % intervals by lesion; see ``measure_sets``.

    Args:
        sets: which classes are in each set ``(n, 7)`` bool.
        y_true: labels ``(n,)``.
        groups: lesion of each image ``(n,)``.
        rng: source of the resamples.
        resamples: number of resamples, at least 1.
    """
    result = bootstrap(
        lambda w: vars(measure_sets(sets, y_true, groups=groups, weights=w)),
        groups=groups,
        rng=rng,
        resamples=resamples,
    )

    def of_classes(name: str) -> tuple[Estimate, ...]:
        return tuple(result.estimate(name, place) for place in range(len(CODES)))

    return SetSummary(
        coverage=result.estimate("coverage"),
        class_coverage=of_classes("class_coverage"),
        lesion_coverage=result.estimate("lesion_coverage"),
        class_lesion_coverage=of_classes("class_lesion_coverage"),
        named=of_classes("named"),
        mean_size=result.estimate("mean_size"),
        single=result.estimate("single"),
        empty=result.estimate("empty"),
    )


def _share_of_lesion(groups: ArrayLike | None, images: int) -> FloatArray:
    """Return one over the number of images of each image's lesion ``(n,)``."""
    if groups is None:
        return np.ones(images)
    names = checked_groups(groups, images=images)
    _, place, counts = np.unique(names, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[place])


def _p_values(given: FloatArray, *, bins: IntArray) -> FloatArray:
    """Return the p-value that a new image of the same bin and probability would get ``(n,)``."""
    try:
        from crepes import ConformalClassifier  # noqa: PLC0415 (an optional library)
    except ImportError as error:
        raise MissingExtraError("Fitting prediction sets", extra="train") from error
    nonconformity = -given
    classifier = ConformalClassifier().fit(nonconformity, bins=bins)
    return np.asarray(classifier.predict_p(nonconformity, bins=bins, smoothing=False))
