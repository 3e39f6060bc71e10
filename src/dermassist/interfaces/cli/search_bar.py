"""A progress bar for searches."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from dermassist.tuning.search import Standing


class SearchBar:
    """Draws how far a search is, on standard error where that is a terminal."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
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

    def show(self, standing: Standing) -> None:
        """Move the bar and say the best score so far."""
        best = "" if standing.best is None else f", best {standing.best:.3f}"
        if self._task is None:
            # What an earlier run did says nothing of how fast this one is.
            self._task = self._bar.add_task("", total=standing.trials, completed=standing.finished)
        self._bar.update(self._task, completed=standing.finished, description=f"Searching{best}")
