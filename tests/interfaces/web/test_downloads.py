"""A download keeps its address while the page is redrawn, and ends with its session."""

from __future__ import annotations

import asyncio
import gc

import pytest
import streamlit as st
from starlette.requests import Request
from starlette.responses import Response

from dermassist.errors import CaseError
from dermassist.interfaces.web.downloads import (
    ROUTE,
    File,
    Offer,
    download_link,
    offer,
    withdraw_all,
)


@pytest.fixture(autouse=True)
def session(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    kept: dict[str, object] = {}
    monkeypatch.setattr(st, "session_state", kept)
    return kept


def get(token: str) -> Response:
    request = Request({"type": "http", "path_params": {"token": token, "name": "any"}})
    response: Response = asyncio.run(ROUTE.endpoint(request))
    return response


def text(content: str) -> File:
    return File("words.txt", "text/plain", content.encode)


def test_the_address_stays_and_gives_what_was_offered_last() -> None:
    first = offer("report", text("nevus"))
    token = first.token
    assert get(token).body == b"nevus"
    again = offer("report", text("melanoma"))
    assert again.token == token
    response = get(token)
    assert response.body == b"melanoma"
    assert response.headers["content-disposition"] == 'attachment; filename="words.txt"'
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_file_is_made_only_when_it_is_asked_for() -> None:
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return b""

    token = offer("report", File("a", "text/plain", make)).token
    assert not made
    get(token)
    get(token)
    assert len(made) == 2


def test_sessions_and_downloads_have_addresses_that_nobody_guesses(
    session: dict[str, object],
) -> None:
    mine = [offer(key, text(key)).token for key in ("a", "b")]
    kept = dict(session)
    session.clear()
    other = offer("a", text("another session's")).token
    assert len({*mine, other}) == 3
    assert all(len(token) >= 43 for token in (*mine, other))
    assert get(mine[0]).body == b"a"
    assert get(other).body == b"another session's"
    assert kept
    assert get("guessed").status_code == 404


def test_what_a_session_no_longer_offers_is_gone() -> None:
    token = offer("report", text("nevus")).token
    withdraw_all()
    gc.collect()
    response = get(token)
    assert response.status_code == 404
    assert b"has ended" in response.body


def test_what_cannot_be_made_is_a_sentence() -> None:
    def make() -> bytes:
        raise CaseError("there is no case 1")

    response = get(offer("report", File("a", "text/plain", make)).token)
    assert response.status_code == 409
    assert response.body == b"there is no case 1"


def test_a_label_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(st, "html", drawn.append)
    offered = Offer(File('a"b.txt', "text/plain", bytes))
    download_link("<b>Report</b>", offered)
    assert "&lt;b&gt;Report&lt;/b&gt;" in drawn[0]
    assert f'href="downloads/{offered.token}/a&quot;b.txt"' in drawn[0]
