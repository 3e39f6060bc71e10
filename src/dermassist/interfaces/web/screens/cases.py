"""Every kept assessment: found, reopened, completed, exported, deleted."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

import streamlit as st

from dermassist.cases import (
    Case,
    CaseChangedError,
    CaseQuery,
    CaseSummary,
    Outcome,
    export_cases,
)
from dermassist.cases.case import LONGEST_TEXT, SOURCES, OutcomeSource
from dermassist.diagnosis import DIAGNOSES, Diagnosis
from dermassist.errors import DermAssistError
from dermassist.explain.words import percent
from dermassist.imaging import read_image
from dermassist.interfaces.web.belonging import who
from dermassist.interfaces.web.downloads import File, download_link, offer, withdraw_all
from dermassist.interfaces.web.patient_form import patient_form
from dermassist.interfaces.web.resources import case_book
from dermassist.interfaces.web.result_view import Shown, show_result
from dermassist.interfaces.web.screens.analyse import forget_analysis
from dermassist.interfaces.web.screens.batch import forget_row
from dermassist.interfaces.web.share_table import share_table
from dermassist.interfaces.web.text import escaped, unbroken, visible
from dermassist.patient import LENGTH_LIMITS, PatientDetails

PAGE_SIZE = 50
_OPEN, _FORMS, _DRAWN = "open case", "case forms", "case forms drawn"
#: How many tables were drawn until a case was opened: a new one has no row chosen.
_TABLES = "case tables"
_NONE = "none of the seven"
_OTHER = f"{_NONE} (say what in the remarks)"
_FINAL = [*map(str, DIAGNOSES), _OTHER]
_YES_NO = {"all": None, "yes": True, "no": False}


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


def cases_page() -> None:
    """List the cases, or show the one that was opened."""
    case_id = st.session_state.get(_OPEN)
    try:
        if case_id is None:
            _show_list()
        else:
            _show_case(case_id)
    except DermAssistError as error:
        st.session_state.pop(_OPEN, None)
        forget_forms()
        st.error(escaped(str(error), longest=400))


def _show_list() -> None:
    st.title("Cases", anchor=False)
    query = _query()
    found = case_book().count(query)
    if found == 0:
        st.info("No case fits. Every image answered under Analyse or Batch is kept here.")
        return
    pages = -(-found // PAGE_SIZE)
    page = st.number_input("Page", 1, pages, 1, key="page") if pages > 1 else 1
    shown = case_book().search(
        CaseQuery(**{**vars(query), "limit": PAGE_SIZE, "offset": (int(page) - 1) * PAGE_SIZE})
    )
    counted = f"{found} {'case' if found == 1 else 'cases'}"
    st.markdown(f"{counted}, the newest first. Tick a row to open it.")
    _show_table(shown)
    chosen = st.selectbox("Open a case", shown, index=None, format_func=_title, key="chosen")
    if chosen is not None and st.button("Open case", type="primary"):
        _open(chosen.case_id)
        st.rerun()
    case_ids = [summary.case_id for summary in shown]
    exported = File("cases.zip", "application/zip", lambda: _archive(case_ids))
    place, _ = st.columns((1, 3))
    with place:
        download_link(f"Export these {len(shown)} as ZIP", offer("list", exported))


def _query() -> CaseQuery:
    text = st.text_input(
        "Search",
        max_chars=LONGEST_TEXT,
        placeholder="file, patient, body site, remarks, case",
        key="search",
    )
    columns = st.columns(4)
    diagnosis = columns[0].selectbox(
        "Answered", DIAGNOSES, index=None, format_func=str, placeholder="any", key="answered"
    )
    referred = columns[1].selectbox("Referral advised", list(_YES_NO), key="referred")
    outcome = columns[2].selectbox("Outcome recorded", list(_YES_NO), key="outcome recorded")
    days: Any = columns[3].date_input("Saved", value=[], key="saved")
    since, until = _period(days)
    return CaseQuery(
        text=text,
        diagnosis=diagnosis,
        has_outcome=_YES_NO[outcome],
        referred=_YES_NO[referred],
        since=since,
        until=until,
    )


def _period(days: Sequence[date]) -> tuple[datetime | None, datetime | None]:
    """Return the first moment of the first day and the last of the last, in UTC."""
    if not days:
        return None, None
    first, last = min(days), max(days)
    return (
        datetime.combine(first, time.min, UTC),
        datetime.combine(last, time.min, UTC) + timedelta(days=1),
    )


def _open(case_id: str) -> None:
    st.session_state[_OPEN] = case_id
    st.session_state[_TABLES] = st.session_state.get(_TABLES, 0) + 1


def _open_row(key: str, case_ids: Sequence[str]) -> None:
    """Open the case whose row was chosen in a table of these."""
    rows: Sequence[int] = st.session_state[key].selection.rows
    if rows:
        _open(case_ids[rows[0]])


def _title(summary: CaseSummary) -> str:
    """Return one line that begins with whose case it is, as far as stated."""
    parts = (
        visible(_owner(summary), longest=60),
        summary.saved_at[:16].replace("T", " "),
        f"{summary.diagnosis.code.upper()} {percent(summary.confidence)}",
        visible(summary.image_name, longest=40),
        summary.case_id[:8],
    )
    return " · ".join(part for part in parts if part)


def _owner(summary: CaseSummary) -> str:
    return " ".join(part for part in (summary.patient_id, summary.patient_name) if part)


def _show_table(shown: Sequence[CaseSummary]) -> None:
    key = f"case table {st.session_state.get(_TABLES, 0)}"
    st.dataframe(
        share_table([_cells(summary) for summary in shown], ("confidence", "malignancy")),
        hide_index=True,
        column_config={
            "patient": "Patient",
            "saved": "Saved (UTC)",
            "file": "File",
            "answer": "Answer",
            "confidence": st.column_config.NumberColumn("Confidence"),
            "malignancy": st.column_config.NumberColumn("MEL, BCC, AKIEC"),
            "referral": "Referral advised",
            "outcome": "Outcome",
            "case": "Case",
        },
        # Of the list as it was drawn: somebody may have saved another case since.
        on_select=partial(_open_row, key, [summary.case_id for summary in shown]),
        selection_mode="single-row",
        key=key,
    )


def _cells(summary: CaseSummary) -> dict[str, Any]:
    outcome = summary.outcome
    if outcome is None:
        found = ""
    else:
        named = outcome.diagnosis.code.upper() if outcome.diagnosis is not None else "other"
        found = f"{named} ({outcome.source})"
    return {
        "patient": visible(_owner(summary)),
        "saved": summary.saved_at[:16].replace("T", " "),
        "file": visible(summary.image_name, longest=60),
        "answer": str(summary.diagnosis),
        "confidence": summary.confidence,
        "malignancy": summary.malignancy,
        "referral": {None: "not measured", True: "yes", False: "no"}[summary.referred],
        "outcome": found,
        "case": summary.case_id[:8],
    }


def _show_case(case_id: str) -> None:
    case, image = case_book().load(case_id), case_book().image(case_id)
    if st.button("Back to all cases"):
        forget_forms()
        del st.session_state[_OPEN]
        st.rerun()
    _show_heading(case)
    patient, outcome = _form("patient", case), _form("outcome", case)
    for form in (patient, outcome):
        if form.said:
            st.error(escaped(form.said, longest=6000))
    pixels = read_image(image).pixels
    known = "" if case.outcome is None else _outcome_words(case.outcome)
    show_result(Shown(case.assessment, image, pixels, case.patient, case_id=case_id, outcome=known))
    renewed = [_show_patient(patient), _show_outcome(outcome)]
    _show_removal(case)
    # Last: fields that are not drawn before forget what was typed into them.
    if any(renewed):
        st.rerun()


def _show_heading(case: Case) -> None:
    number, saved = f"Case {case.case_id[:8]}", case.saved_at[:19].replace("T", " ")
    owner = who(case.patient.patient_id, case.patient.name)
    st.title(escaped(owner) if owner else number, anchor=False)
    st.caption(f"{number}, saved {saved} UTC")
    if case.outcome is None:
        return
    prediction = case.assessment.prediction
    st.info(
        f"**Outcome recorded:** {escaped(_outcome_words(case.outcome), longest=600)}. The program "
        f"answered: {prediction.diagnosis}, {unbroken(percent(prediction.confidence))}."
    )


def _outcome_words(outcome: Outcome) -> str:
    if outcome.diagnosis is not None:
        return f"{outcome.diagnosis}, {outcome.source}"
    said = f": {outcome.remarks}" if outcome.remarks else ""
    return f"{_NONE}{said}, {outcome.source}"


def _form(name: str, case: Case) -> Form:
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


def _show_patient(form: Form) -> bool:
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


def _show_outcome(form: Form) -> bool:
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


def _show_removal(case: Case) -> None:
    export, delete, _ = st.columns((1, 1, 2))
    exported = File(f"{case.case_id}.zip", "application/zip", lambda: _archive([case.case_id]))
    with export:
        download_link("Export this case as ZIP", offer("case", exported))
    with delete.popover("Delete for good"):
        st.markdown("The case and its image are deleted for good. This cannot be undone.")
        if st.button("Delete", type="primary"):
            try:
                case_book().delete(case.case_id)
            finally:
                # Also where traces stay in the journal: the case itself is gone by then.
                _forget(case)
            st.rerun()


def _forget(case: Case) -> None:
    """Drop all that this session holds of a deleted case."""
    withdraw_all()
    forget_analysis(case)
    forget_row(case.case_id)
    forget_forms()
    st.session_state.pop(_OPEN, None)


def _archive(case_ids: Sequence[str]) -> bytes:
    packed = io.BytesIO()
    export_cases(case_book(), case_ids, packed)
    return packed.getvalue()
