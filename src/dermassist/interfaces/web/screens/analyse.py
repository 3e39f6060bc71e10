"""One image or several: answer, evidence, report; kept in the case book."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dermassist.errors import DermAssistError
from dermassist.explain.words import percent
from dermassist.imaging import read_image
from dermassist.imaging.decoding import ADVISED
from dermassist.interfaces.app_settings import LARGEST_UPLOAD_MB, MOST_ANALYSED
from dermassist.interfaces.web.belonging import mismatch_words, person_of
from dermassist.interfaces.web.patient_form import (
    forget_entries,
    forget_lesion,
    lesion_entries,
    patient_form,
    patient_line,
)
from dermassist.interfaces.web.proportions import assess_file, proportions_field
from dermassist.interfaces.web.resources import case_book
from dermassist.interfaces.web.result_view import Shown, show_result
from dermassist.interfaces.web.text import escaped, visible
from dermassist.interfaces.web.unanswered import unanswered_words
from dermassist.outcome import Outcome
from dermassist.patient import PatientDetails
from dermassist.results import Assessment
from dermassist.sample import SAMPLE_NAME, SAMPLE_WORDS, sample_path

UPLOAD_TYPES = [ending for endings in ADVISED.values() for ending in endings]
_ANALYSES, _ROUND, _INTAKES, _NUMBERS = "analyses", "round", "intakes", "image numbers"
_LOOKED_AT, _OPENED = "looked at", "opened"
#: Whether no answer is shown until there is a new one or one is asked for again, and which is.
_HIDDEN, _SEEN_AGAIN = "answers hidden", "seen again"
#: How many patients came before, which tells their forms apart, and what the last form said.
_PATIENTS, _STATED = "patients", "stated"


@dataclass(frozen=True, eq=False)
class Given:
    """An image that this session was handed."""

    name: str
    content: bytes
    is_sample: bool = False
    #: Width over height that it had, should it be square now.
    proportions: float = 1.0


@dataclass(frozen=True, eq=False)
class Analysis:
    """An answered image of this session.

    Attributes:
        number: counts this session's images.
        assessment: of the image.
        patient: as far as stated, when it was answered; the case book has what was corrected.
        seconds: that the answer took.
        case_id: in the case book, which then holds the image.
        content: the image, where the case book does not hold it.
        error: why it was not saved.
    """

    number: int
    assessment: Assessment
    patient: PatientDetails
    seconds: float
    case_id: str | None = None
    content: bytes | None = None
    error: str | None = None


@dataclass(eq=False)
class Round:
    """The images that were given last, and how far their answering has come.

    Attributes:
        names: of the files, in order.
        done: how many of them were answered or refused.
        refused: why, for each that was.
        first: number of the first answered one until it is looked at.
        kept: numbers of those that the case book holds.
        body_site: with which they were kept.
        entered: what the form said of the lesion, by field, until it is emptied of that.
    """

    names: tuple[str, ...]
    done: int = 0
    refused: list[str] = field(default_factory=list)
    first: int | None = None
    kept: list[int] = field(default_factory=list)
    body_site: str = ""
    entered: dict[str, str] = field(default_factory=dict)

    def forget(self) -> None:
        """Drop what is shown and known of the patient; why images were refused stays."""
        self.first, self.body_site = None, ""
        self.entered.clear()


def analyse_page() -> None:
    """Take images and show their answers, one at a time."""
    st.title("Analyse", anchor=False)
    patient = _patient()
    given = _input()
    if given and patient is not None:
        _take(given, patient)
        st.rerun()
    if given:
        # Nothing below: an earlier answer would seem to be that of these images.
        st.error("Correct the patient's details first; then the images are answered.")
        return
    latest = _latest()
    _show_unanswered(latest)
    analyses: Sequence[Analysis] = st.session_state.get(_ANALYSES, ())
    if latest.first is not None:
        _look_at(latest.first)
        latest.first = None
    if not analyses:
        st.info("Choose an image to begin. Guide tells how to take one that can be assessed.")
        return
    chosen = _chosen(analyses)
    if chosen is None:
        st.info("Answers given before are under Cases.")
    else:
        _show(chosen)


def _latest() -> Round:
    latest: Round = st.session_state.get(_ROUND, Round(()))
    return latest


def _show_unanswered(latest: Round) -> None:
    stopped = unanswered_words(latest.names, latest.done)
    if stopped is not None:
        st.error(escaped(stopped, longest=1000))
    for reason in latest.refused:
        st.error(escaped(reason, longest=600))


def _patient() -> PatientDetails | None:
    """Return whose lesion the next images show; keep it in sight, so that nobody gets another's."""
    filled = st.session_state.get(_PATIENTS, 0)
    latest = _latest()
    if latest.kept and latest.done == len(latest.names):
        # The next image may show another lesion of the patient; what was not answered does not.
        forget_lesion(latest.entered)
        latest.entered.clear()
    with st.expander("Patient and lesion (optional; fill in before the images)"):
        # Whoever looks at another page between two images of a patient has not changed patients.
        patient = patient_form(_form_key(filled), lasting="session")
    st.session_state[_STATED] = patient
    # A place of its own, so that what stands below stays where it is: an upload under way is lost
    # when its field moves.
    with st.container():
        if patient is not None and patient.stated:
            line, button = st.columns((4, 1), vertical_alignment="center")
            line.info(f"The next images are kept for: **{patient_line(patient)}**")
            if button.button("Next patient", width="stretch"):
                _begin_next_patient()
                st.rerun()
    return patient


def _form_key(filled: int) -> str:
    return f"analyse {filled}"


def _begin_next_patient() -> None:
    """Draw empty fields and no answer next, and drop what the fields before them held."""
    filled = st.session_state.get(_PATIENTS, 0)
    st.session_state[_PATIENTS] = filled + 1
    st.session_state[_HIDDEN] = True
    _latest().forget()
    st.session_state.pop(_STATED, None)
    forget_entries(_form_key(filled))


def _input() -> list[Given]:
    """Return the images that are new."""
    # A new key empties what was taken: it neither comes twice nor stays in memory.
    intake = st.session_state.get(_INTAKES, 0)
    upload_tab, camera_tab, sample_tab = st.tabs(["Upload", "Camera", "Sample"])
    with upload_tab:
        files: list[Any] = st.file_uploader(
            f"Dermatoscopic images, up to {LARGEST_UPLOAD_MB} MB each",
            type=UPLOAD_TYPES,
            accept_multiple_files=True,
            max_upload_size=LARGEST_UPLOAD_MB,
            key=f"upload {intake}",
        )
        proportions = proportions_field("proportions")
    with camera_tab:
        # The camera starts only when asked: looking at a page must not switch it on.
        wanted = st.toggle("Use this device's camera", key="camera on")
        photo = (
            st.camera_input("Photograph through a dermatoscope", key=f"camera {intake}")
            if wanted
            else None
        )
    with sample_tab:
        sample = st.button("Open the sample", key="sample")
    given = [Given(file.name, file.getvalue(), proportions=proportions) for file in files]
    if photo is not None:
        given.append(Given(photo.name, photo.getvalue()))
    if sample:
        given.append(Given(SAMPLE_NAME, sample_path().read_bytes(), is_sample=True))
    return given


def _take(given: Sequence[Given], patient: PatientDetails) -> None:
    """Answer and keep what was given; the first of it is looked at next.

    Where none of it is answered, no earlier answer must seem to be that of what was refused.
    """
    st.session_state[_HIDDEN] = True
    taken = given if len(given) <= MOST_ANALYSED else ()
    latest = st.session_state[_ROUND] = Round(
        tuple(image.name for image in taken),
        body_site=patient.body_site,
        entered=lesion_entries(_form_key(st.session_state.get(_PATIENTS, 0))),
    )
    st.session_state[_INTAKES] = st.session_state.get(_INTAKES, 0) + 1
    if taken:
        _answer_all(taken, patient, latest)
    else:
        latest.refused.append(
            f"{len(given)} images are too many here: choose {MOST_ANALYSED} at most, or Batch."
        )


def _answer_all(given: Sequence[Given], patient: PatientDetails, latest: Round) -> None:
    # A click meanwhile ends this at its next touch of the page or of the session's state. So each
    # result is put at once where the next drawing finds it, without such a touch.
    analyses: list[Analysis] = st.session_state.setdefault(_ANALYSES, [])
    numbers: Iterator[int] = st.session_state.setdefault(_NUMBERS, count(1))
    bar = st.progress(0.0) if len(given) > 1 else None
    for image in given:
        try:
            answered = _answer(image, patient, numbers)
        except DermAssistError as error:
            latest.refused.append(str(error))
        else:
            latest.first = latest.first or answered.number
            analyses.insert(answered.number - latest.first, answered)
            del analyses[MOST_ANALYSED:]
            latest.kept += [answered.number] if answered.case_id is not None else []
        latest.done += 1
        if bar is not None:
            bar.progress(latest.done / len(given), f"{latest.done} of {len(given)}")


def _answer(image: Given, patient: PatientDetails, numbers: Iterator[int]) -> Analysis:
    started = time.perf_counter()
    assessment = assess_file(image.content, name=image.name, proportions=image.proportions)
    seconds = time.perf_counter() - started
    answered = Analysis(next(numbers), assessment, patient, seconds, content=image.content)
    if image.is_sample:
        return answered
    try:
        case = case_book().save(assessment, image.content, patient=patient)
    except DermAssistError as error:
        return replace(answered, error=f"Not saved in the case book: {error}")
    return replace(answered, case_id=case.case_id, content=None)


def _look_at(number: int) -> None:
    st.session_state[_LOOKED_AT] = number
    st.session_state.pop(_HIDDEN, None)


def _look_again() -> None:
    """Show the answer that was asked for while none was shown."""
    if st.session_state[_SEEN_AGAIN] is not None:
        _look_at(st.session_state[_SEEN_AGAIN])


def _chosen(analyses: Sequence[Analysis]) -> Analysis | None:
    """Return the analysis to look at, if any; let the user choose where there is a choice."""
    hidden: bool = st.session_state.get(_HIDDEN, False)
    if len(analyses) == 1 and not hidden:
        return analyses[0]
    by_number = {analysis.number: analysis for analysis in analyses}
    number: int | None = st.selectbox(
        f"Image ({len(analyses)} at hand; all that were saved are under Cases)",
        list(by_number),
        index=None if hidden else 0,
        format_func=lambda number: f"{number}. {_title(by_number[number])}",
        key=_SEEN_AGAIN if hidden else _LOOKED_AT,
        on_change=_look_again if hidden else None,
        placeholder="none is shown",
    )
    return None if number is None else by_number[number]


def _title(analysis: Analysis) -> str:
    prediction = analysis.assessment.prediction
    name = visible(analysis.assessment.image.name, longest=60)
    return f"{name} · {prediction.diagnosis} {percent(prediction.confidence)}"


def _show(analysis: Analysis) -> None:
    try:
        shown = _opened(analysis)
    except DermAssistError as error:
        # Deleted under Cases meanwhile: then it is gone from here too.
        st.error(escaped(str(error), longest=600))
        return
    if analysis.case_id is None and analysis.error is None:
        st.info(SAMPLE_WORDS)
    else:
        _show_mismatch(shown.patient)
    if analysis.error is not None:
        st.error(escaped(analysis.error, longest=600))
    elif analysis.case_id is not None:
        st.success(f"Saved in the case book as {analysis.case_id[:8]}.{_shared_site(analysis)}")
    show_result(shown)


def _show_mismatch(patient: PatientDetails) -> None:
    stated: PatientDetails | None = st.session_state.get(_STATED)
    words = None if stated is None else mismatch_words(patient, stated)
    if words is not None:
        st.warning(escaped(words, longest=800))


def _shared_site(analysis: Analysis) -> str:
    """Say that all images of the latest round were kept with one body site."""
    latest = _latest()
    if analysis.number not in latest.kept or len(latest.kept) == 1 or not latest.body_site:
        return ""
    all_of_them = "Both" if len(latest.kept) == 2 else f"All {len(latest.kept)}"
    return (
        f" {all_of_them} images were kept with the body site {escaped(latest.body_site)}; correct "
        "it under Cases where it is another."
    )


def _opened(analysis: Analysis) -> Shown:
    """Return what to draw; only the image looked at is kept decoded."""
    opened: tuple[int, NDArray[np.uint8]] | None = st.session_state.pop(_OPENED, None)
    content, patient, outcome = _kept(analysis)
    if opened is None or opened[0] != analysis.number:
        name = analysis.assessment.image.name
        opened = (analysis.number, read_image(content, name=name).pixels)
    st.session_state[_OPENED] = opened
    return Shown(
        analysis.assessment,
        content,
        opened[1],
        patient,
        analysis.seconds,
        analysis.case_id,
        outcome,
    )


def _kept(analysis: Analysis) -> tuple[bytes, PatientDetails, Outcome | None]:
    """Return the image, whose it is and its outcome, from the case book where that holds them.

    Read at every drawing, which tells what was corrected meanwhile, and whether the case is still
    there.
    """
    if analysis.content is not None:
        return analysis.content, analysis.patient, None
    case_id = analysis.case_id or ""
    case = case_book().load(case_id)
    return case_book().image(case_id), case.patient, case.outcome


def forget_analysis(case_id: str, patient: PatientDetails) -> None:
    """Drop a deleted case, and its patient's details, from what this session has at hand."""
    analyses: list[Analysis] = st.session_state.get(_ANALYSES, [])
    # They may have been corrected under Cases since.
    its_patients = [patient, *(a.patient for a in analyses if a.case_id == case_id)]
    stated: PatientDetails | None = st.session_state.get(_STATED)
    person = None if stated is None else person_of(stated)
    if person is not None and person.stated and person in map(person_of, its_patients):
        _begin_next_patient()
    analyses[:] = [analysis for analysis in analyses if analysis.case_id != case_id]
    for name in (_OPENED, _LOOKED_AT):
        st.session_state.pop(name, None)
    _latest().forget()
