"""One kept assessment: shown again, completed, exported, deleted."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from dermassist.cases import Case, export_cases
from dermassist.errors import CaseError, DermAssistError
from dermassist.imaging import read_image
from dermassist.interfaces.web.belonging import who
from dermassist.interfaces.web.case_forms import (
    forget_forms,
    form_of,
    show_outcome,
    show_patient,
)
from dermassist.interfaces.web.downloads import File, download_link, offer, withdraw_all
from dermassist.interfaces.web.resources import case_book
from dermassist.interfaces.web.result_view import Shown, show_result
from dermassist.interfaces.web.screens.analyse import forget_analysis
from dermassist.interfaces.web.screens.batch import forget_row
from dermassist.interfaces.web.text import escaped
from dermassist.patient import PatientDetails

#: Where the session keeps which case is open.
OPEN = "open case"
#: The hash of its image and that decoded, which is not to be repeated at every drawing.
_DECODED = "case pixels"
_NOBODY = PatientDetails()


def show_case(case_id: str) -> None:
    """Show the case that is open.

    Raises:
        CaseError: it was deleted, or the case book cannot be read.
    """
    try:
        case, image, pixels = _opened(case_id)
    except DermAssistError as error:
        if not case_book().holds(case_id):
            raise
        _show_damaged(case_id, error)
        return
    _show_way_back()
    _show_heading(case)
    patient, outcome = form_of("patient", case), form_of("outcome", case)
    for form in (patient, outcome):
        if form.said:
            st.error(escaped(form.said, longest=6000))
    show_result(
        Shown(
            case.assessment,
            image,
            pixels,
            case.patient,
            case_id=case_id,
            outcome=case.outcome,
        )
    )
    renewed = [show_patient(patient), show_outcome(outcome)]
    export, delete, _ = st.columns((1, 1, 2))
    exported = File(f"{case_id}.zip", "application/zip", lambda: archived([case_id]))
    with export:
        download_link("Export this case as ZIP", offer("case", exported))
    with delete:
        _show_removal(case_id, case.patient)
    # Last: fields that are not drawn before forget what was typed into them.
    if any(renewed):
        st.rerun()


def _opened(case_id: str) -> tuple[Case, bytes, NDArray[np.uint8]]:
    """Return a case as it is stored now, its image, and that decoded, which alone is kept."""
    decoded: tuple[str, NDArray[np.uint8]] | None = st.session_state.pop(_DECODED, None)
    case, image = case_book().load(case_id), case_book().image(case_id)
    # By its hash, which the case book has checked: no other image is ever taken for it.
    sha256 = case.assessment.image.sha256
    if decoded is None or decoded[0] != sha256:
        decoded = (sha256, read_image(image).pixels)
    st.session_state[_DECODED] = decoded
    return case, image, decoded[1]


def close_case() -> None:
    """Show no case any more; drop what its page held."""
    forget_forms()
    for name in (OPEN, _DECODED):
        st.session_state.pop(name, None)


def _show_heading(case: Case) -> None:
    number, saved = f"Case {case.case_id[:8]}", case.saved_at[:19].replace("T", " ")
    owner = who(case.patient.patient_id, case.patient.name)
    st.title(escaped(owner) if owner else number, anchor=False)
    st.caption(f"{number}, saved {saved} UTC")


def _show_damaged(case_id: str, error: DermAssistError) -> None:
    """Say why a case cannot be opened, and let it be deleted all the same."""
    _show_way_back()
    st.title(f"Case {case_id[:8]}", anchor=False)
    st.error(escaped(f"The case cannot be opened: {error}", longest=600))
    _show_removal(case_id, _NOBODY)


def _show_way_back() -> None:
    if st.button("Back to all cases"):
        close_case()
        st.rerun()


def _show_removal(case_id: str, patient: PatientDetails) -> None:
    with st.popover("Delete for good"):
        st.markdown("The case and its image are deleted for good. This cannot be undone.")
        if st.button("Delete", type="primary"):
            try:
                case_book().delete(case_id)
            except CaseError:
                # Where only traces stay in the journal, the case itself is gone.
                if not case_book().holds(case_id):
                    _forget(case_id, patient)
                raise
            _forget(case_id, patient)
            st.rerun()


def _forget(case_id: str, patient: PatientDetails) -> None:
    """Drop all that this session holds of a deleted case."""
    withdraw_all()
    forget_analysis(case_id, patient)
    forget_row(case_id)
    close_case()


def archived(case_ids: Sequence[str]) -> bytes:
    """Return cases as a ZIP file."""
    packed = io.BytesIO()
    export_cases(case_book(), case_ids, packed)
    return packed.getvalue()
