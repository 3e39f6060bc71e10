"""A real Chromium and a real server; skipped, with the reason, where one is missing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from dermassist.interfaces.app_server import command

from ..conftest import PATIENCE_S

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ACCEPT = "I have read this"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.slow)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="needs the Debian package chromium"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(cases: Path) -> Iterator[str]:
    """Run the app on the model that ships and a case book of its own; yield its address."""
    port = free_port()
    environment = {**os.environ, "DERMASSIST_CASES": str(cases)}
    log = cases.parent / "server.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command(address="localhost", port=port),
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            wait_for(f"http://localhost:{port}/_stcore/health", process, log)
            yield f"http://localhost:{port}"
        finally:
            process.kill()


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the app did not start: {log.read_text()}")


def settle(page: Page) -> None:
    """Wait until the page is drawn to its end."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    return tmp_path / "cases"


# Not for the whole session: while it is open Playwright keeps an event loop running in this thread,
# and other tests could not run one of their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        playwright.selectors.set_test_id_attribute("data-testid")
        # Expectations have a time limit of their own, of 5 s.
        expect.set_options(timeout=PATIENCE_S * 1000)
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def enter(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """Return a function that opens a new session and accepts the notice."""
    contexts = []

    def entered(address: str) -> Page:
        contexts.append(browser.new_context(viewport={"width": 1366, "height": 900}))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE_S * 1000)
        page.goto(address)
        page.get_by_text(ACCEPT).click()
        page.get_by_role("heading", name="Analyse").wait_for()
        return page

    yield entered
    for context in contexts:
        context.close()
