"""One search at a time in a folder."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dermassist.errors import ConfigError

LOCK_NAME = "search.lock"


@contextmanager
def only_search_in(folder: Path) -> Iterator[None]:
    """Keep other searches out of a folder, which is made where it does not exist.

    The lock is SQLite's own, of an empty database: the operating system drops it with the process,
    however that ends, and it works wherever the study's file does.

    Raises:
        ConfigError: another search works in the folder.
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK_NAME
    path.touch()
    connection = sqlite3.connect(path, timeout=0.0, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        raise ConfigError(
            f"{folder}: another search works here ({error}); wait for it, use --workers for more "
            "processes, or give another folder and the same --storage"
        ) from None
    try:
        yield
    finally:
        connection.close()
