"""A progress bar for downloads."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class TransferBar:
    """Draws what a download reports, on standard error where that is a terminal."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            # Not rich's own guess: it draws into pipes and files where FORCE_COLOR is set.
            disable=not sys.stderr.isatty(),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def start(self, task: str, *, total_bytes: int | None, done_bytes: int = 0) -> None:
        """Begin a bar."""
        self._task = self._bar.add_task(task, total=total_bytes, completed=done_bytes)

    def advance(self, count_bytes: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bar.advance(self._task, count_bytes)

    def finish(self) -> None:
        """Leave the bar as it stands."""
        if self._task is not None:
            self._bar.stop_task(self._task)
            self._task = None
