"""What a session passes once: the password, where one is set, and the notice."""

from __future__ import annotations

import os
import time

import streamlit as st

from dermassist.cases.database import database_host
from dermassist.interfaces.app_settings import (
    CASES_URL_VARIABLE,
    is_loopback,
    is_password,
    password,
)
from dermassist.interfaces.web.text import escaped
from dermassist.report.clinical import LIMITS

_ADMITTED, _ACCEPTED = "admitted", "accepted"
#: Seconds that a wrong password costs.
_WRONG_PASSWORD_DELAY_S = 1.0
NOTICE = """
DermAssist is for **research and education** on dermatoscopic images of single skin lesions.
It is not a medical device, and its answer is **not a diagnosis**: a clinician decides.
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
    st.markdown(privacy_words())
    if st.button("I have read this", type="primary"):
        st.session_state[_ACCEPTED] = True
        st.rerun()
    return False


def privacy_words() -> str:
    """Return, as Markdown, which machines get what the user gives, and who can see it."""
    url = os.environ.get(CASES_URL_VARIABLE)
    host = None if url is None else database_host(url)
    # Without a password the guard refuses whoever sits at another machine.
    alone = password() is None
    machine = "this machine" if alone else "the machine that runs this app"
    if host is not None and not is_loopback(host):
        went = (
            f"go to {machine}, and from there to {escaped(host)}, whose database is the case book"
        )
    elif alone:
        went = f"stay on {machine}, in the case book"
    else:
        went = f"go to {machine} and to no other; they stay there, in the case book"
    return (
        f"Images, details and answers {went}, until you delete them there. "
        "Everyone who can open this app sees the same case book."
    )
