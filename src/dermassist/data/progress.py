"""How long work tells whoever waits how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """What a front end draws as a bar and a test writes down; every amount is in bytes.

    One task is under way at a time: ``start``, any number of ``advance``, ``finish``. A transfer
    that is tried again is a new task.
    """

    def start(self, task: str, *, total_bytes: int | None, done_bytes: int = 0) -> None:
        """Begin a task, ``done_bytes`` of it done earlier; the total is None where unknown."""

    def advance(self, count_bytes: int) -> None:
        """Count bytes that have been dealt with since the last call."""

    def finish(self) -> None:
        """End the task, whether it succeeded or not."""


class SilentProgress:
    """Progress that nobody watches."""

    def start(self, task: str, *, total_bytes: int | None, done_bytes: int = 0) -> None:
        """Do nothing."""

    def advance(self, count_bytes: int) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Do nothing."""


SILENT: Progress = SilentProgress()
