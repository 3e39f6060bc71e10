"""What was measured of a model, read from its manifest; ``None`` is "not measured"."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from dermassist.diagnosis import DIAGNOSES, Diagnosis
from dermassist.errors import DataError
from dermassist.evaluation.bootstrap import Estimate
from dermassist.evaluation.calibration import ReliabilityBins
from dermassist.evaluation.conformal import SetSummary
from dermassist.evaluation.decision import ReferralMeasures, SourceReferral
from dermassist.evaluation.document import from_document
from dermassist.evaluation.localisation import LocalisationSummary
from dermassist.evaluation.report import EvaluationReport
from dermassist.evaluation.summary import ClassSummary
from dermassist.model.manifest import Manifest

T = TypeVar("T")

#: Under which a manifest's metrics have the reliability of each answer.
ANSWERED_KEY = "answered"
#: Under which they have what the referral threshold does on each source.
SOURCES_KEY = "referral_by_source"
#: Fewer images than this say little.
FEW_IMAGES = 20


@dataclass(frozen=True)
class ConfidenceBin:
    """Test images that were answered about as confidently.

    Attributes:
        low: of the confidences, 0 to 1, excluded.
        high: of the confidences, 0 to 1, included.
        images: how many.
        right: share of them whose predicted diagnosis was the true one; nan without images.
        answer: which they were answered with; ``None`` for several.
        other_than: which they were not answered with; ``None`` for any answer.
    """

    low: float
    high: float
    images: int
    right: float
    answer: Diagnosis | None = None
    other_than: Diagnosis | None = None


@dataclass(frozen=True)
class Measured:
    """The evaluation that a manifest carries.

    Attributes:
        protocol: which images were answered, in words; empty where that was not written down.
        report: figures of merit with intervals.
        heatmaps: where the evidence lay, against lesion outlines.
        answered: reliability of the images that were given each diagnosis as their answer, in
            class order; ``None`` where an earlier version wrote the manifest.
        referral_by_source: what the referral threshold did on images of each source; none where
            that was not measured.
    """

    protocol: str
    report: EvaluationReport
    heatmaps: LocalisationSummary | None
    answered: tuple[ReliabilityBins, ...] | None = None
    referral_by_source: tuple[SourceReferral, ...] = ()

    def of_class(self, diagnosis: Diagnosis) -> ClassSummary:
        """Return the figures of one diagnosis."""
        return self.report.summary.classes[diagnosis.index]

    def confidence_bin(self, confidence: float, answer: Diagnosis) -> ConfidenceBin:
        """Return the test images that an answer may be compared with.

        Their confidence lay in the same bin, and they were given the same answer. Where fewer than
        ``FEW_IMAGES`` were, they are those with any answer but the commonest, which is right far
        more often than the others.

        Args:
            confidence: of the answer, 0 to 1.
            answer: which.
        """
        if self.answered is None:
            return _bin_at(confidence, (self.report.reliability,))
        own = replace(_bin_at(confidence, (self.answered[answer.index],)), answer=answer)
        commonest = commonest_answer(self.answered)
        if own.images >= FEW_IMAGES or answer is commonest:
            return own
        others = [self.answered[each.index] for each in DIAGNOSES if each is not commonest]
        return replace(_bin_at(confidence, others), other_than=commonest)


def commonest_answer(answered: Sequence[ReliabilityBins]) -> Diagnosis:
    """Return the diagnosis that most test images were answered with.

    Args:
        answered: as ``Measured.answered``.
    """
    return max(DIAGNOSES, key=lambda each: sum(answered[each.index].count))


def _bin_at(confidence: float, reliability: Sequence[ReliabilityBins]) -> ConfidenceBin:
    edges = reliability[0].edges
    place = min(max(bisect_left(edges, confidence) - 1, 0), len(edges) - 2)
    counts = [bins.count[place] for bins in reliability]
    images = sum(counts)
    # Empty bins have no accuracy.
    right = sum(
        count * bins.accuracy[place]
        for count, bins in zip(counts, reliability, strict=True)
        if count
    )
    share = right / images if images else math.nan
    return ConfidenceBin(low=edges[place], high=edges[place + 1], images=images, right=share)


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
        answered=_read_answered(metrics.get(ANSWERED_KEY)),
        referral_by_source=_read_sources(metrics.get(SOURCES_KEY, [])),
    )


def _read_answered(document: Any) -> tuple[ReliabilityBins, ...] | None:
    if document is None:
        return None
    if not isinstance(document, list) or len(document) != len(DIAGNOSES):
        raise DataError(f"the metrics' {ANSWERED_KEY} must be a list of {len(DIAGNOSES)}")
    return tuple(from_document(ReliabilityBins, each) for each in document)


def _read_sources(document: object) -> tuple[SourceReferral, ...]:
    if not isinstance(document, list):
        raise DataError(f"the metrics' {SOURCES_KEY} must be a list")
    return tuple(from_document(SourceReferral, each) for each in document)


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
