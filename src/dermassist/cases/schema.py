"""The tables. An image lies in the same database as its case: one transaction keeps both."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, ForeignKey, LargeBinary, String, Text, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

#: Of the tables; a book of a newer one is refused.
SCHEMA_VERSION = 1


class StoredTime(TypeDecorator[datetime]):
    """A time; read as ``None`` where it is none, since SQLite keeps any text in such a column.

    An error here would be the whole result's, so that one such row would hide all others.
    """

    impl = DateTime
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """Return what reads a value of the column."""
        read = super().result_processor(dialect, coltype)

        def process(value: Any) -> Any:
            try:
                return value if read is None else read(value)
            except (TypeError, ValueError):
                return None

        return process


class Base(DeclarativeBase):
    """All tables of the case book."""


class BookRow(Base):
    """One row: which schema the book has."""

    __tablename__ = "dermassist_book"

    schema_version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class CaseRow(Base):
    """One case: columns that are searched and listed, then its documents as JSON.

    SQLite reads a row up to the last column it needs, so the long ones stand last.
    """

    __tablename__ = "dermassist_case"

    case_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    saved_at: Mapped[datetime] = mapped_column(StoredTime(), index=True)
    diagnosis: Mapped[str] = mapped_column(String(8))
    referred: Mapped[bool | None]
    outcome: Mapped[str | None] = mapped_column(Text)
    outcome_diagnosis: Mapped[str | None] = mapped_column(String(8))
    summary: Mapped[str] = mapped_column(Text)
    searched: Mapped[str] = mapped_column(Text)
    patient: Mapped[str] = mapped_column(Text)
    #: Unused, NULL in new rows. It stays so that this version and those before it share a book.
    explained: Mapped[str | None] = mapped_column(String(8))
    assessment: Mapped[str] = mapped_column(Text)


class ImageRow(Base):
    """The exact bytes of a case's image, apart, so that searching does not pass over them."""

    __tablename__ = "dermassist_image"

    case_id: Mapped[str] = mapped_column(ForeignKey(CaseRow.case_id), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
