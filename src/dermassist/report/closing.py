"""The end of a report: its summary for the reader's signature, and the page for the patient."""

from __future__ import annotations

from dermassist.explain.words import FEW_IMAGES, Words, percent
from dermassist.measured import Measured
from dermassist.report.clinical import LIMITS, cited, plain_words
from dermassist.report.content import (
    Bullets,
    Facts,
    Headline,
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
PATIENT_TITLE = "In plain words, for the patient"


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


def patient_page(evidence: Evidence, spot: Facts) -> Section:
    """Return a page without technical words.

    Args:
        evidence: what the sentences rest on.
        spot: whose and which spot it is; the page is handed out alone.
    """
    prediction = evidence.prediction
    return Section(
        PATIENT_TITLE,
        (
            spot,
            *_plain_warning(prediction),
            Paragraph(
                "A computer program looked at a picture of this spot on your skin, taken with a "
                "special magnifier. It learned from thousands of such pictures. It cannot examine "
                "you and knows nothing else about you.",
                "plain",
            ),
            Headline("The program's answer", prediction.diagnosis.full_name),
            Paragraph(plain_words(prediction.diagnosis).text, "plain"),
            Paragraph(_plain_confidence(prediction, evidence.known.measured), "plain"),
            Paragraph(_plain_referral(prediction), "plain"),
            Paragraph("What this means for you:", "plain"),
            Bullets(
                (
                    "This page is not a diagnosis. Such programs make mistakes, also when sure.",
                    "Your doctor decides what the spot is. Talk with them about this page.",
                    "If the spot changes or worries you, show it to a doctor in any case.",
                ),
                "plain",
            ),
        ),
    )


def _plain_warning(prediction: Prediction) -> tuple[Paragraph, ...]:
    """Say first what matters most; nothing where no visit is advised."""
    if prediction.referral is None or not prediction.referral.advised:
        return ()
    text = (
        "Please have this spot looked at by a skin doctor. The program cannot rule out skin cancer."
    )
    if not prediction.diagnosis.malignant:
        text += (
            " The kind that it found most likely is usually harmless, but other kinds, some of "
            "them cancer, are possible."
        )
    return (Paragraph(text, "warning"),)


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


def _plain_confidence(prediction: Prediction, measured: Measured | None) -> str:
    share = percent(prediction.confidence)
    second, next_share = prediction.ranked[1]
    runner_up = f"Its second choice is {second.full_name}, with {percent(next_share)}."
    cases = None if measured is None else measured.confidence_bin(prediction.confidence)
    if cases is not None and cases.images >= FEW_IMAGES:
        # What was counted, which need not be what the program expects of itself.
        return (
            f"The program says that it is {share} sure. In a test with other pictures, "
            f"{_of_hundred(cases.right)} of 100 answers that it gave about as surely were right. "
            f"{runner_up}"
        )
    if prediction.calibrated:
        return (
            f"The program says that it is {share} sure: of 100 pictures that it answers like this, "
            f"it expects {_of_hundred(prediction.confidence)} answers to be right. {runner_up}"
        )
    return (
        f"The program says that it is {share} sure, but nobody has measured how far this number "
        f"can be trusted. {runner_up}"
    )


def _of_hundred(share: float) -> str:
    """Never promise all of them."""
    count = round(100 * share)
    return "more than 99" if count == 100 else f"about {count}"


def _plain_referral(prediction: Prediction) -> str:
    referral = prediction.referral
    together = (
        f"The program gives {percent(prediction.malignancy)} to the three kinds that are, or can "
        "become, skin cancer."
    )
    if referral is None:
        return f"{together} From which number on a doctor should look was not measured."
    mark = f"From {percent(referral.threshold)} on it advises a visit to a skin doctor."
    if referral.advised:
        return f"{together} {mark}"
    return f"{together} {mark} A lower number does not mean that the spot is harmless."
