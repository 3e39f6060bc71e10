"""What a session passes once: the password, where one is set, and the notice."""

from __future__ import annotations

import time

import streamlit as st

from dermassist.interfaces.app_settings import is_password, password
from dermassist.report.clinical import LIMITS

_ADMITTED, _ACCEPTED = "admitted", "accepted"
#: Seconds that a wrong password costs.
_WRONG_PASSWORD_DELAY_S = 1.0
NOTICE = """
DermAssist is for **research and education** on dermatoscopic images of single skin lesions.
It is not a medical device, and its answer is **not a diagnosis**: a clinician decides.
"""
PRIVACY = """
Images, details and answers stay on this machine: in the case book, until you delete them there.
Everyone who can open this app sees the same case book.
"""


def admitted() -> bool:
    """Ask for the password where one is set; return whether this session may go on."""
    wanted = password()
    if wanted is None or st.session_state.get(_ADMITTED, False):
        return True
    st.title("DermAssist AI")
    with st.form("password"):
        given = st.text_input("Password", type="password")
        asked = st.form_submit_button("Enter", type="primary")
    if not asked:
        return False
    if is_password(given, wanted=wanted):
        st.session_state[_ADMITTED] = True
        st.rerun()
    time.sleep(_WRONG_PASSWORD_DELAY_S)
    st.error("This is not the password.")
    return False


def accepted() -> bool:
    """Show what the app is for; return whether this session has accepted it."""
    if st.session_state.get(_ACCEPTED, False):
        return True
    st.title("DermAssist AI")
    st.markdown(NOTICE)
    st.subheader("Know its limits")
    for limit in LIMITS:
        st.markdown(f"- {limit.text}")
    st.markdown(PRIVACY)
    if st.button("I have read this", type="primary"):
        st.session_state[_ACCEPTED] = True
        st.rerun()
    return False
