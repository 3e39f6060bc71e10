"""A progress bar for searches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import MofNCompleteColumn

from dermassist.interfaces.cli.terminal_bar import TerminalBar

if TYPE_CHECKING:
    from dermassist.tuning.search import Standing


class SearchBar(TerminalBar):
    """Draws how far a search is, on standard error where that is a terminal."""

    def __init__(self) -> None:
        super().__init__(MofNCompleteColumn())

    def show(self, standing: Standing) -> None:
        """Move the bar and say the best score so far."""
        best = "" if standing.best is None else f", best {standing.best:.3f}"
        if self._task is None:
            # What an earlier run did says nothing of how fast this one is.
            self._task = self._bar.add_task("", total=standing.trials, completed=standing.finished)
        self._bar.update(self._task, completed=standing.finished, description=f"Searching{best}")
