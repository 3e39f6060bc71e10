"""What the server serves: the pages, and the downloads beside them."""

from __future__ import annotations

from pathlib import Path

# By this name Streamlit recognises it.
from streamlit.starlette import App

from dermassist.interfaces.web.downloads import ROUTE
from dermassist.interfaces.web.guard import GUARD

app = App(Path(__file__).with_name("program.py"), routes=[ROUTE], middleware=[GUARD])
