"""The database of a case book: made for its owner alone, safe for several processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, insert, inspect, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, ProgrammingError, SQLAlchemyError
from sqlalchemy.orm import Session

from dermassist.cases.schema import SCHEMA_VERSION, Base, BookRow
from dermassist.errors import CaseError

FILE_NAME = "cases.sqlite3"
#: Seconds to wait for another process that is writing.
_BUSY_TIMEOUT_S = 20.0
_PAUSE_S = 0.01
_FULL_VACUUM = 1
_SQLITE_SETTINGS = (
    # Freed pages are overwritten: what is deleted is gone.
    "PRAGMA secure_delete = ON",
    # Readers and one writer at a time; a commit is on the disk before it is reported.
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # Nothing of a patient in the system's folder for temporary files.
    "PRAGMA temp_store = MEMORY",
)
_ADVICE = {
    "SQLITE_BUSY": "another program is using it; try again when that has finished",
    "SQLITE_CANTOPEN": "see that the folder exists and that you may write to it",
    "SQLITE_CORRUPT": "put back a copy of the file from a backup",
    "SQLITE_FULL": "make space on the disk and try again",
    "SQLITE_IOERR": "look at the disk and its free space, then try again",
    "SQLITE_NOTADB": "move the file away, or choose another folder",
    "SQLITE_READONLY": "see that you may write to the file and its folder",
}


def open_database(folder: Path, url: str | None) -> Engine:
    """Open or make the database of a case book.

    Args:
        folder: of the SQLite file, made for its owner alone; unused if there is a URL.
        url: any SQLAlchemy URL, such as PostgreSQL's; by default the file in the folder.

    Raises:
        CaseError: it cannot be opened, is no case book, or one of a newer version.
    """
    address = URL.create("sqlite", database=str(folder / FILE_NAME)) if url is None else _read(url)
    shown = address.database if _is_file(address) else address.render_as_string()
    with _explained(f"{shown}: the case book cannot be opened"):
        engine = _sqlite_engine(address) if _is_file(address) else _engine(address)
        try:
            _prepare(engine)
            # A process may have died deleting. If the journal cannot be emptied now, because
            # somebody reads or the disk is full, that keeps nobody from the cases.
            with suppress(CaseError):
                _empty_journal(engine)
        except BaseException:
            engine.dispose()
            raise
    return engine


def database_host(url: str) -> str | None:
    """Return the machine that a database's URL names; ``None`` for a file, a socket or none.

    A URL that cannot be read names none; opening it says why.
    """
    try:
        address = make_url(url)
    except ArgumentError:
        return None
    # Where PostgreSQL's own drivers take several, or a folder with a socket.
    others = address.query.get("host", ())
    named = address.host or (others if isinstance(others, str) else ",".join(others))
    return None if _is_file(address) or named.startswith("/") else named or None


@contextmanager
def reading(engine: Engine, failure: str) -> Iterator[Session]:
    """Yield a session that sees the book as it is at one moment.

    Args:
        engine: of the database.
        failure: what to say if the database fails, such as "the case cannot be read".

    Raises:
        CaseError: the disk or the database failed.
    """
    with _explained(failure), Session(engine) as session:
        yield session


@contextmanager
def writing(engine: Engine, failure: str) -> Iterator[Session]:
    """Yield a session whose changes are kept, all of them, if the block succeeds.

    Raises:
        CaseError: the disk or the database failed; nothing was changed.
    """
    with _explained(failure), Session(_writer(engine)) as session, session.begin():
        yield session


def forget_deleted(engine: Engine) -> bool:
    """Take what was deleted out of SQLite's journal as well; wait for those who read.

    Returns:
        Whether that succeeded; it does not if another program reads for very long.

    Raises:
        CaseError: the disk or the database failed.
    """
    deadline = time.monotonic() + _BUSY_TIMEOUT_S
    while not (emptied := _empty_journal(engine)) and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
    return emptied


def _empty_journal(engine: Engine) -> bool:
    """Try once. While SQLite itself waited for readers here, it would let nobody write."""
    if engine.dialect.name != "sqlite":
        return True
    # SQLite refuses this inside a transaction.
    free = engine.execution_options(begin=None)
    with _explained("the journal of the case book cannot be emptied"), free.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        try:
            busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        finally:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_S * 1000:.0f}")
    return not busy


@contextmanager
def _explained(failure: str) -> Iterator[None]:
    """Turn the database's errors into ours."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        reason = getattr(error, "orig", None) or error
        primary = "_".join(getattr(reason, "sqlite_errorname", "").split("_")[:2])
        advice = f"; {_ADVICE[primary]}" if primary in _ADVICE else ""
        raise CaseError(f"{failure}: {str(reason).strip()}{advice}") from error


def _read(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError as error:
        # Not the text itself, which may hold a password.
        raise CaseError(
            "the database URL of the case book cannot be read; its form is "
            "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
        ) from error
    if _is_file(address) and (address.database or ":memory:").startswith((":", "file:")):
        raise CaseError(f"{url}: a case book needs a file; give sqlite:////FOLDER/FILE")
    return address


def _is_file(address: URL) -> bool:
    return address.get_backend_name() == "sqlite"


def _engine(address: URL) -> Engine:
    try:
        return create_engine(address, pool_pre_ping=True)
    except ImportError as error:
        raise CaseError(
            f"the database of the case book needs a driver that is not installed ({error}); for "
            'PostgreSQL run  pip install "psycopg[binary]"'
        ) from error


def _sqlite_engine(address: URL) -> Engine:
    path = Path(address.database or "")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite gives its journals the rights of the file.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    engine = create_engine(address, connect_args={"timeout": _BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: object) -> None:
    # Transactions begin where we say: the driver would begin them late, after the first reading.
    connection.isolation_level = None
    # Freed pages are given back. Settled in a new file only: set again, it is written again, and a
    # full disk would keep everybody from the cases.
    if connection.execute("PRAGMA auto_vacuum").fetchone() != (_FULL_VACUUM,):
        connection.execute(f"PRAGMA auto_vacuum = {_FULL_VACUUM}")
    for setting in _SQLITE_SETTINGS:
        connection.execute(setting)


def _begin(connection: Connection) -> None:
    statement = connection.get_execution_options().get("begin", "BEGIN")
    if statement is not None:
        connection.exec_driver_sql(statement)


def _writer(engine: Engine) -> Engine:
    # Who is going to write takes SQLite's lock first, so that what it reads stays true until then.
    return engine.execution_options(begin="BEGIN IMMEDIATE")


def _prepare(engine: Engine) -> None:
    try:
        _make_tables(engine)
    except (IntegrityError, ProgrammingError):
        # In PostgreSQL another process may have made them at the same moment.
        _make_tables(engine)


def _make_tables(engine: Engine) -> None:
    """Make the tables where there are none; refuse those that are not ours to use."""
    with _writer(engine).begin() as connection:
        names = inspect(connection).get_table_names()
        if BookRow.__tablename__ not in names:
            if names and engine.dialect.name == "sqlite":
                raise CaseError(
                    f"{engine.url.database}: is the database of another program, no case book; "
                    "choose another folder"
                )
            Base.metadata.create_all(connection)
            connection.execute(insert(BookRow).values(schema_version=SCHEMA_VERSION))
        version = connection.scalar(select(func.max(BookRow.schema_version)))
    if version != SCHEMA_VERSION:
        raise CaseError(
            f"the case book has schema version {version}, this program knows {SCHEMA_VERSION}; "
            "install a newer dermassist"
        )
