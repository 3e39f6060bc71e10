"""The forms of an open case: whose lesion it is, and what it turned out to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import streamlit as st

from dermassist.cases import Case, CaseChangedError, Outcome
from dermassist.diagnosis import DIAGNOSES, Diagnosis
from dermassist.errors import DermAssistError
from dermassist.interfaces.web.patient_form import patient_form
from dermassist.interfaces.web.resources import case_book
from dermassist.interfaces.web.text import escaped
from dermassist.outcome import NONE_OF_THE_SEVEN, SOURCES, OutcomeSource
from dermassist.patient import LENGTH_LIMITS, PatientDetails

_FORMS, _DRAWN = "case forms", "case forms drawn"
_OTHER = f"{NONE_OF_THE_SEVEN} (say what in the remarks)"
_FINAL = [*map(str, DIAGNOSES), _OTHER]


@dataclass(frozen=True, eq=False)
class Form:
    """A form of the open case.

    Attributes:
        name: which one; what is typed into another one stays when this one is saved.
        case: from which it was drawn: all that its user has seen.
        key: of its fields; another one whenever it is drawn anew.
        said: why it was, where somebody must know.
        saved: when what it shows was stored from it; empty if it was not.
    """

    name: str
    case: Case
    key: str
    said: str = ""
    saved: str = ""


def forget_forms() -> None:
    """Draw both forms anew, from what is stored, when the page is next shown."""
    st.session_state.pop(_FORMS, None)


def form_of(name: str, case: Case) -> Form:
    """Return what a form was drawn from: what somebody else stored since was not seen."""
    form: Form | None = st.session_state.get(_FORMS, {}).get(name)
    if form is None or form.case.case_id != case.case_id:
        return _draw_anew(name, case)
    return form


def _draw_anew(name: str, case: Case, said: str = "", saved: str = "") -> Form:
    # Fields of another key forget what they held.
    drawn = st.session_state[_DRAWN] = st.session_state.get(_DRAWN, 0) + 1
    form = Form(name, case, f"{name} form {drawn}", said, saved)
    st.session_state[_FORMS] = {**st.session_state.get(_FORMS, {}), name: form}
    return form


def _save(change: Callable[[], Case], form: Form, entered: str) -> bool:
    """Write what was entered; return whether the form is to be drawn anew.

    What somebody else stored meanwhile must be seen first: the form then shows that, and says what
    was entered. After any other refusal the form stays as it is, to be corrected or sent again.
    """
    said, saved = "", ""
    try:
        case = change()
        saved = f"Saved at {datetime.now(UTC):%H:%M:%S} UTC."
    except CaseChangedError as error:
        case = case_book().load(form.case.case_id)
        said = f"{error}. Entered, but not saved: {entered}."
    except DermAssistError as error:
        st.error(escaped(f"Not saved: {error}", longest=600))
        return False
    _draw_anew(form.name, case, said, saved)
    return True


def _show_saved(form: Form) -> None:
    # The place is always there, so that nothing below moves and forgets what it held.
    place = st.empty()
    if form.saved:
        place.caption(form.saved)


def show_patient(form: Form) -> bool:
    """Draw the form; return whether it is to be drawn anew."""
    case = form.case
    st.subheader("Patient and lesion", anchor=False)
    with st.form("patient"):
        patient = patient_form(form.key, case.patient)
        asked = st.form_submit_button("Save details")
    _show_saved(form)
    if not asked or patient is None:
        return False
    given = patient
    return _save(
        lambda: case_book().record_patient(case.case_id, given, seen=case), form, _entries(given)
    )


def _entries(patient: PatientDetails) -> str:
    stated = (str(value) for value in patient.to_dict().values() if value not in {"", None})
    return ", ".join(stated) or "nothing"


def show_outcome(form: Form) -> bool:
    """Draw the form; return whether it is to be drawn anew."""
    st.subheader("What it turned out to be", anchor=False)
    known = form.case.outcome
    with st.form("outcome"):
        choice = st.selectbox(
            "Final diagnosis",
            _FINAL,
            index=None if known is None else _FINAL.index(_final(known.diagnosis)),
            placeholder="choose",
            key=f"{form.key} final",
        )
        source = st.segmented_control(
            "Known from",
            SOURCES,
            default=known.source if known is not None else SOURCES[0],
            required=True,
            key=f"{form.key} source",
        )
        found = "" if known is None else known.remarks
        remarks = st.text_area(
            "Remarks", found, max_chars=LENGTH_LIMITS["remarks"], key=f"{form.key} found"
        )
        asked = st.form_submit_button("Record")
    _show_saved(form)
    changed = False
    if asked and choice is None:
        st.error("Choose the final diagnosis first.")
    elif asked and choice is not None:
        diagnosis = None if choice == _OTHER else DIAGNOSES[_FINAL.index(choice)]
        changed = _save_outcome(diagnosis, source, remarks, form)
    if known is not None:
        changed = _show_recorded(known, form) or changed
    return changed


def _save_outcome(
    diagnosis: Diagnosis | None, source: OutcomeSource, remarks: str, form: Form
) -> bool:
    def change() -> Case:
        # It refuses some remarks.
        outcome = Outcome(diagnosis, source, remarks)
        return case_book().record_outcome(form.case.case_id, outcome, seen=form.case)

    entered = (_final(diagnosis), source, remarks)
    return _save(change, form, ", ".join(entry for entry in entered if entry))


def _show_recorded(known: Outcome, form: Form) -> bool:
    """Say what is recorded, and let it be taken back; return whether to draw the form anew."""
    line, button = st.columns((3, 1), vertical_alignment="center")
    line.caption(f"Recorded: {_final(known.diagnosis)}, {known.source}.")
    with button.popover("Take back"):
        st.markdown("The case then has no outcome, as before one was recorded.")
        asked = st.button("Take the outcome back", key=f"{form.key} back")
    if not asked:
        return False
    case = form.case
    return _save(
        lambda: case_book().record_outcome(case.case_id, None, seen=case), form, "no outcome"
    )


def _final(diagnosis: Diagnosis | None) -> str:
    return _OTHER if diagnosis is None else str(diagnosis)
