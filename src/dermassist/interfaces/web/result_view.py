"""One answered image on the screen."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dermassist.diagnosis import Diagnosis
from dermassist.explain.overlay import (
    OPACITY,
    blend,
    colours,
    render_heatmap,
    render_overlay,
)
from dermassist.explain.words import explain_in_words, percent, set_caveat
from dermassist.interfaces.web.charts import probability_chart, probability_words
from dermassist.interfaces.web.downloads import File, download_link, offer
from dermassist.interfaces.web.patient_form import patient_line
from dermassist.interfaces.web.resources import case_book, model
from dermassist.interfaces.web.text import escaped, unbroken
from dermassist.measured import Measured
from dermassist.model.manifest import Manifest
from dermassist.patient import PatientDetails
from dermassist.report import (
    DEFAULT_NAME,
    UNREADABLE,
    ReportOptions,
    build_report,
    not_at_hand,
    render_pdf,
    same_model,
    unprinted_characters,
)
from dermassist.results import Assessment, Prediction

HEATMAP_NAME = "gradcam_output.png"
OVERLAY_NAME = "gradcam_overlay.png"
ASSESSMENT_NAME = "assessment.json"


@dataclass(frozen=True, eq=False)
class Shown:
    """What the page shows.

    Attributes:
        assessment: of the image.
        image: encoded, as it was given.
        pixels: of the upright image ``(H, W, 3)`` uint8.
        patient: as far as stated.
        seconds: that the answer took; ``None`` for one from the case book.
        case_id: in the case book; ``None`` for what is not kept there.
    """

    assessment: Assessment
    image: bytes
    pixels: NDArray[np.uint8]
    patient: PatientDetails
    seconds: float | None = None
    case_id: str | None = None


@dataclass(frozen=True)
class Choice:
    """What of the evidence the user wants to see: whose, also against it, how strongly."""

    explained: Diagnosis
    signed: bool
    opacity: float


def show_result(shown: Shown) -> None:
    """Draw the answer, the pictures and the downloads."""
    answer, pictures = st.columns((5, 6), gap="large")
    with pictures:
        choice = _choose(shown.assessment)
    # Before the pictures, so that downloads follow a choice as soon as can be.
    with st.container():
        _show_downloads(shown, choice)
    with answer:
        _show_answer(shown)
    with pictures:
        _show_pictures(shown, choice)


def manifest_of(assessment: Assessment) -> Manifest | None:
    """Return the loaded model's manifest, if it is that of the model that answered."""
    manifest = model().classifier.manifest
    return manifest if same_model(assessment, manifest) else None


def measured_of(assessment: Assessment) -> Measured | None:
    """Return what was measured of the model that answered, if that is the loaded one."""
    return model().known.measured if manifest_of(assessment) is not None else None


def _show_answer(shown: Shown) -> None:
    assessment, prediction = shown.assessment, shown.assessment.prediction
    st.subheader(str(prediction.diagnosis), anchor=False)
    st.markdown(escaped(prediction.diagnosis.summary, longest=400))
    kind = "calibrated" if prediction.calibrated else "not calibrated"
    confidence, malignant = st.columns(2)
    confidence.metric(f"Confidence ({kind})", percent(prediction.confidence))
    malignant.metric("MEL, BCC and AKIEC together", percent(prediction.malignancy))
    _show_referral(assessment)
    st.altair_chart(
        probability_chart(prediction), width="stretch", alt=probability_words(prediction)
    )
    _show_set(prediction)
    if manifest_of(assessment) is None:
        st.warning(escaped(not_at_hand(assessment.model), longest=400))
    elif model().known.unreadable is not None:
        st.warning(UNREADABLE)
    for remark in (*assessment.quality.remarks, *assessment.image.notes):
        st.warning(escaped(remark, longest=400), icon=":material/visibility:")
    if shown.patient.stated:
        st.markdown(f"**Patient:** {patient_line(shown.patient)}")
    took = f", answered in {shown.seconds:.2f} s" if shown.seconds is not None else ""
    st.caption(
        f"{escaped(assessment.image.name)}, {assessment.image.width} x {assessment.image.height} "
        f"pixels{took}. Model {escaped(assessment.model.name)} "
        f"{escaped(assessment.model.version)}. Not a diagnosis."
    )


def _show_referral(assessment: Assessment) -> None:
    prediction = assessment.prediction
    referral = prediction.referral
    if referral is None:
        st.info("A referral threshold was not measured for this model.")
        return
    relation = "reach" if referral.advised else "are below"
    text = (
        f"**{'Referral advised' if referral.advised else 'Below the referral threshold'}.** "
        f"The malignant diagnoses together ({percent(prediction.malignancy)}) {relation} the "
        f"threshold of {percent(referral.threshold)}, chosen on validation lesions to find "
        f"{percent(referral.target_sensitivity)} of the malignant ones. "
    )
    # The answer stands without the figures of another version.
    measured = model().known.referral if manifest_of(assessment) is not None else None
    if measured is None:
        text += "Its sensitivity and specificity on test lesions: not measured."
    else:
        text += (
            f"On test lesions it found {percent(measured.sensitivity.value)} of the malignant "
            f"images (sensitivity) and left {percent(measured.specificity.value)} of the benign "
            "ones unreferred (specificity)."
        )
    if not referral.advised:
        text += " Below the threshold is not the same as harmless."
    (st.warning if referral.advised else st.info)(unbroken(text))


def _show_set(prediction: Prediction) -> None:
    members = prediction.prediction_set
    if members is None:
        st.markdown("**Prediction set:** not measured for this model.")
        return
    names = ", ".join(str(diagnosis) for diagnosis in members.diagnoses) or "none of the seven"
    title = unbroken(f"Cannot be excluded ({percent(members.coverage)} prediction set)")
    st.markdown(f"**{title}:** {names}")
    caveat = set_caveat(prediction)
    if caveat is not None:
        st.warning(caveat)
    if members.not_guaranteed:
        small = ", ".join(diagnosis.code.upper() for diagnosis in members.not_guaranteed)
        st.caption(f"Not guaranteed for {small}: too few lesions to calibrate on.")


def _choose(assessment: Assessment) -> Choice:
    ranked = [diagnosis for diagnosis, _ in assessment.prediction.ranked]
    # Every image begins with the predicted diagnosis, whatever was looked at in the one before.
    key = f"explained {assessment.image.sha256}"
    explained: Diagnosis = st.selectbox("Explain", ranked, format_func=str, key=key)
    choices, strength = st.columns(2)
    signed = choices.toggle("Evidence against as well", key="signed")
    opacity = strength.slider("Opacity", 0.0, 1.0, OPACITY, 0.05, key="opacity")
    return Choice(explained, signed, opacity)


def _show_pictures(shown: Shown, choice: Choice) -> None:
    assessment, explained, signed = shown.assessment, choice.explained, choice.signed
    overlay = blend(
        shown.pixels, assessment.explanation, explained, signed=signed, opacity=choice.opacity
    )
    left, right = st.columns(2)
    left.image(shown.pixels, caption="Original", width="stretch", alt="The image as given")
    measured = measured_of(assessment)
    words = explain_in_words(assessment, diagnosis=explained, measured=measured)
    right.image(overlay, caption=f"Evidence for {explained}", width="stretch", alt=words.location)
    _show_scale(assessment.explanation.scale, signed=signed)
    st.markdown(unbroken(escaped(words.text, longest=2000)))


def _show_scale(scale: float, *, signed: bool) -> None:
    low = -scale if signed else 0.0
    levels = np.linspace(low, scale, 400, dtype=np.float32)
    strip = np.tile(colours(levels, scale, signed=signed)[None], (10, 1, 1))
    st.image(strip, width="stretch", alt="Colour scale")
    ends = "evidence against, none (white), evidence for" if signed else "no evidence to strong"
    st.caption(
        f"Colours: {ends}; from {low:.1f} to {scale:.1f} logits or more, the same for every image."
    )


def _show_downloads(shown: Shown, choice: Choice) -> None:
    st.divider()
    place, *links = st.columns((3, 2, 2, 2, 2), vertical_alignment="bottom")
    with place:
        options = _choose_report()
    missing = _unprinted(shown)
    if missing:
        st.warning(
            f"No installed font has {', '.join(missing)}: the report shows these as code points."
        )
    for column, (label, file) in zip(links, _files(shown, choice, options).items(), strict=True):
        with column:
            download_link(label, offer(label, file))


def _choose_report() -> ReportOptions:
    paper = st.segmented_control("Paper", ("A4", "Letter"), default="A4", required=True)
    patient_page = st.checkbox("Add a page in plain words for the patient")
    return ReportOptions(paper=paper or "A4", patient_page=patient_page)


def _files(shown: Shown, choice: Choice, options: ReportOptions) -> dict[str, File]:
    """Return what can be downloaded, by label."""
    assessment, explained = shown.assessment, choice.explained
    info, explanation = assessment.image, assessment.explanation

    def pdf() -> bytes:
        return make_pdf(shown, explained, options)

    def overlay() -> bytes:
        return render_overlay(
            shown.pixels, explanation, explained, signed=choice.signed, opacity=choice.opacity
        )

    def heatmap() -> bytes:
        return render_heatmap(
            explanation, explained, width=info.width, height=info.height, signed=choice.signed
        )

    def record() -> bytes:
        return (json.dumps(assessment.to_dict(), indent=1) + "\n").encode()

    return {
        "PDF report": File(DEFAULT_NAME, "application/pdf", _while_kept(shown, pdf)),
        "Overlay": File(OVERLAY_NAME, "image/png", _while_kept(shown, overlay)),
        "Heatmap": File(HEATMAP_NAME, "image/png", _while_kept(shown, heatmap)),
        "JSON": File(ASSESSMENT_NAME, "application/json", _while_kept(shown, record)),
    }


def _while_kept(shown: Shown, make: Callable[[], bytes]) -> Callable[[], bytes]:
    """Return what makes a file, until the case is deleted, in whatever session."""

    def made() -> bytes:
        if shown.case_id is not None:
            # Refuses one that is gone.
            case_book().load(shown.case_id)
        return make()

    return made


def _unprinted(shown: Shown) -> tuple[str, ...]:
    """Return the code points of the patient's details that the report cannot print."""
    # Every bundled font has ASCII, so nothing needs to be laid out to know.
    if str(shown.patient.to_dict()).isascii():
        return ()
    content = build_report(shown.assessment, None, image=shown.image, patient=shown.patient)
    return tuple(f"U+{ord(character):04X}" for character in unprinted_characters(content))


def make_pdf(shown: Shown, explained: Diagnosis | None, options: ReportOptions) -> bytes:
    """Return the report of an answered image."""
    content = build_report(
        shown.assessment,
        manifest_of(shown.assessment),
        image=shown.image,
        patient=shown.patient,
        explain=explained,
        options=options,
    )
    return render_pdf(content)
