"""A progress bar for searches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import MofNCompleteColumn

from dermassist.interfaces.cli.output import remark
from dermassist.interfaces.cli.terminal_bar import TerminalBar

if TYPE_CHECKING:
    from dermassist.tuning.search import Standing


class SearchBar(TerminalBar):
    """Says how far a search is on standard error: a bar on a terminal, lines elsewhere."""

    def __init__(self, *, lines: bool) -> None:
        """Lay out a bar.

        Args:
            lines: write a line for every candidate where no bar can be drawn.
        """
        super().__init__(MofNCompleteColumn())
        self._lines = lines and self._bar.disable

    def show(self, standing: Standing) -> None:
        """Move the bar and say the best score so far."""
        best = "" if standing.best is None else f", best {standing.best:.3f}"
        if self._lines:
            remark(f"{standing.finished} of {standing.trials} candidates finished{best}")
        if self._task is None:
            # What an earlier run did says nothing of how fast this one is.
            self._task = self._bar.add_task("", total=standing.trials, completed=standing.finished)
        self._bar.update(self._task, completed=standing.finished, description=f"Searching{best}")
