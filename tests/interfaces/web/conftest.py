from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from dermassist.cases import CaseBook
from dermassist.interfaces.app_server import PROGRAM
from dermassist.sample import draw_lesion

from ...conftest import PATIENCE_S

ACCEPT = "I have read this"
Open = Callable[..., AppTest]


def photo_of(seed: int, *, size: tuple[int, int] = (120, 90)) -> bytes:
    """Return a drawn lesion as PNG; every seed another one."""
    pixels = draw_lesion(np.random.default_rng(seed), width=size[0], height=size[1])
    tinted = np.roll(pixels, seed % 3, axis=2) // (1 + seed % 4)
    file = io.BytesIO()
    Image.fromarray(tinted).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def cases_folder(tmp_path: Path) -> Path:
    return tmp_path / "cases"


@pytest.fixture
def open_app(
    monkeypatch: pytest.MonkeyPatch, cases_folder: Path, tiny_bundle: Path
) -> Iterator[Open]:
    """Return a function that opens the app on a tiny model and a case book of its own."""
    monkeypatch.setenv("DERMASSIST_CASES", str(cases_folder))
    monkeypatch.setenv("DERMASSIST_MODEL", str(tiny_bundle))
    for name in ("DERMASSIST_PASSWORD", "DERMASSIST_PASSWORD_FILE", "DERMASSIST_CASES_URL"):
        monkeypatch.delenv(name, raising=False)
    st.cache_resource.clear()
    address = st.get_option("server.address")
    st.config.set_option("server.address", "localhost")

    def opened(page: str | None = None, *, accepted: bool = True) -> AppTest:
        if page is not None:
            # AppTest cannot walk from page to page; the browser tests do.
            module = f"dermassist.interfaces.web.screens.{page}"
            script = f"from {module} import {page}_page\n{page}_page()"
            return AppTest.from_string(script, default_timeout=PATIENCE_S).run()
        app = AppTest.from_file(str(PROGRAM), default_timeout=PATIENCE_S).run()
        if accepted:
            next(button for button in app.button if button.label == ACCEPT).click().run()
        return app

    yield opened
    st.config.set_option("server.address", address)
    st.cache_resource.clear()


@pytest.fixture
def book(cases_folder: Path) -> Iterator[CaseBook]:
    """The app's case book, opened beside it."""
    with CaseBook.open(cases_folder) as opened:
        yield opened
