"""Times as the case book keeps and shows them."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


def to_stored(time: datetime) -> datetime:
    """Return a time as the table has it: in UTC, without saying so."""
    return time.astimezone(UTC).replace(tzinfo=None)


def to_iso(stored: datetime | None) -> str:
    """Return a time of the table as ISO 8601 with its offset.

    Raises:
        ValueError: there is none, or none that can be read.
    """
    if stored is None:
        raise ValueError("its time cannot be read")
    return stored.replace(tzinfo=UTC).isoformat()
