"""The whole evaluation of one set of answers as one frozen result that can be saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dermassist.diagnosis import CODES
from dermassist.errors import DataError
from dermassist.evaluation.array import (
    FloatArray,
    IntArray,
    checked_labels,
    checked_probabilities,
)
from dermassist.evaluation.bootstrap import RESAMPLES
from dermassist.evaluation.calibration import (
    CalibrationReference,
    ReliabilityBins,
    calibration_reference,
    reliability_bins,
)
from dermassist.evaluation.confusion import confusion_matrix
from dermassist.evaluation.document import from_document, to_document
from dermassist.evaluation.malignancy import malignancy_curve
from dermassist.evaluation.ranking import RocCurve, roc_curve, sensitivity_on_grid
from dermassist.evaluation.subgroup import Metadata, Subgroup, summarise_subgroups
from dermassist.evaluation.summary import Summary, summarise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

#: Version of the document that ``to_dict`` writes.
SCHEMA = 1
MALIGNANCY = "malignancy"
#: False positive rates at which ROC curves are kept.
ROC_GRID = np.linspace(0, 1, 201)


@dataclass(frozen=True)
class RocLine:
    """The sensitivities of one score at the false positive rates of ``ROC_GRID``."""

    #: A class code, or ``MALIGNANCY`` for the summed malignant probability.
    name: str
    #: Highest sensitivity at no more than each false positive rate; nan for an absent class.
    sensitivity: tuple[float, ...]


@dataclass(frozen=True)
class EvaluationReport:
    """Everything that is reported of one set of answers.

    ``classes`` is the class order of every table; ``confusion`` has the true class in rows.
    """

    schema: int
    classes: tuple[str, ...]
    summary: Summary
    confusion: tuple[tuple[int, ...], ...]
    #: The seven classes in order, then malignancy.
    roc: tuple[RocLine, ...]
    reliability: ReliabilityBins
    calibration_reference: CalibrationReference
    subgroups: tuple[Subgroup, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe form; what could not be computed is ``None``."""
        document: dict[str, Any] = to_document(self)
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote.

        Raises:
            DataError: another schema or class order, or a document that is damaged.
        """
        found = (document.get("schema"), document.get("classes"))
        if found != (SCHEMA, list(CODES)):
            raise DataError(
                f"the report has schema and classes {found}, this version reads "
                f"{(SCHEMA, list(CODES))}: evaluate again"
            )
        return from_document(cls, document)

    def subgroups_of(self, attribute: str) -> tuple[Subgroup, ...]:
        """Return the subgroups of one attribute, such as ``sex`` or ``age_band``."""
        return tuple(group for group in self.subgroups if group.attribute == attribute)


def build_report(
    y_true: ArrayLike,
    probabilities: ArrayLike,
    *,
    groups: ArrayLike,
    rng: np.random.Generator,
    metadata: Metadata | None = None,
    resamples: int = RESAMPLES,
) -> EvaluationReport:
    """Evaluate a set of answers.

    Args:
        y_true: labels ``(n,)``, 0 to 6.
        probabilities: ``(n, 7)``; the predicted class is the first most probable one.
        groups: lesion of each image ``(n,)``.
        rng: source of resamples and simulations; the same state gives the same report.
        metadata: columns for subgroups.
        resamples: resamples behind each interval, and simulations of perfect calibration.

    Raises:
        DataError: arrays that do not fit together.
        ConfigError: ``resamples`` is below 1.
    """
    labels = checked_labels(y_true)
    chances = checked_probabilities(probabilities, images=len(labels), classes=len(CODES))
    counts = confusion_matrix(labels, chances.argmax(axis=1))
    return EvaluationReport(
        schema=SCHEMA,
        classes=CODES,
        summary=summarise(labels, chances, groups=groups, rng=rng, resamples=resamples),
        confusion=tuple(tuple(int(count) for count in row) for row in counts),
        roc=_roc_lines(labels, chances),
        reliability=reliability_bins(labels, chances),
        calibration_reference=calibration_reference(chances, rng=rng, simulations=resamples),
        subgroups=summarise_subgroups(
            labels,
            chances,
            groups=groups,
            metadata=metadata or Metadata(),
            rng=rng,
            resamples=resamples,
        ),
    )


def _roc_lines(labels: IntArray, chances: FloatArray) -> tuple[RocLine, ...]:
    curves = {code: roc_curve(labels == i, chances[:, i]) for i, code in enumerate(CODES)}
    curves[MALIGNANCY] = malignancy_curve(labels, chances)
    return tuple(RocLine(name, _thinned(curve)) for name, curve in curves.items())


def _thinned(curve: RocCurve) -> tuple[float, ...]:
    return tuple(sensitivity_on_grid(curve, ROC_GRID).tolist())
