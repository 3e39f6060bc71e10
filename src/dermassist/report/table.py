"""How a table looks."""

from __future__ import annotations

from collections.abc import Sequence

from dermassist.report.canvas import Box, Canvas, Style
from dermassist.report.content import Table
from dermassist.report.style import ACCENT, BODY, PADDING_MM, PALE, RULE, STRONG
from dermassist.report.typesetting import Line

#: Widths of the columns, as shares of the whole.
_COLUMNS = (0.24, 0.38, 0.38)


def draw_table(canvas: Canvas, block: Table) -> None:
    """Draw a table of three columns in a box, whole on one page if it fits on one."""
    widths = [canvas.column_mm * share for share in _COLUMNS]
    rows = [_cells(canvas, row, widths, BODY) for row in block.rows]
    canvas.ensure(sum(_row_height(row) for row in rows) + 4 * BODY.line_mm)
    canvas.write(block.title, STRONG, x=canvas.left_mm, width_mm=canvas.column_mm)
    canvas.y += 1.0
    top = canvas.y
    _draw_row(canvas, _cells(canvas, block.header, widths, STRONG), widths, header=True)
    for row in rows:
        _draw_row(canvas, row, widths, header=False)
    canvas.frame(Box(canvas.left_mm, top, canvas.column_mm, canvas.y - top), ACCENT)


def _cells(
    canvas: Canvas, row: Sequence[str], widths: Sequence[float], style: Style
) -> list[tuple[Line, ...]]:
    return [
        canvas.lines(text, style, width - 2 * PADDING_MM)
        for text, width in zip(row, widths, strict=True)
    ]


def _row_height(cells: list[tuple[Line, ...]]) -> float:
    return max(map(len, cells)) * BODY.line_mm + 2 * PADDING_MM * 0.6


def _draw_row(
    canvas: Canvas, cells: list[tuple[Line, ...]], widths: Sequence[float], *, header: bool
) -> None:
    height, top, x = _row_height(cells), canvas.y, canvas.left_mm
    if header:
        canvas.fill(Box(x, top, canvas.column_mm, height), PALE)
    else:
        canvas.rule((x, top), (x + canvas.column_mm, top), RULE, mm=0.2)
    for place, (lines, width) in enumerate(zip(cells, widths, strict=True)):
        style = STRONG if header or place == 1 else BODY
        canvas.y = top + PADDING_MM * 0.6
        for line in lines:
            canvas.write_line(line, style, x=x + PADDING_MM, width_mm=width - 2 * PADDING_MM)
            canvas.y += BODY.line_mm
        x += width
    canvas.y = top + height
