"""Whose lesion it is, as far as the user wants to say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dermassist.errors import PatientError
from dermassist.interfaces.web.text import escaped
from dermassist.patient import LENGTH_LIMITS, OLDEST_YEARS, SEXES, PatientDetails

Lasting = Literal["session"] | None
_NOBODY = PatientDetails()
_FIELDS = ("patient_id", "name", "age", "sex", "body_site", "remarks")
#: Of one lesion; the others are the patient's.
_LESION_FIELDS = ("body_site", "remarks")


def patient_form(
    key: str, known: PatientDetails = _NOBODY, *, lasting: Lasting = None
) -> PatientDetails | None:
    """Draw the optional fields; return the details, or ``None`` while one is refused.

    Args:
        key: tells forms apart; a new one starts anew.
        known: what the fields hold at first.
        lasting: ``"session"`` keeps what was entered while other pages are looked at, until
            ``forget_entries``; by default Streamlit drops it then.
    """
    first, second = st.columns(2)
    patient_id = _text(first, "Patient ID", "patient_id", key, known.patient_id, lasting)
    name = _text(second, "Name", "name", key, known.name, lasting)
    # A row of its own, so that the order of tabs and of a phone is that of reading.
    first, second = st.columns(2)
    age = first.number_input(
        "Age in years",
        0,
        OLDEST_YEARS,
        value=known.age_years,
        step=1,
        key=f"{key} age",
        persist_state=lasting,
    )
    sex = second.selectbox(
        "Sex",
        SEXES,
        index=None if known.sex is None else SEXES.index(known.sex),
        placeholder="not stated",
        key=f"{key} sex",
        persist_state=lasting,
    )
    site = _text(st.container(), "Body site", "body_site", key, known.body_site, lasting)
    remarks = st.text_area(
        "Remarks",
        known.remarks,
        max_chars=LENGTH_LIMITS["remarks"],
        key=f"{key} remarks",
        persist_state=lasting,
    )
    try:
        return PatientDetails(
            patient_id=patient_id,
            name=name,
            age_years=None if age is None else int(age),
            sex=sex,
            body_site=site,
            remarks=remarks,
        )
    except PatientError as error:
        st.error(escaped(str(error), longest=300))
        return None


def forget_entries(key: str) -> None:
    """Drop what was entered into a form that is not drawn any more."""
    for field in _FIELDS:
        st.session_state.pop(f"{key} {field}", None)


def lesion_entries(key: str) -> dict[str, str]:
    """Return what was entered into a form about the lesion, by the keys of its fields."""
    return {
        name: st.session_state.get(name, "")
        for name in (f"{key} {field}" for field in _LESION_FIELDS)
    }


def forget_lesion(entries: Mapping[str, str]) -> None:
    """Empty the fields that still hold these entries; only before they are drawn."""
    for name, entry in entries.items():
        # What was entered since is of the next lesion.
        if entry and st.session_state.get(name) == entry:
            st.session_state[name] = ""


def patient_line(patient: PatientDetails) -> str:
    """Return who it is in one line of Markdown; remarks are only announced."""
    parts = [patient.patient_id, patient.name]
    if patient.age_years is not None:
        parts.append(f"{patient.age_years} years")
    parts += [patient.sex or "", patient.body_site, "with remarks" if patient.remarks else ""]
    return escaped(" · ".join(part for part in parts if part), longest=300)


def _text(
    place: DeltaGenerator, label: str, field: str, key: str, known: str, lasting: Lasting
) -> str:
    drawn: str = place.text_input(
        label,
        known,
        max_chars=LENGTH_LIMITS[field],
        key=f"{key} {field}",
        persist_state=lasting,
    )
    return drawn
