"""What a disk can refuse, told to a person."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dermassist.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def require_space(folder: Path, needed_bytes: int, *, purpose: str) -> None:
    """Refuse work that would fill the disk.

    Args:
        folder: an existing folder on the disk in question.
        needed_bytes: how much will be written there.
        purpose: what for, as it reads after "to": ``"download a.zip"``.

    Raises:
        DataError: fewer bytes than that are free.
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise DataError(
            f"To {purpose}, {needed_bytes:,} bytes are needed in {folder}, but only {free_bytes:,} "
            "are free: make room, or choose a folder on another disk."
        )


@contextmanager
def explained_disk_errors(path: Path) -> Iterator[None]:
    """Turn what the system refuses (no permission, disk full) into a DataError on ``path``."""
    try:
        yield
    except OSError as error:
        culprit = error.filename or path
        raise DataError(
            f"Cannot read or write {culprit}: {error.strerror or error}. "
            "Check its permissions and the room on the disk."
        ) from error
