"""All figures of merit of one set of answers, each with its 95 % interval by lesion."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from dermassist.diagnosis import CODES
from dermassist.evaluation.array import (
    FloatArray,
    checked_groups,
    checked_labels,
    checked_probabilities,
)
from dermassist.evaluation.bootstrap import RESAMPLES, Bootstrap, Estimate, bootstrap
from dermassist.evaluation.metrics import Overall, PerClass, measure, scored_classes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

OVERALL_MEASURES = tuple(field.name for field in fields(Overall))
#: Of these, what resampling raises, whose interval must not be that of percentiles.
GROWING = frozenset({"calibration_error"})
CLASS_MEASURES = tuple(field.name for field in fields(PerClass))


@dataclass(frozen=True)
class ClassSummary:
    """One row of the table of classes."""

    code: str
    images: int
    lesions: int
    #: Whether it has enough images to be scored; if not its measures are nan.
    scored: bool
    measures: PerClass[Estimate]


@dataclass(frozen=True)
class Summary:
    """Every figure of merit of one set of images."""

    images: int
    lesions: int
    resamples: int
    overall: Overall[Estimate]
    #: All seven classes, in the order of ``CODES``.
    classes: tuple[ClassSummary, ...]

    @property
    def scored(self) -> tuple[str, ...]:
        """Codes of the classes that averages run over."""
        return tuple(row.code for row in self.classes if row.scored)

    @property
    def not_scored(self) -> tuple[str, ...]:
        """Codes of the classes with too few images, or none."""
        return tuple(row.code for row in self.classes if not row.scored)

    @property
    def never_predicted(self) -> tuple[str, ...]:
        """Codes of scored classes without a single prediction: their precision is undefined."""
        return tuple(
            row.code
            for row in self.classes
            if row.scored and np.isnan(row.measures.precision.value)
        )

    @property
    def missed(self) -> dict[str, int]:
        """How many resamples held no image of a scored class, where any did."""
        counts = {
            row.code: self.resamples - row.measures.recall.resamples
            for row in self.classes
            if row.scored
        }
        return {code: count for code, count in counts.items() if count}


def summarise(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    *,
    groups: ArrayLike,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    minimum_images: int = 1,
) -> Summary:
    """Compute every figure of merit with its interval.

    Args:
        y_true: labels ``(n,)``, 0 to 6.
        probabilities: ``(n, 7)``.
        groups: lesion of each image ``(n,)``.
        rng: source of the resamples.
        resamples: number of resamples, at least 1.
        minimum_images: a class with fewer images is not scored.

    Raises:
        DataError: labels, probabilities and groups do not fit together.
        ConfigError: ``resamples`` or ``minimum_images`` is below 1.
    """
    labels = checked_labels(y_true)
    chances = checked_probabilities(probabilities, images=len(labels), classes=len(CODES))
    lesions = checked_groups(groups, images=len(labels))
    scored = scored_classes(labels, minimum_images=minimum_images)

    def statistic(weights: FloatArray) -> dict[str, FloatArray]:
        measured = measure(labels, chances, weights=weights, minimum_images=minimum_images)
        return {**vars(measured.overall), **vars(measured.per_class)}

    result = bootstrap(statistic, groups=lesions, rng=rng, resamples=resamples)
    return Summary(
        images=len(labels),
        lesions=len(np.unique(lesions)),
        resamples=resamples,
        overall=Overall(
            **{name: result.estimate(name, grows=name in GROWING) for name in OVERALL_MEASURES}
        ),
        classes=tuple(
            _class_summary(result, place, lesions=lesions[labels == place], scored=scored[place])
            for place in range(len(CODES))
        ),
    )


def _class_summary(
    result: Bootstrap, place: int, *, lesions: NDArray[Any], scored: bool
) -> ClassSummary:
    """Return the row of a class from the lesions of its images."""
    return ClassSummary(
        code=CODES[place],
        images=len(lesions),
        lesions=len(np.unique(lesions)),
        scored=bool(scored),
        measures=PerClass(**{name: result.estimate(name, place) for name in CLASS_MEASURES}),
    )
