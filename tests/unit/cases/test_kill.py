"""A process that dies loses no case that it said was saved, and leaves no half of one."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dermassist.cases import CaseBook

from .made import image_bytes

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_sigkill_loses_no_saved_case_and_leaves_no_orphan(folder: Path) -> None:
    random.seed(0)
    saved: dict[str, int] = {}
    for _ in range(6):
        command = [sys.executable, "-m", "tests.unit.cases.keep_saving", str(folder)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(random.randint(1, 12)):
                case_id, seed = process.stdout.readline().split()
                saved[case_id] = int(seed)
            # Somewhere inside the next save.
            process.send_signal(signal.SIGKILL)
            for line in process.stdout:
                if line.endswith("\n"):
                    case_id, seed = line.split()
                    saved[case_id] = int(seed)

    with CaseBook.open(folder) as book:
        for case_id, number in saved.items():
            assert book.image(case_id) == image_bytes(number, size=200_000)
        for summary in book.search():
            assert book.image(summary.case_id)
    assert len(saved) > 6
    with sqlite3.connect(folder / "cases.sqlite3") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        cases = {row[0] for row in database.execute("SELECT case_id FROM dermassist_case")}
        images = {row[0] for row in database.execute("SELECT case_id FROM dermassist_image")}
    assert set(saved) <= cases == images
