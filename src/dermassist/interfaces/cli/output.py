"""What the command line says: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from dermassist.hidden import hidden_shown
from dermassist.interfaces.cli.exit_status import ExitStatus

NOTICE = "For research and education on dermatoscopic images. Not a diagnosis."


class Advance(Protocol):
    """Moves a progress bar forward."""

    def __call__(self, steps: int = 1) -> None:
        """Advance by so many steps."""


def say(line: str) -> None:
    """Write a line of the result."""
    sys.stdout.write(f"{hidden_shown(line)}\n")


def say_lines(text: str) -> None:
    """Write a part of the result that has several lines, such as a table."""
    for line in text.split("\n"):
        say(line)


def say_json(value: Mapping[str, Any]) -> None:
    """Write the whole result as one JSON object."""
    sys.stdout.write(json.dumps(value, allow_nan=False) + "\n")


def remark(line: str) -> None:
    """Write a line beside the result."""
    sys.stderr.write(f"{hidden_shown(line)}\n")


def complain(text: str, status: ExitStatus, *, as_json: bool) -> None:
    """Say what went wrong, in the form that the caller reads."""
    if as_json:
        error = {"error": {"message": text, "status": int(status), "name": status.name}}
        sys.stderr.write(json.dumps(error) + "\n")
    else:
        # One line, whatever a library's text or a file's name holds.
        remark(f"dermassist: {' '.join(text.splitlines())}")


@contextmanager
def progress(label: str, total: int) -> Iterator[Advance]:
    """Draw a progress bar on standard error where that is a terminal."""
    from rich.console import Console  # noqa: PLC0415 - costs start-up time where no bar is drawn
    from rich.progress import Progress  # noqa: PLC0415 - likewise

    # Not rich's own guess: it draws into pipes and files where FORCE_COLOR is set.
    drawn = sys.stderr.isatty()
    with Progress(console=Console(stderr=True), disable=not drawn, transient=True) as bar:
        task = bar.add_task(label, total=total)

        def advance(steps: int = 1) -> None:
            bar.advance(task, steps)

        yield advance
