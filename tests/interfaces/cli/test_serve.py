"""``dermassist app`` names an address only where something will listen on it."""

from __future__ import annotations

import pytest

from dermassist.interfaces import app_server
from dermassist.interfaces.cli.exit_status import ExitStatus

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
