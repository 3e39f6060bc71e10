"""One command line, taken apart and run, with usage errors in our own words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import typer
from typer.main import get_command

from dermassist.interfaces.cli.app import app
from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.interfaces.cli.output import complain

#: Typer exports this error's children only.
_UsageError = cast("type[Exception]", typer.BadParameter.__base__)


def invoke(program: str, arguments: Sequence[str], *, as_json: bool) -> int:
    """Run the command that the arguments name and return its exit status.

    Typer's own runner is left aside because it words every ending itself: it would write usage
    errors as text where JSON was asked for, and swallow Ctrl-C.
    """
    command = get_command(app)
    try:
        with command.make_context(program, list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as ending:
        return int(ending.exit_code)
    except _UsageError as error:
        _complain_of_usage(program, error, as_json=as_json)
        return ExitStatus.USAGE
    return ExitStatus.OK


def _complain_of_usage(program: str, error: Any, *, as_json: bool) -> None:
    message = error.format_message()
    # Without any argument Typer has written the help already and says nothing more.
    if message:
        asked = error.ctx.command_path if error.ctx is not None else program
        complain(f"{message} See  {asked} --help.", ExitStatus.USAGE, as_json=as_json)
