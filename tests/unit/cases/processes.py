"""Processes that work on one case book at the same time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
READY = "ready"


@dataclass(frozen=True)
class Worker:
    """A running ``worker.py``."""

    process: subprocess.Popen[str]

    def finish(self) -> list[str]:
        """Wait for its end, and return what it said."""
        said, _ = self.process.communicate()
        assert self.process.returncode == 0, said
        return said.splitlines()


@contextmanager
def started(task: str, folder: Path, *, processes: int = 1) -> Iterator[list[Worker]]:
    """Yield workers that all begin their task in the same moment."""
    command = [sys.executable, "-m", "tests.unit.cases.worker", task, str(folder)]
    pipe = subprocess.PIPE
    workers = [
        Worker(subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True))
        for _ in range(processes)
    ]
    try:
        for worker in workers:
            assert worker.process.stdout is not None
            assert worker.process.stdout.readline().strip() == READY
        for worker in workers:
            assert worker.process.stdin is not None
            worker.process.stdin.write("go\n")
            worker.process.stdin.flush()
        yield workers
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.communicate()
