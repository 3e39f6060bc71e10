"""A progress bar for downloads."""

from __future__ import annotations

from rich.progress import DownloadColumn, TransferSpeedColumn

from dermassist.interfaces.cli.terminal_bar import TerminalBar


class TransferBar(TerminalBar):
    """Draws what a download reports, on standard error where that is a terminal."""

    def __init__(self) -> None:
        super().__init__(DownloadColumn(), TransferSpeedColumn())

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
