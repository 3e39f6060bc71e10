"""Tables as plain text and as Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dermassist.errors import DataError

if TYPE_CHECKING:
    from dermassist.evaluation.bootstrap import Estimate

UNDEFINED = "n/a"


@dataclass(frozen=True)
class Table:
    """Cells as texts; the first column names the row, the others are numbers.

    Raises:
        DataError: a row has another number of cells than the header.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    #: Sentences that the reader needs beside the numbers.
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise DataError(f"table row {row} must have {len(self.header)} cells")


def format_number(value: float, *, digits: int = 3) -> str:
    """Return a number with fixed digits; nan is ``n/a``."""
    return UNDEFINED if np.isnan(value) else f"{value:.{digits}f}"


def format_estimate(estimate: Estimate, *, digits: int = 3) -> str:
    """Return ``value [low, high]``; without an interval the value alone, nan as ``n/a``.

    A share of 0 or 1 that every resample repeats has no interval: it would say nothing.
    """
    value = format_number(estimate.value, digits=digits)
    if np.isnan(estimate.low) or estimate.repeated:
        return value
    low, high = (format_number(end, digits=digits) for end in (estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def render_text(table: Table) -> str:
    """Return a table aligned for a terminal, without a trailing line break."""
    columns = list(zip(table.header, *table.rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    header, *rows = (_aligned(cells, widths) for cells in (table.header, *table.rows))
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    notes = [f"  {note}" for note in table.notes]
    return "\n".join([table.title, "", header, rule, *rows, *([""] if notes else []), *notes])


def render_markdown(table: Table) -> str:
    """Return a GitHub-flavoured Markdown table with a bold title, without trailing line break."""
    alignment = ["---", *["---:"] * (len(table.header) - 1)]
    lines = [_piped(table.header), _piped(alignment), *(_piped(row) for row in table.rows)]
    notes = [f"- {_escaped(note)}" for note in table.notes]
    return "\n".join([f"**{_escaped(table.title)}**", "", *lines, *([""] if notes else []), *notes])


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return "  ".join(padded).rstrip()


def _piped(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(_escaped(cell) for cell in cells)} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")
