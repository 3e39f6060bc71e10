"""One answered image on the screen."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

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
from dermassist.explain.words import explain_in_words, percent
from dermassist.interfaces.web.answer_view import show_answer
from dermassist.interfaces.web.belonging import belonging_line
from dermassist.interfaces.web.downloads import File, download_link, offer
from dermassist.interfaces.web.file_name import file_name
from dermassist.interfaces.web.known import manifest_of, measured_of
from dermassist.interfaces.web.resources import case_book
from dermassist.interfaces.web.text import escaped, unbroken
from dermassist.outcome import Outcome
from dermassist.patient import PatientDetails
from dermassist.report import (
    DEFAULT_NAME,
    ReportOptions,
    build_report,
    render_pdf,
    unprinted_characters,
)
from dermassist.results import Assessment
from dermassist.sample import is_sample

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
        outcome: what the lesion turned out to be, where that is recorded.
    """

    assessment: Assessment
    image: bytes
    pixels: NDArray[np.uint8]
    patient: PatientDetails
    seconds: float | None = None
    case_id: str | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True)
class Choice:
    """What of the evidence the user wants to see: whose, also against it, how strongly."""

    explained: Diagnosis
    signed: bool
    opacity: float


def show_result(shown: Shown) -> None:
    """Draw whose answer it is, what is known by now, the answer, the pictures, the downloads."""
    _show_belonging(shown)
    _show_outcome(shown)
    answer, pictures = st.columns((5, 6), gap="large")
    with pictures:
        choice = _choose(shown.assessment)
    # Before the pictures, so that downloads follow a choice as soon as can be.
    with st.container():
        _show_downloads(shown, choice)
    with answer:
        show_answer(shown.assessment, seconds=shown.seconds)
    with pictures:
        _show_pictures(shown, choice)


def _show_belonging(shown: Shown) -> None:
    info = shown.assessment.image
    # The bundled sample is nobody's, as is said beside it.
    if shown.patient.stated or shown.case_id is not None or not is_sample(info.sha256):
        st.markdown(belonging_line(shown.patient, info.name))


def _show_outcome(shown: Shown) -> None:
    if shown.outcome is None:
        return
    prediction = shown.assessment.prediction
    st.info(
        f"**Outcome recorded:** {escaped(shown.outcome.words, longest=600)}. The program "
        f"answered: {prediction.diagnosis}, {unbroken(percent(prediction.confidence))}."
    )


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
        shown.pixels,
        assessment.explanation,
        explained,
        info=assessment.image,
        signed=signed,
        opacity=choice.opacity,
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
            shown.pixels,
            explanation,
            explained,
            info=info,
            signed=choice.signed,
            opacity=choice.opacity,
        )

    def heatmap() -> bytes:
        return render_heatmap(
            explanation, explained, width=info.width, height=info.height, signed=choice.signed
        )

    def record() -> bytes:
        return (json.dumps(assessment.to_dict(), indent=1) + "\n").encode()

    return {
        "PDF report": File(_named(shown, DEFAULT_NAME), "application/pdf", _while_kept(shown, pdf)),
        "Overlay": File(_named(shown, OVERLAY_NAME), "image/png", _while_kept(shown, overlay)),
        "Heatmap": File(_named(shown, HEATMAP_NAME), "image/png", _while_kept(shown, heatmap)),
        "JSON": File(
            _named(shown, ASSESSMENT_NAME), "application/json", _while_kept(shown, record)
        ),
    }


def _named(shown: Shown, kind: str) -> str:
    """Return a name that tells the files of several answers apart."""
    known = Path(kind)
    return file_name(shown.assessment.image.name, shown.case_id, known.suffix, begin=known.stem)


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
    # Every bundled font has ASCII, so no font needs to be opened to know.
    if str(shown.patient.to_dict()).isascii():
        return ()
    missing = unprinted_characters(shown.patient)
    return tuple(f"U+{ord(character):04X}" for character in missing)


def make_pdf(shown: Shown, explained: Diagnosis | None, options: ReportOptions) -> bytes:
    """Return the report of an answered image."""
    content = build_report(
        shown.assessment,
        manifest_of(shown.assessment),
        image=shown.image,
        patient=shown.patient,
        explain=explained,
        options=replace(options, outcome=shown.outcome),
    )
    return render_pdf(content)
