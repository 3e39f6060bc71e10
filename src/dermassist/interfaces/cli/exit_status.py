"""What each exit status of the command line means."""

from __future__ import annotations

from enum import IntEnum

from dermassist.errors import (
    BundleError,
    CaseError,
    ConfigError,
    DataError,
    DermAssistError,
    DownloadError,
    ImageError,
    MissingExtraError,
    PatientError,
)


class ExitStatus(IntEnum):
    """Exit statuses; scripts may rely on them."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    IMAGE = 3
    DATA = 4
    DOWNLOAD = 5
    MODEL = 6
    CONFIG = 7
    MISSING_EXTRA = 8
    CANNOT_WRITE = 9
    SOME_FAILED = 10
    CHECK_FAILED = 11
    INTERRUPTED = 130


#: More special errors first.
_STATUSES: tuple[tuple[type[DermAssistError], ExitStatus], ...] = (
    (ImageError, ExitStatus.IMAGE),
    (DownloadError, ExitStatus.DOWNLOAD),
    (DataError, ExitStatus.DATA),
    (BundleError, ExitStatus.MODEL),
    (ConfigError, ExitStatus.CONFIG),
    (PatientError, ExitStatus.CONFIG),
    (CaseError, ExitStatus.DATA),
    (MissingExtraError, ExitStatus.MISSING_EXTRA),
)


def status_of(error: DermAssistError) -> ExitStatus:
    """Return the exit status that stands for an error."""
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return status
    return ExitStatus.UNEXPECTED
