"""One process at a time in a folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dermassist.errors import ConfigError


class InUseError(ConfigError):
    """A folder that another process works in."""


@contextmanager
def sole_use_of(folder: Path, *, lock: str, refusal: str) -> Iterator[None]:
    """Keep other processes out of a folder, which is made where it does not exist.

    The lock is SQLite's own, of an empty database: the operating system drops it with the process,
    however that ends, and it works wherever an SQLite file does. Who does not ask is not kept out.

    Args:
        folder: to work in.
        lock: name of the file that is locked; it stays there afterwards.
        refusal: what to tell the one who comes second.

    Raises:
        InUseError: another process, or another part of this one, is in there.
        ConfigError: the file system cannot lock files.
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / lock
    path.touch()
    connection = sqlite3.connect(path, timeout=0.0, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise InUseError(f"{folder}: {refusal} ({error})") from None
        raise ConfigError(
            f"{folder}: its file system cannot lock files ({error}), so nothing would keep two "
            "processes apart; give a folder on another disk"
        ) from error
    try:
        yield
    finally:
        connection.close()
