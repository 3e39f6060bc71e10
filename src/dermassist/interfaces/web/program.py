"""What Streamlit runs, anew for every interaction of every session."""

from __future__ import annotations

import streamlit as st

from dermassist.errors import ConfigError, DermAssistError
from dermassist.interfaces.app_settings import check_address, password
from dermassist.interfaces.web.case_forms import forget_forms
from dermassist.interfaces.web.downloads import withdraw_all
from dermassist.interfaces.web.entrance import accepted, admitted
from dermassist.interfaces.web.screens.analyse import analyse_page
from dermassist.interfaces.web.screens.batch import batch_page
from dermassist.interfaces.web.screens.cases import cases_page
from dermassist.interfaces.web.screens.guide import guide_page
from dermassist.interfaces.web.screens.model import model_page
from dermassist.interfaces.web.style import STYLE
from dermassist.interfaces.web.text import escaped

_PAGE = "page drawn"


def main() -> None:
    """Show the entrance, then the page that was chosen."""
    st.set_page_config(page_title="DermAssist AI", page_icon="🔬", layout="wide")
    st.html(STYLE)
    try:
        # Streamlit listens on every address where none is set.
        check_address(st.get_option("server.address"))
        # One that is refused must not fail later, in the middle of the page.
        password()
    except ConfigError as error:
        st.error(f"The app does not start: {error}.")
        st.stop()
    if not (admitted() and accepted()):
        st.stop()
    pages = [
        st.Page(analyse_page, title="Analyse", icon=":material/search:", default=True),
        st.Page(batch_page, title="Batch", icon=":material/stacks:", url_path="batch"),
        st.Page(cases_page, title="Cases", icon=":material/folder_open:", url_path="cases"),
        st.Page(model_page, title="Model", icon=":material/monitoring:", url_path="model"),
        st.Page(guide_page, title="Guide", icon=":material/menu_book:", url_path="guide"),
    ]
    # Streamlit's own menu covers the page on a phone, and stays there after a choice.
    chosen = st.navigation(pages, position="hidden")
    with st.container(horizontal=True):
        for page in pages:
            st.page_link(page)
    if st.session_state.get(_PAGE) != chosen.title:
        st.session_state[_PAGE] = chosen.title
        withdraw_all()
        forget_forms()
    try:
        chosen.run()
    except DermAssistError as error:
        # Streamlit would hide what its text says, and advise to ask others.
        st.error(escaped(str(error), longest=600))


if __name__ == "__main__":
    main()
