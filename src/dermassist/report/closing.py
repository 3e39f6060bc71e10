"""The end of a report: its summary for the reader's signature."""

from __future__ import annotations

from dermassist.explain.words import Words, percent
from dermassist.measured import Measured
from dermassist.report.clinical import LIMITS, cited
from dermassist.report.content import (
    Bullets,
    Facts,
    Paragraph,
    ReportOptions,
    Section,
    Signature,
    Table,
)
from dermassist.report.finding import NOT_MEASURED, Evidence, estimate_words, referral_value
from dermassist.results import Assessment, Prediction

#: The paper's heading, and whose summary it is.
SUMMARY_TITLE = "Final Diagnostic Summary (output of the program)"


def summary_section(
    assessment: Assessment, evidence: Evidence, words: Words, options: ReportOptions
) -> Section:
    """Return the paper's Table I, what the answer is worth, which model gave it, and who reads."""
    return Section(
        SUMMARY_TITLE,
        (
            output_table(evidence.prediction, words, options),
            Paragraph(
                "The lines above are the output of a program. The diagnosis is made by the "
                "clinician who signs below, from the patient, the history and, where needed, "
                "histology."
            ),
            Signature(("Clinician's diagnosis", "Name", "Date and signature")),
            Paragraph("Limits of this answer:", "lead"),
            Bullets(
                (*(cited(limit) for limit in LIMITS), *_heatmap_worth(evidence.known.measured))
            ),
            Facts(_model_rows(assessment, evidence)),
        ),
    )


def output_table(prediction: Prediction, words: Words, options: ReportOptions) -> Table:
    """Return the paper's Table I for this image, with referral and prediction set."""
    files = ", ".join(options.heatmap_files) or "Figures 2 and 3 of this report"
    drawn = f"Evidence for {words.diagnosis.code.upper()} drawn"
    if words.concentration is None:
        drawn = f"No evidence for {words.diagnosis.code.upper()} found, none drawn"
    members = prediction.prediction_set
    names = ", ".join(d.code.upper() for d in members.diagnoses) if members else NOT_MEASURED
    return Table(
        title="Table I. Output summary for this skin lesion",
        header=("Parameter", "Value", "Description"),
        rows=(
            ("Predicted Class", str(prediction.diagnosis), "The most probable class"),
            ("Confidence Score", percent(prediction.confidence), "Probability of the prediction"),
            ("Grad-CAM Status", "Successful", drawn),
            ("Heatmap Files", files, "Where the model found evidence"),
            ("Prediction Set", names or "empty", "Others are not excluded"),
            ("Referral", referral_value(prediction), "By the malignant classes together"),
        ),
    )


def _heatmap_worth(measured: Measured | None) -> tuple[str, ...]:
    if measured is None or measured.heatmaps is None:
        return (f"How often such heatmaps point at the lesion: {NOT_MEASURED} for this model.",)
    averages = measured.heatmaps.averages
    return (
        (
            f"In the test, the strongest evidence lay on the lesion in "
            f"{estimate_words(averages.peak)} of {measured.heatmaps.images:,} images; a spot drawn "
            f"blindly in the middle of each image reaches {estimate_words(averages.gaussian_peak)}."
        ),
    )


def _model_rows(assessment: Assessment, evidence: Evidence) -> tuple[tuple[str, str], ...]:
    model, manifest = assessment.model, evidence.manifest
    rows = [("Model", f"{model.name} {model.version}"), ("Model SHA-256", model.sha256)]
    if manifest is not None:
        rows += [
            ("Licence of the model", manifest.licence),
            ("Training data", manifest.attribution),
        ]
    rows.append(("Image SHA-256", assessment.image.sha256))
    return tuple(rows)
