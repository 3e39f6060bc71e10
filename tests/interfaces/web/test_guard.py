"""What comes over a network is refused without a password, whatever address was configured."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from dermassist.interfaces.web import asgi
from dermassist.interfaces.web.guard import GUARD, Guard

ROOT = Path(__file__).parents[3]
PASSED = {"type": "passed"}
OPEN = [
    ("192.168.1.5", 8501),
    ("0.0.0.0", 8501),
    ("fe80::1%eth0", 1),
    ("/run/app.sock", None),
    None,
]
OWN = [("127.0.0.1", 8501), ("::1", 8501), ("::ffff:127.0.0.1", 8501), ["127.0.0.1", 8501]]


@pytest.fixture(autouse=True)
def no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DERMASSIST_PASSWORD", "DERMASSIST_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)


def sent_by(
    kind: str, server: object, *headers: tuple[str, str], host: str | None = "localhost:8501"
) -> list[MutableMapping[str, Any]]:
    """Return what a guarded app sends over such a connection."""
    sent: list[MutableMapping[str, Any]] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send(dict(PASSED))

    async def receive() -> MutableMapping[str, Any]:
        return {}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    named = headers if host is None else (("host", host), *headers)
    raw = [(name.encode(), value.encode("latin-1")) for name, value in named]
    scope = {"type": kind, "server": server, "method": "GET", "path": "/", "headers": raw}
    asyncio.run(Guard(app)(scope, receive, send))
    return sent


@pytest.mark.parametrize("server", OPEN)
def test_a_connection_from_elsewhere_is_refused(server: object) -> None:
    start, body = sent_by("http", server)
    assert start["status"] == 403
    assert b"other machines could read the case book; set DERMASSIST_PASSWORD" in body["body"]
    (closed,) = sent_by("websocket", server)
    assert closed["type"] == "websocket.close"


@pytest.mark.parametrize("server", OWN)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_this_machine_is_served(kind: str, server: object) -> None:
    assert sent_by(kind, server) == [PASSED]


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8501",
        "LocalHost:8501",
        "127.0.0.1:8501",
        "127.8.9.1",
        "[::1]",
        "[::1]:8501",
        "[::ffff:127.0.0.1]:8501",
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_this_machines_names_are_served(kind: str, host: str) -> None:
    origin = ("origin", f"http://{host}")
    assert sent_by(kind, OWN[0], origin, host=host) == [PASSED]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8501",
        "evil.example",
        "localhost.evil.example:8501",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "evil.example@localhost",
        "[evil.example]:8501",
        "[::1].evil.example",
        "192.168.1.5:8501",
        "0.0.0.0:8501",
        "::1",
        "localhost:8501x",
        "",
        None,
    ],
)
def test_a_name_that_was_pointed_to_this_machine_is_refused(
    host: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, body = sent_by("http", OWN[0], host=host)
    assert start["status"] == 403
    assert b"open it as localhost, or set DERMASSIST_PASSWORD" in body["body"]
    (closed,) = sent_by("websocket", OWN[0], host=host)
    assert closed["type"] == "websocket.close"
    monkeypatch.setenv("DERMASSIST_PASSWORD", "correct horse")
    for kind in ("http", "websocket"):
        assert sent_by(kind, OWN[0], host=host) == [PASSED]


def test_two_names_at_once_are_refused() -> None:
    start, _ = sent_by("http", OWN[0], ("host", "evil.example"))
    assert start["status"] == 403


@pytest.mark.parametrize("set_password", [False, True])
@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://localhost:3000", "http://127.0.0.1:8501", "null", "http://["],
)
def test_another_page_opens_no_websocket(
    origin: str, set_password: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if set_password:
        monkeypatch.setenv("DERMASSIST_PASSWORD", "correct horse")
    (closed,) = sent_by("websocket", OWN[0], ("origin", origin))
    assert closed["type"] == "websocket.close"


def test_the_apps_own_page_opens_its_websocket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMASSIST_PASSWORD", "correct horse")
    for host in ("192.168.1.5:8501", "derm.example"):
        for scheme in ("http", "https"):
            origin = ("origin", f"{scheme}://{host}")
            assert sent_by("websocket", OPEN[0], origin, host=host) == [PASSED]


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_password_opens_the_network(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMASSIST_PASSWORD", "correct horse")
    assert sent_by(kind, OPEN[0]) == [PASSED]
    monkeypatch.setenv("DERMASSIST_PASSWORD", "short")
    assert sent_by(kind, OPEN[0]) != [PASSED]


def test_the_start_of_the_server_is_no_connection() -> None:
    assert sent_by("lifespan", None) == [PASSED]


def test_both_ways_to_start_are_guarded() -> None:
    for app in (asgi.app, runpy.run_path(str(ROOT / "app.py"))["app"]):
        assert GUARD in app._user_middleware
