"""Every kept assessment: found, reopened, completed, exported, deleted."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import streamlit as st

from dermassist.cases import Case, CaseQuery, CaseSummary, Outcome, export_cases
from dermassist.cases.case import SOURCES
from dermassist.diagnosis import DIAGNOSES, Diagnosis
from dermassist.errors import DermAssistError
from dermassist.explain.words import percent
from dermassist.imaging import read_image
from dermassist.interfaces.web.downloads import File, download_link, offer
from dermassist.interfaces.web.patient_form import patient_form
from dermassist.interfaces.web.resources import case_book
from dermassist.interfaces.web.result_view import Shown, share_column, show_result
from dermassist.interfaces.web.text import escaped, visible

PAGE_SIZE = 50
_OPEN = "open case"
_OTHER = "none of the seven (say what in the remarks)"
_FINAL = [*map(str, DIAGNOSES), _OTHER]
_YES_NO = {"all": None, "yes": True, "no": False}


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
    st.markdown(f"{found} {'case' if found == 1 else 'cases'}, the newest first.")
    _show_table(shown)
    chosen = st.selectbox("Open a case", shown, index=None, format_func=_title, key="chosen")
    if chosen is not None and st.button("Open case", type="primary"):
        st.session_state[_OPEN] = chosen.case_id
        st.rerun()
    case_ids = [summary.case_id for summary in shown]
    exported = File("cases.zip", "application/zip", lambda: _archive(case_ids))
    place, _ = st.columns((1, 3))
    with place:
        download_link(f"Export these {len(shown)} as ZIP", offer("list", exported))


def _query() -> CaseQuery:
    text = st.text_input("Search", placeholder="file, patient, body site, remarks", key="search")
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


def _title(summary: CaseSummary) -> str:
    return (
        f"{summary.saved_at[:16].replace('T', ' ')} · {visible(summary.image_name, longest=40)} · "
        f"{summary.diagnosis.code.upper()} {percent(summary.confidence)} · {summary.case_id[:8]}"
    )


def _show_table(shown: Sequence[CaseSummary]) -> None:
    st.dataframe(
        [_cells(summary) for summary in shown],
        hide_index=True,
        column_config={
            "saved": "Saved (UTC)",
            "file": "File",
            "patient": "Patient",
            "answer": "Answer",
            "confidence": share_column("Confidence"),
            "malignancy": share_column("MEL, BCC, AKIEC"),
            "referral": "Referral advised",
            "outcome": "Outcome",
            "case": "Case",
        },
    )


def _cells(summary: CaseSummary) -> dict[str, Any]:
    outcome = summary.outcome
    if outcome is None:
        found = ""
    else:
        named = outcome.diagnosis.code.upper() if outcome.diagnosis is not None else "other"
        found = f"{named} ({outcome.source})"
    return {
        "saved": summary.saved_at[:16].replace("T", " "),
        "file": visible(summary.image_name, longest=60),
        "patient": visible(" ".join((summary.patient_id, summary.patient_name)).strip()),
        "answer": str(summary.diagnosis),
        "confidence": 100.0 * summary.confidence,
        "malignancy": 100.0 * summary.malignancy,
        "referral": {None: "not measured", True: "yes", False: "no"}[summary.referred],
        "outcome": found,
        "case": summary.case_id[:8],
    }


def _show_case(case_id: str) -> None:
    case, image = case_book().load(case_id), case_book().image(case_id)
    if st.button("Back to all cases"):
        del st.session_state[_OPEN]
        st.rerun()
    st.title(f"Case {case_id[:8]}", anchor=False)
    st.caption(f"Saved {case.saved_at[:19].replace('T', ' ')} UTC")
    show_result(Shown(case.assessment, image, read_image(image).pixels, case.patient))
    _show_patient(case)
    _show_outcome(case)
    _show_removal(case)


def _show_patient(case: Case) -> None:
    st.subheader("Patient and lesion", anchor=False)
    with st.form("patient"):
        patient = patient_form(f"case {case.case_id}", case.patient)
        if st.form_submit_button("Save details") and patient is not None:
            case_book().record_patient(case.case_id, patient)
            st.rerun()


def _show_outcome(case: Case) -> None:
    st.subheader("What it turned out to be", anchor=False)
    known = case.outcome
    with st.form("outcome"):
        choice = st.selectbox(
            "Final diagnosis",
            _FINAL,
            index=None if known is None else _FINAL.index(_final(known.diagnosis)),
            placeholder="choose",
        )
        source = st.segmented_control(
            "Known from",
            SOURCES,
            default=known.source if known is not None else SOURCES[0],
            required=True,
        )
        remarks = st.text_area("Remarks", known.remarks if known is not None else "")
        asked = st.form_submit_button("Record")
    if asked and choice is None:
        st.error("Choose the final diagnosis first.")
    elif asked and choice is not None:
        diagnosis = None if choice == _OTHER else DIAGNOSES[_FINAL.index(choice)]
        case_book().record_outcome(case.case_id, Outcome(diagnosis, source, remarks))
        st.rerun()
    if known is not None:
        st.caption(f"Recorded: {_final(known.diagnosis)}, {known.source}.")


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
            case_book().delete(case.case_id)
            del st.session_state[_OPEN]
            st.rerun()


def _archive(case_ids: Sequence[str]) -> bytes:
    packed = io.BytesIO()
    export_cases(case_book(), case_ids, packed)
    return packed.getvalue()
