"""The command line. Importing this module loads nothing heavy."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Sequence

from dermassist.errors import DermAssistError
from dermassist.interfaces.cli.exit_status import ExitStatus, status_of
from dermassist.interfaces.cli.output import complain

PROGRAM = "dermassist"
DEBUG_VARIABLE = "DERMASSIST_DEBUG"


def main() -> None:
    """Run the command that ``sys.argv`` names and exit with its status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name may hold bytes that are no text; it is shown escaped.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: Sequence[str]) -> int:
    """Run a command; whatever goes wrong becomes one sentence and a status."""
    as_json = "--json" in arguments
    try:
        status = _invoke(arguments)
        sys.stdout.flush()
    except DermAssistError as error:
        status = status_of(error)
        complain(str(error), status, as_json=as_json)
    except KeyboardInterrupt:
        status = ExitStatus.INTERRUPTED
        complain("interrupted", status, as_json=as_json)
    except BrokenPipeError:
        # Whoever read the output has gone; there is nobody left to tell.
        _discard_output()
        status = ExitStatus.CANNOT_WRITE
    except OSError as error:
        status = ExitStatus.CANNOT_WRITE
        complain(_describe(error), status, as_json=as_json)
        if error.filename is None:
            _discard_output()
    except Exception as error:  # noqa: BLE001 - the one place where everything else is caught
        status = ExitStatus.UNEXPECTED
        if os.environ.get(DEBUG_VARIABLE):
            traceback.print_exc()
        hint = f"set {DEBUG_VARIABLE}=1 for the traceback and report it"
        complain(f"unexpected {type(error).__name__}: {error}; {hint}", status, as_json=as_json)
    return status


def _invoke(arguments: Sequence[str]) -> int:
    # Imported here, so that Ctrl-C while they load is handled above.
    from dermassist.interfaces.cli.invocation import invoke  # noqa: PLC0415

    return invoke(PROGRAM, arguments, as_json="--json" in arguments)


def _discard_output() -> None:
    """Let what is still buffered go nowhere, or Python would fail again when it ends."""
    with contextlib.suppress(io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _describe(error: OSError) -> str:
    place = error.filename or "the output"
    reason = error.strerror or error
    return f"{place}: {reason}; check the place, its permissions and the free space"
