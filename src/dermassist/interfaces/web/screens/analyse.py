"""One image: answer, evidence, report; kept in the case book."""

from __future__ import annotations

import time
from dataclasses import dataclass

import streamlit as st

from dermassist.assessment import assess
from dermassist.errors import DermAssistError
from dermassist.imaging import read_image
from dermassist.interfaces.app_settings import LARGEST_UPLOAD_MB
from dermassist.interfaces.web.patient_form import patient_form
from dermassist.interfaces.web.resources import case_book, model
from dermassist.interfaces.web.result_view import Shown, show_result
from dermassist.interfaces.web.text import escaped
from dermassist.patient import PatientDetails
from dermassist.sample import SAMPLE_NAME, sample_path

UPLOAD_TYPES = ["jpg", "jpeg", "png", "tif", "tiff", "bmp", "webp"]
_ANALYSIS = "analysis"
SAMPLE_WORDS = "This image was drawn by a program. It shows no patient and no disease."


@dataclass(frozen=True, eq=False)
class Analysis:
    """What this session looks at.

    Attributes:
        source: tells one upload from another.
        shown: the answered image, if it could be read.
        case_id: in the case book; ``None`` for the sample.
        error: why there is no answer, or why it was not saved.
    """

    source: str
    shown: Shown | None = None
    case_id: str | None = None
    error: str | None = None


def analyse_page() -> None:
    """Take an image and show its answer."""
    st.title("Analyse", anchor=False)
    with st.expander("Patient and lesion (optional; fill in before the image)"):
        patient = patient_form("analyse")
    given = _input()
    if given is not None and patient is not None:
        source, name, content = given
        if _current() is None or _current().source != source:  # type: ignore[union-attr] # checked before
            st.session_state[_ANALYSIS] = _analyse(source, name, content, patient)
    analysis = _current()
    if analysis is None:
        st.info("Choose an image to begin. Guide tells how to take one that can be assessed.")
        return
    _show(analysis)


def _current() -> Analysis | None:
    analysis: Analysis | None = st.session_state.get(_ANALYSIS)
    return analysis


def _input() -> tuple[str, str, bytes] | None:
    """Return source, name and content of a new image, if there is one."""
    upload_tab, camera_tab, sample_tab = st.tabs(["Upload", "Camera", "Sample"])
    with upload_tab:
        upload = st.file_uploader(
            f"Dermatoscopic image, up to {LARGEST_UPLOAD_MB} MB",
            type=UPLOAD_TYPES,
            max_upload_size=LARGEST_UPLOAD_MB,
            key="upload",
        )
    with camera_tab:
        # The camera starts only when asked: looking at a page must not switch it on.
        wanted = st.toggle("Use this device's camera", key="camera on")
        photo = st.camera_input("Photograph through a dermatoscope") if wanted else None
    with sample_tab:
        sample = st.button("Open the sample", key="sample")
    if sample:
        return f"sample {time.time_ns()}", SAMPLE_NAME, sample_path().read_bytes()
    for file in (photo, upload):
        if file is not None:
            return file.file_id, file.name, file.getvalue()
    return None


def _analyse(source: str, name: str, content: bytes, patient: PatientDetails) -> Analysis:
    started = time.perf_counter()
    try:
        assessment = assess(content, classifier=model().classifier, name=name)
        pixels = read_image(content, name=name).pixels
    except DermAssistError as error:
        return Analysis(source, error=str(error))
    seconds = time.perf_counter() - started
    shown = Shown(assessment, content, pixels, patient, seconds)
    if name == SAMPLE_NAME and source.startswith("sample"):
        return Analysis(source, shown)
    try:
        case = case_book().save(assessment, content, patient=patient)
    except DermAssistError as error:
        return Analysis(source, shown, error=f"Not saved in the case book: {error}")
    return Analysis(source, shown, case.case_id)


def _show(analysis: Analysis) -> None:
    if analysis.error is not None:
        st.error(escaped(analysis.error, longest=600))
    if analysis.shown is None:
        return
    if analysis.case_id is not None:
        st.success(f"Saved in the case book as {analysis.case_id[:8]}.")
    elif analysis.error is None:
        st.info(SAMPLE_WORDS)
    show_result(analysis.shown)
