"""How fast the app is on this machine, and whether its memory stays where it is.

    python benchmarks/app.py [--out results/app.json]

A real server and a real Chromium. Times are those of a person at the screen: from choosing a file
to the download buttons, which are drawn last. Limits are absolute, for two CPU cores that do
nothing else. Memory is the resident set of the server process.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, sync_playwright

from dermassist.interfaces.app_server import command
from dermassist.sample import draw_lesion
from dermassist.storage import write_text

ANALYSES = 200
WARM_UP = 10
TIMED = 10
TIMEOUT_MS = 60_000
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
ACCEPT = "I have read this"


@dataclass(frozen=True)
class Line:
    """One measured limit."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def met(self) -> bool:
        """Whether the limit is kept."""
        return self.value <= self.limit


def main() -> None:
    """Measure, print a table, optionally write it; exit with 1 if a limit is broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        lines = _measure(browser, Path(folder))
        browser.close()
    for line in lines:
        verdict = "met" if line.met else "MISSED"
        print(f"{line.name:56} {line.value:8.2f} <= {line.limit:g} {line.unit:3} {verdict}")
    if arguments.out is not None:
        rows = [{**vars(line), "at_least": False, "met": line.met} for line in lines]
        document = {"machine": {"cores": os.cpu_count()}, "analyses": ANALYSES, "lines": rows}
        write_text(arguments.out, json.dumps(document, indent=1) + "\n")
    sys.exit(0 if all(line.met for line in lines) else 1)


def _measure(browser: Browser, folder: Path) -> list[Line]:
    started = time.perf_counter()
    with _serving(folder) as (address, process):
        page = browser.new_page(viewport={"width": 1366, "height": 900})
        page.set_default_timeout(TIMEOUT_MS)
        page.goto(address)
        page.get_by_text(ACCEPT).wait_for()
        cold = time.perf_counter() - started
        page.get_by_text(ACCEPT).click()
        for k in range(WARM_UP):
            _analyse(page, k)
        answers = [_analyse(page, WARM_UP + k) for k in range(TIMED)]
        reports = [_report(page) for _ in range(TIMED)]
        before = _resident_mb(process.pid)
        for k in range(ANALYSES):
            _analyse(page, 1000 + k)
        grown = _resident_mb(process.pid) - before
    return [
        Line("start of the server to the first page", cold, 5.0, "s"),
        Line(
            "upload to the whole result, model warm, median", statistics.median(answers), 1.0, "s"
        ),
        Line("click to the PDF report, median", statistics.median(reports), 0.5, "s"),
        Line(f"memory grown over {ANALYSES} analyses", grown, 50.0, "MB"),
    ]


@contextmanager
def _serving(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {**os.environ, "DERMASSIST_CASES": str(folder / "cases")}
    with subprocess.Popen(
        command(address="localhost", port=port),
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait_for(f"http://localhost:{port}/_stcore/health")
            yield f"http://localhost:{port}", process
        finally:
            process.kill()


def _wait_for(address: str) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(address, timeout=5):  # noqa: S310 - our own server
                return
        except OSError:
            time.sleep(0.05)
    sys.exit("the app did not start")


def _analyse(page: Page, seed: int) -> float:
    """Choose another image; return the seconds until its result stands."""
    name = f"lesion{seed}.jpg"
    upload = FilePayload(name=name, mimeType="image/jpeg", buffer=_photo(seed))
    started = time.perf_counter()
    page.locator("input[type=file]").first.set_input_files([upload])
    page.get_by_text(f"{name}, 600 x 450 pixels").wait_for()
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    return time.perf_counter() - started


def _report(page: Page) -> float:
    started = time.perf_counter()
    with page.expect_download() as caught:
        page.get_by_role("link", name="PDF report").click()
    caught.value.path()
    return time.perf_counter() - started


def _photo(seed: int) -> bytes:
    pixels = draw_lesion(np.random.default_rng(seed))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=92)
    return file.getvalue()


def _resident_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
