"""Whose lesion it is, as far as the user wants to say."""

from __future__ import annotations

import streamlit as st

from dermassist.errors import PatientError
from dermassist.interfaces.web.text import escaped
from dermassist.patient import LENGTH_LIMITS, OLDEST_YEARS, SEXES, PatientDetails


def patient_form(key: str) -> PatientDetails | None:
    """Draw the optional fields; return the details, or ``None`` while one is refused."""
    first, second = st.columns(2)
    patient_id = first.text_input(
        "Patient ID", max_chars=LENGTH_LIMITS["patient_id"], key=f"{key} patient_id"
    )
    name = second.text_input("Name", max_chars=LENGTH_LIMITS["name"], key=f"{key} name")
    age = first.number_input("Age in years", 0, OLDEST_YEARS, value=None, step=1, key=f"{key} age")
    sex = second.selectbox("Sex", SEXES, index=None, placeholder="not stated", key=f"{key} sex")
    site = st.text_input("Body site", max_chars=LENGTH_LIMITS["body_site"], key=f"{key} body_site")
    remarks = st.text_area("Remarks", max_chars=LENGTH_LIMITS["remarks"], key=f"{key} remarks")
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
