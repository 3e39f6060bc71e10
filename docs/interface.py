"""What is said of the command line."""

from __future__ import annotations

from docs import saved

from dermassist.interfaces.cli.exit_status import ExitStatus

_MEANINGS = {
    ExitStatus.OK: "done",
    ExitStatus.UNEXPECTED: "an error that was not foreseen: please report it",
    ExitStatus.USAGE: "an unknown option, or a missing or wrong argument",
    ExitStatus.IMAGE: "the image cannot be read, or is refused",
    ExitStatus.DATA: "a data set, label file, table or case that is missing or contradictory",
    ExitStatus.DOWNLOAD: "a download failed",
    ExitStatus.MODEL: "the model is missing, damaged or of another version",
    ExitStatus.CONFIG: "a setting, or a patient's detail, is refused",
    ExitStatus.MISSING_EXTRA: "an extra is not installed",
    ExitStatus.CANNOT_WRITE: "a result cannot be written",
    ExitStatus.SOME_FAILED: "`predict`: some images could not be answered, the others were",
    ExitStatus.CHECK_FAILED: "`doctor`, or `data check`: something is wrong",
    ExitStatus.INTERRUPTED: "stopped by Ctrl-C or SIGTERM",
}


def exit_statuses() -> str:
    """What each exit status of the commands means."""
    rows = ((str(status.value), _MEANINGS[status]) for status in ExitStatus)
    return saved.text_table(("Exit status", "Meaning"), rows)
