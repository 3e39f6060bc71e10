"""From an assessment to what its report says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from dermassist.diagnosis import Diagnosis
from dermassist.errors import BundleError
from dermassist.explain.caution import SUBJECT_NOT_CHECKED, referral_line
from dermassist.explain.words import Words, explain_in_words, percent
from dermassist.hidden import hidden_shown
from dermassist.imaging import ImageSource, RasterImage
from dermassist.measured import read_figures
from dermassist.model.manifest import Manifest
from dermassist.outcome import Outcome
from dermassist.patient import PatientDetails
from dermassist.report.answering_model import same_model
from dermassist.report.clinical import SOURCES, cited, interpretation
from dermassist.report.closing import summary_section
from dermassist.report.content import (
    Block,
    Bullets,
    Facts,
    Figures,
    Headline,
    Paragraph,
    ReportContent,
    ReportOptions,
    Section,
    time_words,
)
from dermassist.report.finding import (
    UNREADABLE,
    Evidence,
    calibration,
    confidence_score,
    not_at_hand,
    prediction_set,
    probability_bars,
    referral_advice,
    reliability,
)
from dermassist.report.patient_page import patient_page
from dermassist.report.picture import explanation_figures, original_figure, read_original
from dermassist.results import Assessment, Explanation, Prediction
from dermassist.sample import SAMPLE_WORDS, is_sample

TITLE = "DermAssist AI report"
#: Characters of a patient's ID or name below every page; the first page has all of them.
_FOOTER_NAME = 40
NOTICE = (
    "For research and education on dermatoscopic images. This report is the output of a program, "
    "not a diagnosis: it must be read by a clinician."
)
_NOT_STATED = "not stated"
_DEFAULT_OPTIONS = ReportOptions()
_NO_PATIENT = PatientDetails()


@dataclass(frozen=True)
class _Case:
    """What the sections are written from."""

    assessment: Assessment
    patient: PatientDetails
    evidence: Evidence
    words: Words
    figures: Figures
    pixels: NDArray[np.uint8]


def build_report(
    assessment: Assessment,
    manifest: Manifest | None,
    *,
    image: ImageSource | RasterImage,
    patient: PatientDetails | None = None,
    explain: Diagnosis | None = None,
    options: ReportOptions = _DEFAULT_OPTIONS,
    clock: Callable[[], datetime] | None = None,
) -> ReportContent:
    """Put together what the report of one assessment says.

    Args:
        assessment: of the image.
        manifest: of the model that answered, for its measured numbers; ``None`` where that model
            is no longer at hand, and the report says so.
        image: the image that was assessed: its file, its bytes, what was read of it, or its pixels
            where those were assessed.
        patient: whose lesion it is, as far as stated.
        explain: whose evidence is shown; the predicted diagnosis by default.
        options: paper and optional parts.
        clock: gives the time of the report; by default the report bears the time of the
            assessment, so that the same assessment always makes the same file.

    Raises:
        ImageError: the image cannot be read or is not the one that was assessed.
        BundleError: the manifest is of another model than the one that answered, as
            ``same_model`` tells. Numbers that cannot be read, such as those that another version
            wrote, are left out, and the report says that they were.
    """
    _check_model(assessment, manifest)
    case = _case(_as_reported(assessment), manifest, image, patient, explain)
    created = assessment.created if clock is None else clock().isoformat(timespec="seconds")
    return ReportContent(
        title=TITLE,
        notice=NOTICE,
        created=created,
        paper=options.paper,
        footer=_footer(case.assessment, case.patient),
        sections=(
            Section("Patient Information", _patient_blocks(case.patient)),
            Section("Image Details", _image_blocks(case, manifest)),
            Section(
                "Model Classification Result",
                (*_outcome_blocks(options.outcome), *_classification_blocks(case)),
            ),
            Section("Confidence Level", _confidence_blocks(case)),
            Section("Explainable AI (Grad-CAM) Visualizations", _explanation_blocks(case)),
            summary_section(case.assessment, case.evidence, case.words, options),
        ),
        sources=tuple(source.text for source in SOURCES),
        patient_page=(
            patient_page(case.assessment, case.evidence, _spot(case), options.outcome)
            if options.patient_page
            else None
        ),
    )


def _as_reported(assessment: Assessment) -> Assessment:
    """Return what every report of an assessment is written from."""
    image, model = assessment.image, assessment.model
    return replace(
        assessment,
        # Kept to five decimals in saved cases: both ways must make the same pictures.
        explanation=Explanation.from_dict(assessment.explanation.to_dict()),
        # A name with a line break would add a line of its own to the report.
        image=replace(image, name=hidden_shown(image.name)),
        model=replace(model, name=hidden_shown(model.name), version=hidden_shown(model.version)),
    )


def _check_model(assessment: Assessment, manifest: Manifest | None) -> None:
    if manifest is None or same_model(assessment, manifest):
        return
    model = assessment.model
    named = f"{model.name} {model.version}"
    other = f"{manifest.name} {manifest.version}"
    raise BundleError(
        f"the image was answered by {named}, but the manifest is that of "
        f"{'another model called ' if named == other else ''}{other}, whose measured numbers say "
        "nothing about this answer; give the model that answered, or none"
    )


def _case(
    assessment: Assessment,
    manifest: Manifest | None,
    image: ImageSource | RasterImage,
    patient: PatientDetails | None,
    explain: Diagnosis | None,
) -> _Case:
    prediction, info = assessment.prediction, assessment.image
    known = read_figures(manifest)
    shown = explain or prediction.diagnosis
    pixels = read_original(image, info)
    return _Case(
        assessment=assessment,
        patient=patient or _NO_PATIENT,
        evidence=Evidence(prediction, manifest, known),
        words=explain_in_words(assessment, diagnosis=shown, measured=known.measured),
        figures=explanation_figures(pixels, assessment.explanation, shown, info),
        pixels=pixels,
    )


def _footer(assessment: Assessment, patient: PatientDetails) -> str:
    """Return what tells a page on its own from other patients' and other images'."""
    model = assessment.model
    parts = [f"image {assessment.image.sha256[:12]}", f"{model.name} {model.version}"]
    named = patient.patient_id or patient.name
    if named:
        # What does not fit is cut off at the end of the line, so this comes first.
        short = named if len(named) <= _FOOTER_NAME else f"{named[: _FOOTER_NAME - 3]}..."
        parts.insert(0, f"Patient {short}")
    return " | ".join(parts)


def _patient_blocks(patient: PatientDetails) -> tuple[Block, ...]:
    age = "" if patient.age_years is None else f"{patient.age_years} years"
    rows = [("Patient ID", patient.patient_id)]
    rows += [("Name", patient.name)] if patient.name else []
    rows += [
        ("Age", age),
        ("Sex", patient.sex or ""),
        ("Body site", patient.body_site),
        ("Remarks", patient.remarks),
    ]
    return (Facts(tuple((label, value or _NOT_STATED) for label, value in rows)),)


def _spot(case: _Case) -> Facts:
    """Return whose spot it is and which, for a page that is handed out alone."""
    patient = case.patient
    named = " ".join(part for part in (patient.patient_id, patient.name) if part)
    rows = (
        ("Patient", named or _NOT_STATED),
        ("Place on the body", patient.body_site or _NOT_STATED),
        ("Date", time_words(case.assessment.created)),
        ("File", case.assessment.image.name),
    )
    return Facts(rows, original_figure(case.pixels, caption="The picture of the spot"))


def _image_blocks(case: _Case, manifest: Manifest | None) -> tuple[Block, ...]:
    info, quality = case.assessment.image, case.assessment.quality
    rows = (
        ("File", info.name),
        ("Size", f"{info.width} x {info.height} pixels"),
        ("SHA-256", info.sha256),
        ("Assessed", time_words(case.assessment.created)),
        ("Sharpness", f"{quality.sharpness:.0f} (variance of the Laplacian)"),
        ("Brightness", f"{quality.brightness:.0f} of 255"),
        ("Over-exposed", f"{percent(quality.overexposed_share)} of the view"),
    )
    facts = Facts(rows, original_figure(case.pixels, caption="The assessed image"))
    drawn = (SAMPLE_WORDS,) if is_sample(info.sha256) else ()
    remarks = (*drawn, *(f"Image quality: {remark}" for remark in quality.remarks), *info.notes)
    warnings = tuple(Paragraph(remark, "warning") for remark in remarks)
    return (facts, *warnings, *_quality_verdict(case, manifest))


def _quality_verdict(case: _Case, manifest: Manifest | None) -> tuple[Block, ...]:
    if manifest is None or manifest.quality_reference is None:
        text = "Usual range of sharpness and exposure: not measured for this model."
    elif case.assessment.quality.remarks:
        text = ""
    else:
        judged = "Sharpness and exposure"
        if case.assessment.quality.stands_out is not None:
            judged = "Sharpness, exposure and contrast"
        text = f"{judged} are within the range of the training images."
    return (Paragraph(f"{text} {SUBJECT_NOT_CHECKED}".strip(), "note"),)


def _classification_blocks(case: _Case) -> tuple[Block, ...]:
    prediction = case.evidence.prediction
    diagnosis = prediction.diagnosis
    kind = "counts as malignant" if diagnosis.malignant else "is benign"
    statements = tuple(cited(statement) for statement in interpretation(diagnosis))
    return (
        Headline("Predicted Category", str(diagnosis), f"The most probable class; it {kind}"),
        *_referral_blocks(prediction),
        Paragraph("Clinical interpretation of this class in general:", "lead"),
        Bullets(statements),
        *_missing_figures(case),
        Paragraph("How reliable this model is for this class:", "lead"),
        Bullets(reliability(diagnosis, case.evidence.known.measured)),
    )


def _outcome_blocks(outcome: Outcome | None) -> tuple[Block, ...]:
    """Say what is known beside what the program answered without knowing it."""
    if outcome is None:
        return ()
    text = f"Outcome recorded: {outcome.words}. All below is what the program answered by itself."
    return (Paragraph(text, "warning"),)


def _referral_blocks(prediction: Prediction) -> tuple[Block, ...]:
    """Say beside the answer what must not be found only on a later page."""
    line = referral_line(prediction)
    if line is None or prediction.referral is None:
        return ()
    return (Paragraph(line, "warning" if prediction.referral.advised else "body"),)


def _missing_figures(case: _Case) -> tuple[Block, ...]:
    """Say why figures are called not measured, where that is not why they are missing."""
    if case.evidence.manifest is None:
        return (Paragraph(not_at_hand(case.assessment.model), "warning"),)
    if case.evidence.known.unreadable is not None:
        return (Paragraph(UNREADABLE, "warning"),)
    return ()


def _confidence_blocks(case: _Case) -> tuple[Block, ...]:
    prediction = case.evidence.prediction
    return (
        Headline("Confidence Score", confidence_score(prediction)),
        Paragraph(calibration(case.evidence)),
        probability_bars(prediction),
        *(Paragraph(sentence) for sentence in prediction_set(case.evidence)),
        *(Paragraph(sentence) for sentence in referral_advice(case.evidence)),
    )


def _explanation_blocks(case: _Case) -> tuple[Block, ...]:
    shown, predicted = case.words.diagnosis, case.evidence.prediction.diagnosis
    other: tuple[Block, ...] = ()
    if shown is not predicted:
        text = f"The pictures explain {shown}, as asked, not the predicted category {predicted}."
        other = (Paragraph(text, "warning"),)
    return (*other, case.figures, Paragraph(case.words.text))
