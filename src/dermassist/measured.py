"""What was measured of a model, read from its manifest; ``None`` is "not measured"."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from dermassist.diagnosis import Diagnosis
from dermassist.errors import DataError
from dermassist.evaluation.bootstrap import Estimate
from dermassist.evaluation.conformal import SetSummary
from dermassist.evaluation.decision import ReferralMeasures
from dermassist.evaluation.document import from_document
from dermassist.evaluation.localisation import LocalisationSummary
from dermassist.evaluation.report import EvaluationReport
from dermassist.evaluation.summary import ClassSummary
from dermassist.model.manifest import Manifest

T = TypeVar("T")


@dataclass(frozen=True)
class ConfidenceBin:
    """Test images that were answered about as confidently.

    Attributes:
        low: of the confidences, 0 to 1, excluded.
        high: of the confidences, 0 to 1, included.
        images: how many.
        right: share of them whose predicted diagnosis was the true one; nan without images.
    """

    low: float
    high: float
    images: int
    right: float


@dataclass(frozen=True)
class Measured:
    """The evaluation that a manifest carries.

    Attributes:
        protocol: which images were answered, in words; empty where that was not written down.
        report: figures of merit with intervals.
        heatmaps: where the evidence lay, against lesion outlines.
    """

    protocol: str
    report: EvaluationReport
    heatmaps: LocalisationSummary | None

    def of_class(self, diagnosis: Diagnosis) -> ClassSummary:
        """Return the figures of one diagnosis."""
        return self.report.summary.classes[diagnosis.index]

    def confidence_bin(self, confidence: float) -> ConfidenceBin:
        """Return the test images whose confidence, 0 to 1, lay in the same bin."""
        bins = self.report.reliability
        place = min(max(bisect_left(bins.edges, confidence) - 1, 0), len(bins.count) - 1)
        return ConfidenceBin(
            low=bins.edges[place],
            high=bins.edges[place + 1],
            images=bins.count[place],
            right=bins.accuracy[place],
        )


@dataclass(frozen=True)
class KnownFigures:
    """What was measured of a model; ``None`` where nothing was, or nothing that can be read.

    Attributes:
        measured: its evaluation.
        referral: what the referral threshold does on test images.
        sets: what the prediction sets hold on test images.
        unreadable: why some of it cannot be read, such as what another version wrote; ``None``
            where all can, or there is none.
    """

    measured: Measured | None
    referral: ReferralMeasures[Estimate] | None
    sets: SetSummary | None
    unreadable: str | None = None


def read_measured(manifest: Manifest | None) -> Measured | None:
    """Return what a manifest says was measured on images that the model was not trained on.

    Raises:
        DataError: its metrics are of another version or damaged.
    """
    if manifest is None or manifest.metrics is None:
        return None
    metrics = manifest.metrics
    heatmaps = metrics.get("heatmaps")
    return Measured(
        protocol=str(metrics.get("protocol", "")),
        report=EvaluationReport.from_dict(metrics.get("report", metrics)),
        heatmaps=None if heatmaps is None else from_document(LocalisationSummary, heatmaps),
    )


def read_referral(manifest: Manifest | None) -> ReferralMeasures[Estimate] | None:
    """Return what the referral threshold does on test images.

    Raises:
        DataError: the measures are damaged.
    """
    if manifest is None or manifest.referral is None or not manifest.referral.measured:
        return None
    document: Mapping[str, Any] = manifest.referral.measured
    # The alias carries its type argument, which the reader needs and type checkers cannot spell.
    kind: Any = ReferralMeasures[Estimate]
    measures = from_document(kind, dict(document))
    if not isinstance(measures, ReferralMeasures):
        raise DataError("the measures of the referral threshold cannot be read")
    return measures


def read_sets(manifest: Manifest | None) -> SetSummary | None:
    """Return what the prediction sets hold on test images.

    Raises:
        DataError: the measures are damaged.
    """
    if manifest is None or manifest.conformal is None or not manifest.conformal.measured:
        return None
    return from_document(SetSummary, dict(manifest.conformal.measured))


def read_figures(manifest: Manifest | None) -> KnownFigures:
    """Return what can be read of all that was measured of a model."""
    lost: list[str] = []

    def known(read: Callable[[Manifest | None], T | None]) -> T | None:
        try:
            return read(manifest)
        except DataError as error:
            lost.append(str(error))
            return None

    figures = KnownFigures(known(read_measured), known(read_referral), known(read_sets))
    return replace(figures, unreadable=lost[0]) if lost else figures
