"""Every kept assessment: found, exported, opened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any

import streamlit as st

from dermassist.cases import CaseQuery, CaseSummary
from dermassist.cases.case import LONGEST_TEXT
from dermassist.diagnosis import DIAGNOSES
from dermassist.errors import DermAssistError
from dermassist.explain.words import percent
from dermassist.interfaces.web.downloads import File, download_link, offer
from dermassist.interfaces.web.resources import case_book
from dermassist.interfaces.web.screens.case import OPEN, archived, close_case, show_case
from dermassist.interfaces.web.share_table import share_table
from dermassist.interfaces.web.text import escaped, visible

PAGE_SIZE = 50
#: How many tables were drawn until a case was opened: a new one has no row chosen.
_TABLES = "case tables"
_YES_NO = {"all": None, "yes": True, "no": False}
_REFERRED = {None: "not measured", True: "yes", False: "no"}
_DAMAGED = "cannot be read"


def cases_page() -> None:
    """List the cases, or show the one that was opened."""
    case_id = st.session_state.get(OPEN)
    try:
        if case_id is None:
            _show_list()
        else:
            show_case(case_id)
    except DermAssistError as error:
        close_case()
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
    case_ids = [summary.case_id for summary in shown if not summary.damage]
    if len(case_ids) < len(shown):
        st.warning(
            f"{len(shown) - len(case_ids)} of these cannot be read: changed by another program, or "
            "of another version of this one. Open one to see what is left of it, or to delete it. "
            "The export leaves them out."
        )
    if not case_ids:
        return
    exported = File("cases.zip", "application/zip", lambda: archived(case_ids))
    place, _ = st.columns((1, 3))
    with place:
        download_link(f"Export these {len(case_ids)} as ZIP", offer("list", exported))


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
    st.session_state[OPEN] = case_id
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
        _answer(summary),
        visible(summary.image_name, longest=40),
        summary.case_id[:8],
    )
    return " · ".join(part for part in parts if part)


def _answer(summary: CaseSummary) -> str:
    if summary.diagnosis is None:
        return _DAMAGED
    return f"{summary.diagnosis.code.upper()} {percent(summary.confidence)}"


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
        "answer": str(summary.diagnosis or _DAMAGED),
        "confidence": summary.confidence,
        "malignancy": summary.malignancy,
        "referral": "" if summary.damage else _REFERRED[summary.referred],
        "outcome": found,
        "case": summary.case_id[:8],
    }
