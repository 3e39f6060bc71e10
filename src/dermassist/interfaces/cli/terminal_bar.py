"""What the progress bars of long work share."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)


class TerminalBar:
    """A bar on standard error where that is a terminal, and nothing elsewhere."""

    def __init__(self, *columns: ProgressColumn) -> None:
        """Lay out a bar.

        Args:
            columns: between the bar and the time that remains.
        """
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            *columns,
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
