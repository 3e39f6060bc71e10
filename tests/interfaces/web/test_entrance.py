"""Nobody gets in who should not; a start that would be open to others is refused."""

from __future__ import annotations

import socket
import tomllib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit import net_util
from streamlit.web import bootstrap

from dermassist.errors import ConfigError, MissingExtraError
from dermassist.interfaces import app_server
from dermassist.interfaces.app_server import OPTIONS, check_startable, command, serve
from dermassist.interfaces.app_settings import (
    check_address,
    is_loopback,
    is_password,
    password,
)
from dermassist.interfaces.web.entrance import admitted, privacy_words

from .conftest import Open

PASSWORD = "correct horse"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dermassist.interfaces.web.entrance._WRONG_PASSWORD_DELAY_S", 0.0)


def test_a_password_is_asked_before_anything_else(
    open_app: Open, monkeypatch: pytest.MonkeyPatch, quick: None
) -> None:
    monkeypatch.setenv("DERMASSIST_PASSWORD", PASSWORD)
    app = open_app(accepted=False)
    assert [box.label for box in app.text_input] == ["Password"]
    assert not app.markdown
    app.text_input[0].input("wrong horse")
    app.button[0].click().run()
    assert app.error[0].value == "This is not the password."
    assert app.text_input
    app.text_input[0].input(PASSWORD)
    app.button[0].click().run()
    assert not app.exception
    assert not app.text_input
    assert "not a diagnosis" in app.markdown[0].value


def test_no_page_is_served_past_the_entrance() -> None:
    # Streamlit serves the scripts of a folder of this name by themselves.
    place = Path(admitted.__code__.co_filename).parent
    assert not (place / "pages").exists()
    assert not (Path(app_server.__file__).parent / "pages").exists()


@pytest.mark.parametrize(
    ("address", "alone"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:192.168.1.5", False),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("localhost.example.org", False),
        ("", False),
        (None, False),
    ],
)
def test_only_this_machines_addresses_are_loopback(address: str | None, alone: bool) -> None:
    assert is_loopback(address) is alone


def test_an_open_address_needs_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DERMASSIST_PASSWORD", raising=False)
    monkeypatch.delenv("DERMASSIST_PASSWORD_FILE", raising=False)
    check_address("localhost")
    for address in ("0.0.0.0", None):
        with pytest.raises(ConfigError, match="other machines could read the case book"):
            check_address(address)
    with pytest.raises(ConfigError, match="set DERMASSIST_PASSWORD"):
        serve(address="0.0.0.0")
    monkeypatch.setenv("DERMASSIST_PASSWORD", PASSWORD)
    check_address("0.0.0.0")


def test_the_app_itself_refuses_an_open_address(open_app: Open) -> None:
    st.config.set_option("server.address", "0.0.0.0")
    app = open_app(accepted=False)
    assert "The app does not start" in app.error[0].value
    assert not app.button


def test_a_password_that_is_too_short_is_refused_at_the_start(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERMASSIST_PASSWORD", "short")
    with pytest.raises(ConfigError, match="at least 8 characters"):
        check_startable("localhost", 8501)
    app = open_app(accepted=False)
    assert not app.exception
    assert "must have at least 8 characters" in app.error[0].value
    assert not app.button


@pytest.mark.parametrize("page", ["model", "guide"])
def test_what_keeps_a_page_from_being_shown_is_said_in_its_place(
    open_app: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, page: str
) -> None:
    monkeypatch.setenv("DERMASSIST_MODEL", str(tmp_path))
    # AppTest cannot walk from page to page, so that the page stands where the first one does.
    shown = getattr(import_module(f"dermassist.interfaces.web.screens.{page}"), f"{page}_page")
    monkeypatch.setattr("dermassist.interfaces.web.screens.analyse.analyse_page", shown)
    app = open_app()
    assert not app.exception
    (error,) = app.error
    assert "holds no model (manifest.json is missing)" in error.value.replace("\\", "")


def test_a_port_that_another_program_listens_at_is_refused_before_it_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"something listens at port {port} of 127.0.0.1"):
            check_startable("127.0.0.1", port)
    check_startable("127.0.0.1", port)


def test_the_password_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    monkeypatch.setenv("DERMASSIST_PASSWORD_FILE", str(file))
    assert password() == PASSWORD
    file.write_text("short")
    with pytest.raises(ConfigError, match="at least 8 characters"):
        password()
    file.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        password()


def test_passwords_are_compared_whole() -> None:
    assert is_password(PASSWORD, wanted=PASSWORD)
    for wrong in ("", "correct", PASSWORD + " ", PASSWORD.upper()):
        assert not is_password(wrong, wanted=PASSWORD)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_server, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"dermassist\[app\]"):
        serve()


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables under dotted names."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        found.update(flat(value, f"{name}.") if isinstance(value, dict) else {name: value})
    return found


def test_both_ways_to_start_have_the_same_options() -> None:
    config = Path(__file__).parents[3] / ".streamlit" / "config.toml"
    stated = flat(tomllib.loads(config.read_text()))
    assert stated.pop("server.address") == "localhost"
    # Streamlit is told it in any case by ``command``.
    assert stated.pop("browser.serverAddress", "localhost") == "localhost"
    assert stated == OPTIONS
    assert OPTIONS["browser.gatherUsageStats"] is False
    assert "--browser.gatherUsageStats=false" in command(address="localhost", port=1)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("localhost", "localhost"),
        ("192.168.1.5", "192.168.1.5"),
        ("derm.example", "derm.example"),
        ("0.0.0.0", "localhost"),
        ("::", "localhost"),
        ("::1", "[::1]"),
    ],
)
def test_streamlit_asks_nobody_for_this_machines_address(
    address: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused() -> None:
        pytest.fail("asked a server on the Internet")

    flags = dict(
        flag.removeprefix("--").split("=", 1) for flag in command(address=address, port=1)[4:]
    )
    options = {name.replace(".", "_"): value for name, value in flags.items()}
    monkeypatch.setattr(net_util, "get_external_ip", refused)
    try:
        bootstrap.load_config_options(options)
        bootstrap._print_url(False)
    finally:
        bootstrap.load_config_options({})
    assert f"URL: http://{shown}:1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "secret", "says"),
    [
        (None, None, "stay on this machine, in the case book"),
        (None, PASSWORD, "go to the machine that runs this app and to no other"),
        ("sqlite:////data/cases.sqlite3", None, "stay on this machine, in the case book"),
        ("postgresql+psycopg://u:secret@localhost/db", None, "stay on this machine"),
        (
            "postgresql+psycopg://u:secret@/db?host=/var/run/postgresql",
            None,
            "stay on this machine",
        ),
        (
            "postgresql+psycopg://u:secret@db.example:5432/db",
            None,
            "go to this machine, and from there to db.example, whose database",
        ),
        (
            "postgresql+psycopg://u:secret@/db?host=db.example",
            PASSWORD,
            "go to the machine that runs this app, and from there to db.example, whose database",
        ),
        (
            "postgresql+psycopg://u:secret@/db?host=a.example&host=localhost",
            None,
            "from there to a.example,localhost, whose database",
        ),
        ("nonsense", None, "stay on this machine"),
    ],
)
def test_the_notice_tells_which_machines_get_what_is_given(
    url: str | None, secret: str | None, says: str, open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    if url is not None:
        monkeypatch.setenv("DERMASSIST_CASES_URL", url)
    if secret is not None:
        monkeypatch.setenv("DERMASSIST_PASSWORD", secret)
    words = privacy_words().replace("\\", "")
    assert says in words
    assert "secret" not in words
    if secret is None:
        app = open_app(accepted=False)
        assert privacy_words() in [each.value for each in app.markdown]
