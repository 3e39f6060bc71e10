"""How the blocks of a report look."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

from dermassist.report.canvas import INK, Box, Canvas
from dermassist.report.content import (
    Bar,
    Bars,
    Block,
    Bullets,
    ColourScale,
    Facts,
    Figure,
    Figures,
    Headline,
    Paragraph,
    Section,
    Signature,
    Table,
)
from dermassist.report.style import (
    ACCENT,
    AMBER,
    BAR_GREY,
    BODY,
    CAPTION,
    GAP_MM,
    HEADING,
    HEADLINE,
    LABEL,
    PADDING_MM,
    PALE,
    PALE_AMBER,
    RULE,
    STRONG,
    STYLES,
)
from dermassist.report.table import draw_table

_LABEL_MM = 34.0
_SIDE_PICTURE_MM = (52.0, 46.0)
_FIGURE_HEIGHT_MM = 62.0
_FIGURE_GAP_MM = 4.0
_BAR_HEIGHT_MM = 3.2
_BAR_LABEL_MM = 82.0
_BAR_TEXT_MM = 16.0
#: A heading is not left alone at the foot of a page: room for it and what must stand with it.
_KEEP_WITH_HEADING_MM = 32.0
_KEEP_WITH_BARS_MM = 85.0
#: The heading itself, with what stands around it.
_HEADING_MM = 12.0
#: The summary that is signed stands above the signature.
_KEEP_WITH_SIGNATURE_MM = 112.0


def draw_section(canvas: Canvas, section: Section) -> None:
    """Draw a heading with its rule, and the blocks below it."""
    canvas.ensure(_wanted_room(canvas, section))
    canvas.y += GAP_MM
    canvas.write(section.title, HEADING, x=canvas.left_mm, width_mm=canvas.column_mm)
    right = canvas.left_mm + canvas.column_mm
    canvas.rule((canvas.left_mm, canvas.y + 0.3), (right, canvas.y + 0.3), ACCENT, mm=0.35)
    canvas.y += GAP_MM
    for block in section.blocks:
        draw_block(block, canvas)
        canvas.y += GAP_MM


def _wanted_room(canvas: Canvas, section: Section) -> float:
    kinds = {type(block) for block in section.blocks}
    if Signature in kinds:
        return _KEEP_WITH_SIGNATURE_MM
    if Bars in kinds:
        return _KEEP_WITH_BARS_MM
    pictured = [_pictures_room(canvas, block) for block in section.blocks]
    return max(_KEEP_WITH_HEADING_MM, _HEADING_MM + max(pictured, default=0.0))


def _pictures_room(canvas: Canvas, block: Block) -> float:
    """Return the height that the pictures of a block need on one page."""
    if isinstance(block, Facts) and block.figure is not None:
        return _SIDE_PICTURE_MM[1] + 2 * CAPTION.line_mm
    if isinstance(block, Figures):
        width = (canvas.column_mm - (len(block.figures) - 1) * _FIGURE_GAP_MM) / len(block.figures)
        height = max(_fitted(figure, width, _FIGURE_HEIGHT_MM)[1] for figure in block.figures)
        return height + 3 * CAPTION.line_mm + 8.0
    return 0.0


@singledispatch
def draw_block(block: Block, _canvas: Canvas) -> None:
    """Draw one block at the cursor and move the cursor below it."""
    raise TypeError(f"a report has no block of type {type(block).__name__}")


@draw_block.register
def _(block: Paragraph, canvas: Canvas) -> None:
    if block.role == "warning":
        draw_warning(canvas, block.text)
        return
    canvas.ensure(2 * BODY.line_mm)
    style = STYLES[block.role]
    canvas.write(block.text, style, x=canvas.left_mm, width_mm=canvas.column_mm)


def draw_warning(canvas: Canvas, text: str) -> None:
    """Draw a text in a box that stands out, line by line if it is longer than a page."""
    style, bar = BODY, 1.0
    for line in canvas.lines(text, style, canvas.column_mm - 6 * PADDING_MM):
        canvas.ensure(style.line_mm)
        whole = Box(canvas.left_mm, canvas.y, canvas.column_mm, style.line_mm)
        canvas.fill(whole, PALE_AMBER)
        canvas.fill(Box(whole.x, whole.y, bar, whole.height), AMBER)
        inside = canvas.column_mm - 6 * PADDING_MM
        canvas.write_line(line, style, x=whole.x + 3 * PADDING_MM, width_mm=inside)
        canvas.y += style.line_mm


@draw_block.register
def _(block: Bullets, canvas: Canvas) -> None:
    indent, style = 4.0, STYLES[block.role]
    for item in block.items:
        canvas.ensure(style.line_mm)
        canvas.write_label("\u2022", style, x=canvas.left_mm + 1.0, width_mm=indent)
        canvas.write(item, style, x=canvas.left_mm + indent, width_mm=canvas.column_mm - indent)
        canvas.y += 0.5


@draw_block.register
def _(block: Facts, canvas: Canvas) -> None:
    width, floor, page_room = canvas.column_mm, canvas.y, canvas.room_mm
    if block.figure is not None:
        canvas.ensure(_pictures_room(canvas, block))
        page_room = canvas.room_mm
        width -= _SIDE_PICTURE_MM[0] + _FIGURE_GAP_MM
        place = Box(canvas.left_mm + width + _FIGURE_GAP_MM, canvas.y, *_SIDE_PICTURE_MM)
        floor = _draw_figure(canvas, block.figure, place)
    for label, value in block.rows:
        _draw_fact(canvas, label, value, width)
    if canvas.room_mm < page_room:
        canvas.y = max(canvas.y, floor)


def _draw_fact(canvas: Canvas, label: str, value: str, width: float) -> None:
    canvas.ensure(BODY.line_mm)
    canvas.write_label(label, LABEL, x=canvas.left_mm, width_mm=_LABEL_MM)
    canvas.write(value, BODY, x=canvas.left_mm + _LABEL_MM, width_mm=width - _LABEL_MM)
    canvas.y += 0.4


@draw_block.register
def _(block: Headline, canvas: Canvas) -> None:
    canvas.ensure(LABEL.line_mm + 2 * HEADLINE.line_mm)
    canvas.write(block.label, LABEL, x=canvas.left_mm, width_mm=canvas.column_mm)
    (first, *others) = canvas.lines(block.text, HEADLINE, canvas.column_mm)
    canvas.write_line(first, HEADLINE, x=canvas.left_mm, width_mm=canvas.column_mm)
    if block.remark and not others:
        after = canvas.left_mm + canvas.text_width(first.text, HEADLINE) + 4.0
        canvas.y += (HEADLINE.size_pt - STRONG.size_pt) * 0.36
        canvas.write_label(block.remark, STRONG, x=after, width_mm=canvas.column_mm)
        canvas.y -= (HEADLINE.size_pt - STRONG.size_pt) * 0.36
    canvas.y += HEADLINE.line_mm
    for line in others:
        canvas.write_line(line, HEADLINE, x=canvas.left_mm, width_mm=canvas.column_mm)
        canvas.y += HEADLINE.line_mm


@draw_block.register
def _(block: Bars, canvas: Canvas) -> None:
    line = BODY.line_mm + 0.4
    canvas.ensure(line * len(block.bars) + GAP_MM)
    *single, total = block.bars
    for bar in single:
        _draw_bar(canvas, bar)
    canvas.rule(
        (canvas.left_mm, canvas.y + 0.5),
        (canvas.left_mm + canvas.column_mm, canvas.y + 0.5),
        RULE,
        mm=0.2,
    )
    canvas.y += 1.2
    _draw_bar(canvas, total)


def _draw_bar(canvas: Canvas, bar: Bar) -> None:
    style = STRONG if bar.strong else BODY
    left, line = canvas.left_mm, BODY.line_mm
    canvas.write_label(bar.label, style, x=left, width_mm=_BAR_LABEL_MM)
    if bar.tag:
        after = left + canvas.text_width(bar.label, style) + 2.0
        canvas.write_label(bar.tag, CAPTION, x=after, width_mm=_BAR_LABEL_MM)
    length = canvas.column_mm - _BAR_LABEL_MM - _BAR_TEXT_MM
    track = Box(
        left + _BAR_LABEL_MM, canvas.y + (line - _BAR_HEIGHT_MM) / 2, length, _BAR_HEIGHT_MM
    )
    canvas.fill(track, PALE)
    if bar.share > 0.0:
        done = Box(track.x, track.y, length * bar.share, track.height)
        canvas.fill(done, ACCENT if bar.strong else BAR_GREY)
    if bar.mark is not None:
        x = track.x + length * bar.mark
        canvas.rule((x, track.y - 0.8), (x, track.y + track.height + 0.8), AMBER, mm=0.7)
    right = left + canvas.column_mm
    canvas.write_label(
        bar.text,
        style,
        x=right - _BAR_TEXT_MM,
        width_mm=_BAR_TEXT_MM,
        right=True,
    )
    canvas.y += line + 0.4


@draw_block.register
def _(block: Figures, canvas: Canvas) -> None:
    count = len(block.figures)
    width = (canvas.column_mm - (count - 1) * _FIGURE_GAP_MM) / count
    canvas.ensure(_pictures_room(canvas, block))
    top = canvas.y
    floors = []
    for place, figure in enumerate(block.figures):
        canvas.y = top
        x = canvas.left_mm + place * (width + _FIGURE_GAP_MM)
        floors.append(_draw_figure(canvas, figure, Box(x, top, width, _FIGURE_HEIGHT_MM)))
    canvas.y = max(floors) + 1.0
    _draw_scale(canvas, block.scale)


def _draw_figure(canvas: Canvas, figure: Figure, place: Box) -> float:
    """Draw a picture with its caption in a place; return where it ends, leaving the cursor."""
    top = canvas.y
    width, height = _fitted(figure, place.width, place.height)
    canvas.picture(figure, Box(place.x, place.y, width, height))
    canvas.y = place.y + height + 1.0
    for line in canvas.lines(figure.caption, CAPTION, place.width):
        canvas.write_line(line, CAPTION, x=place.x, width_mm=place.width)
        canvas.y += CAPTION.line_mm
    floor, canvas.y = canvas.y, top
    return floor


def _fitted(figure: Figure, width: float, height: float) -> tuple[float, float]:
    """Return the largest size within a place that keeps the picture's proportions."""
    factor = min(width / figure.width_px, height / figure.height_px)
    return figure.width_px * factor, figure.height_px * factor


def _draw_scale(canvas: Canvas, scale: ColourScale) -> None:
    strip_width, strip_height = 46.0, 2.8
    x = canvas.left_mm
    canvas.write_label(scale.low, CAPTION, x=x, width_mm=canvas.column_mm)
    x += canvas.text_width(scale.low, CAPTION) + 2.0
    y = canvas.y + (CAPTION.line_mm - strip_height) / 2
    canvas.picture(scale.strip, Box(x, y, strip_width, strip_height))
    canvas.write_label(scale.high, CAPTION, x=x + strip_width + 2.0, width_mm=canvas.column_mm)
    canvas.y += CAPTION.line_mm


@draw_block.register
def _(block: Table, canvas: Canvas) -> None:
    draw_table(canvas, block)


@draw_block.register
def _(block: Signature, canvas: Canvas) -> None:
    first, *others = block.labels
    height = 13.0
    canvas.ensure(2 * height)
    _draw_lines(canvas, (first,), height)
    _draw_lines(canvas, others, height)


def _draw_lines(canvas: Canvas, labels: Sequence[str], height: float) -> None:
    gap = 8.0
    width = (canvas.column_mm - gap * (len(labels) - 1)) / len(labels)
    canvas.y += height - LABEL.line_mm
    for place, label in enumerate(labels):
        x = canvas.left_mm + place * (width + gap)
        canvas.rule((x, canvas.y), (x + width, canvas.y), INK, mm=0.25)
        canvas.write_label(label, LABEL, x=x, width_mm=width)
    canvas.y += LABEL.line_mm
