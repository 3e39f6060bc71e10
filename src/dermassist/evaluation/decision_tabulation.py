"""Tables of what a model's rules and heatmaps were measured to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dermassist.diagnosis import CODES, ISIC_2018_ORDER, Diagnosis
from dermassist.evaluation.table import Table, format_estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dermassist.evaluation.bootstrap import Estimate
    from dermassist.evaluation.conformal import SetSummary
    from dermassist.evaluation.decision import ReferralMeasures, SourceReferral
    from dermassist.evaluation.localisation import LocalisationSummary

_MEASURED = ("Measure", "Value [95 % interval]")
_REFERRAL_ROWS = {
    "sensitivity": "Malignant images referred (sensitivity)",
    "melanoma_sensitivity": "Melanomas referred",
    "specificity": "Benign images not referred (specificity)",
    "referred": "Images referred in all",
}
_SET_ROWS = {
    "mean_size": "Diagnoses in a set, mean",
    "single": "Sets of one diagnosis",
    "empty": "Empty sets",
}

_PROMISE = (
    "The promise is about one image of a lesion, as in calibration: the share by lesion. By image, "
    "a lesion with many images counts many times."
)


def calibration_table(before: Estimate, after: Estimate, *, networks: int = 1) -> Table:
    """Return the calibration error without and with the temperature.

    Args:
        before: without it.
        after: with it. Give the report's own, so that one error is not printed with the intervals
            of two draws.
        networks: whose answers are pooled; the title says so where there are several.
    """
    rows = (
        ("Without temperature", format_estimate(before)),
        ("With temperature", format_estimate(after)),
    )
    title = f"Expected calibration error (15 bins){pooled_title(networks)}"
    return Table(title, _MEASURED, rows)


def pooled_title(networks: int) -> str:
    """Return what to add to a title where answers of several networks are pooled."""
    return f", answers of {networks} networks pooled" if networks > 1 else ""


def own_errors(own: Sequence[float], pooled: float) -> str:
    """Return a sentence on the calibration error of a network, which pooling several hides.

    Args:
        own: expected calibration error of each network's own answers.
        pooled: that of all answers together.
    """
    return (
        f"A network's own calibration error is {np.mean(own):.3f} in the mean, {min(own):.3f} to "
        f"{max(own):.3f}. Pooled it is {pooled:.3f}, because errors of different networks cancel "
        "and more images scatter less."
    )


def referral_table(measures: ReferralMeasures[Estimate]) -> Table:
    """Return what the referral threshold does."""
    rows = tuple(
        (label, format_estimate(getattr(measures, name))) for name, label in _REFERRAL_ROWS.items()
    )
    return Table("Referral at the threshold chosen on validation", _MEASURED, rows)


def source_referral_table(sources: Sequence[SourceReferral]) -> Table:
    """Return what the referral threshold does on images of each source."""
    rows = tuple(
        (
            each.source,
            str(each.malignant_images),
            format_estimate(each.measures.sensitivity),
            str(each.benign_images),
            format_estimate(each.measures.specificity),
        )
        for each in sources
    )
    header = ("Source", "Malignant images", "Referred", "Benign images", "Not referred")
    return Table("Referral by source", header, rows)


def set_table(summary: SetSummary) -> Table:
    """Return how large prediction sets are and how often they hold the truth, by class too."""
    rows: list[tuple[str, ...]] = [
        (
            "Sets that hold the true diagnosis",
            format_estimate(summary.coverage),
            format_estimate(summary.lesion_coverage),
            "",
        )
    ]
    rows += [
        (
            f"Covered: {Diagnosis.from_code(code)}",
            *(
                format_estimate(shares[CODES.index(code)])
                for shares in (summary.class_coverage, summary.class_lesion_coverage, summary.named)
            ),
        )
        for code in ISIC_2018_ORDER
    ]
    rows += [
        (label, format_estimate(getattr(summary, name)), "", "")
        for name, label in _SET_ROWS.items()
    ]
    header = ("Measure", "By image [95 % interval]", "By lesion", "Of all sets, those that name it")
    return Table("Prediction sets", header, tuple(rows), (_PROMISE,))


def heatmap_table(summary: LocalisationSummary) -> Table:
    """Return where heatmaps peak, beside a spot drawn in the middle of every image."""
    a = summary.averages
    rows = (
        ("Peak inside the lesion mask", format_estimate(a.peak), format_estimate(a.gaussian_peak)),
        (
            "Share of the evidence inside the mask",
            format_estimate(a.energy),
            format_estimate(a.gaussian_energy),
        ),
    )
    title = f"Heatmaps of the predicted diagnosis, {summary.images} images"
    return Table(title, ("Measure", "Grad-CAM", "Centred Gaussian"), rows)
