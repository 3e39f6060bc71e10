"""HAM10000's table of images, as the archive delivers it and as comma-separated text."""

from __future__ import annotations

import csv
import io

from dermassist.data.ham10000 import METADATA_COLUMNS
from dermassist.errors import DataError

_COLUMNS = (*METADATA_COLUMNS, "dataset")


def to_comma_separated(table: bytes) -> bytes:
    """Turn the metadata table, comma- or tab-separated, into comma-separated UTF-8 text.

    A comma-separated table is returned byte for byte, so that it keeps its checksum.

    Raises:
        DataError: it is not text, lacks a column or all rows, or a row has too few or too many
            cells.
    """
    try:
        text = table.decode("utf-8-sig")
        # A table that Dataverse converted separates by tabs, whatever its name says.
        delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"The metadata is no table of text ({error}): download it again."
        ) from error
    _require_sound(rows)
    if delimiter == ",":
        return table
    target = io.StringIO(newline="")
    csv.writer(target, lineterminator="\n").writerows(rows)
    return target.getvalue().encode("utf-8")


def _require_sound(rows: list[list[str]]) -> None:
    header = rows[0] if rows else []
    missing = [column for column in _COLUMNS if column not in header]
    if missing:
        raise DataError(
            f"The metadata table lacks {', '.join(missing)}; its first line is "
            f"{','.join(header)!r:.200}. Download it again, or use the official HAM10000_metadata."
        )
    uneven = [number for number, row in enumerate(rows, start=1) if len(row) != len(header)]
    if uneven or len(rows) == 1:
        reason = f"row {uneven[0]} has not {len(header)} cells" if uneven else "it has no rows"
        raise DataError(f"The metadata table is damaged: {reason}. Download it again.")
