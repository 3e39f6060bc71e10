"""``dermassist app`` names an address only where something will listen on it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dermassist.errors import BundleError
from dermassist.interfaces import app_server
from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.model.bundle import GRAPH_NAME, default_directory, write_bundle

from ...conftest import tiny_graph, tiny_manifest
from .conftest import Run


@pytest.fixture
def port_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have the app open at its usual port."""
    monkeypatch.setattr(app_server, "_check_free", lambda *_: None)


def test_without_its_extra_no_address_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_server, "find_spec", lambda name: None)
    outcome = run("app")
    assert (outcome.status, outcome.out) == (ExitStatus.MISSING_EXTRA, "")
    assert "dermassist[app]" in outcome.complaint


def test_an_open_address_without_a_password_is_not_named(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DERMASSIST_PASSWORD", "DERMASSIST_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    outcome = run("app", "--address", "0.0.0.0")
    assert (outcome.status, outcome.out) == (ExitStatus.CONFIG, "")
    assert "DERMASSIST_PASSWORD" in outcome.complaint


def test_a_port_that_is_taken_is_not_named(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        outcome = run("app", "--address", "127.0.0.1", "--port", port)
    assert (outcome.status, outcome.out) == (ExitStatus.CONFIG, "")
    assert "choose another --port" in outcome.complaint


@pytest.mark.parametrize("changed", [False, True])
def test_the_address_of_an_app_without_a_model_is_not_named(
    run: Run, port_free: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changed: bool
) -> None:
    # Not what would serve until somebody ended it, should the model be accepted.
    monkeypatch.setattr(app_server, "serve", lambda **_: 0)
    folder = tmp_path / "model"
    folder.mkdir()
    if changed:
        write_bundle(folder, tiny_manifest(), {GRAPH_NAME: tiny_graph()})
        (folder / GRAPH_NAME).write_bytes(tiny_graph(seed=1))
    monkeypatch.setenv("DERMASSIST_MODEL", str(folder))
    outcome = run("app")
    assert (outcome.status, outcome.out) == (ExitStatus.MODEL, "")
    reason = "does not match its hash" if changed else "holds no model"
    assert str(folder) in outcome.complaint
    assert reason in outcome.complaint


def test_the_model_that_was_chosen_is_the_one_that_is_checked(
    port_free: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_bundle: Path
) -> None:
    monkeypatch.setenv("DERMASSIST_MODEL", str(tmp_path))
    app_server.check_startable("localhost", 8501, model=tiny_bundle)
    with pytest.raises(BundleError, match="holds no model"):
        app_server.check_startable("localhost", 8501)
    # As if it were not set.
    monkeypatch.setenv("DERMASSIST_MODEL", "")
    app_server.check_startable("localhost", 8501)
    with pytest.raises(BundleError, match="holds no model"):
        app_server.serve(model=tmp_path)


def test_the_app_is_started_with_the_variant_for_mirrored_views(
    run: Run, port_free: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Path | None] = []

    def note(*, address: str, port: int, model: Path | None) -> int:
        assert (address, port) == ("localhost", 8501)
        started.append(model)
        return 0

    monkeypatch.delenv("DERMASSIST_MODEL", raising=False)
    monkeypatch.setattr(app_server, "serve", note)
    assert run("app").status == run("app", "--tta").status == 0
    assert started == [None, default_directory() / "tta"]
    monkeypatch.setenv("DERMASSIST_MODEL", "elsewhere")
    outcome = run("app", "--tta")
    assert outcome.status == ExitStatus.CONFIG
    assert "either a model's folder or tta" in outcome.complaint


@pytest.mark.skipif(os.name != "posix", reason="elsewhere no process becomes another")
def test_the_program_becomes_the_app_and_tells_it_which_model_to_load(
    port_free: None, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path
) -> None:
    given: list[dict[str, str]] = []

    class BecameError(Exception):
        """Of the real call none returns."""

    def become(program: str, command: list[str], environment: dict[str, str]) -> None:
        assert program == command[0] == sys.executable
        assert command == app_server.command(address="localhost", port=8501)
        given.append(environment)
        raise BecameError

    monkeypatch.setattr(os, "execve", become)
    # It would serve until somebody ended it.
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a process beside it"))
    monkeypatch.setenv("DERMASSIST_MODEL", str(tiny_bundle))
    for model in (None, default_directory()):
        with pytest.raises(BecameError):
            app_server.serve(model=model)
    models = [environment["DERMASSIST_MODEL"] for environment in given]
    assert models == [str(tiny_bundle), str(default_directory())]
    assert "PATH" in given[0]


def test_where_no_process_becomes_another_the_apps_status_is_returned(
    port_free: None, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path
) -> None:
    given: list[dict[str, str]] = []

    def note(_command: list[str], *, check: bool, env: dict[str, str]) -> SimpleNamespace:
        assert not check
        given.append(env)
        if len(given) == 2:
            raise KeyboardInterrupt
        return SimpleNamespace(returncode=3)

    monkeypatch.setattr(app_server, "BECOMES_THE_APP", False)
    monkeypatch.setattr(subprocess, "run", note)
    assert app_server.serve(model=tiny_bundle) == 3
    assert app_server.serve() == 0
    assert given[0]["DERMASSIST_MODEL"] == str(tiny_bundle)
