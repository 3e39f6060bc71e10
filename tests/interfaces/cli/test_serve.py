"""``dermassist app`` names an address only where something will listen on it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from dermassist.interfaces import app_server
from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.model.bundle import default_directory

from .conftest import Run


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


def test_the_app_is_started_with_the_variant_for_mirrored_views(
    run: Run, monkeypatch: pytest.MonkeyPatch
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


def test_the_started_app_is_told_which_model_to_load(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, str]] = []

    def note(_command: list[str], *, check: bool, env: dict[str, str]) -> SimpleNamespace:
        assert not check
        given.append(env)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", note)
    monkeypatch.setenv("DERMASSIST_MODEL", "named")
    app_server.serve()
    app_server.serve(model=Path("chosen"))
    assert [env["DERMASSIST_MODEL"] for env in given] == ["named", "chosen"]
    assert "PATH" in given[0]
