"""A whole report on its pages."""

from __future__ import annotations

import unicodedata
from contextlib import closing
from datetime import UTC, datetime

import dermassist
from dermassist.patient import PatientDetails
from dermassist.report.canvas import Box, Canvas, Style
from dermassist.report.content import Paragraph, ReportContent, texts
from dermassist.report.drawing import draw_block, draw_section, draw_warning
from dermassist.report.font import FontCollection
from dermassist.report.style import ACCENT, BODY, CAPTION, GAP_MM, GREY, NOTE
from dermassist.report.typesetting import unprintable

TITLE = Style(20.0, bold=True, colour=ACCENT)
#: Characters without a font that are listed by name; more are counted.
_MOST_NAMED = 24
_UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)


def draw_report(content: ReportContent, fonts: FontCollection) -> bytes:
    """Return the PDF of a report."""
    printed = tuple(texts(content))
    collection = fonts.extended("".join(printed))
    with closing(Canvas(paper=content.paper, fonts=collection)) as canvas:
        canvas.describe(
            title=content.title,
            creator=f"dermassist {dermassist.__version__}",
            created=_moment(content.created),
        )
        _draw_head(canvas, content)
        _draw_missing(canvas, unprintable("".join(printed), collection))
        _draw_body(canvas, content)
        canvas.number_pages(f"{content.title} | {content.footer}", CAPTION)
        return canvas.to_bytes()


def missing_characters(
    content: ReportContent | PatientDetails, fonts: FontCollection
) -> tuple[str, ...]:
    """Return the characters that are printed as code points, each once."""
    text = "".join(texts(content))
    return unprintable(text, fonts.extended(text))


def _draw_head(canvas: Canvas, content: ReportContent) -> None:
    canvas.write_label(content.title, TITLE, x=canvas.left_mm, width_mm=canvas.column_mm)
    canvas.y += 2.6
    stamp = Style(8.5, colour=GREY)
    canvas.write_label(
        content.created_words, stamp, x=canvas.left_mm, width_mm=canvas.column_mm, right=True
    )
    canvas.y += TITLE.line_mm - 2.6
    canvas.fill(Box(canvas.left_mm, canvas.y, canvas.column_mm, 0.9), ACCENT)
    canvas.y += 0.9 + GAP_MM
    draw_warning(canvas, content.notice)


def _draw_body(canvas: Canvas, content: ReportContent) -> None:
    for section in content.sections:
        draw_section(canvas, section)
    _draw_sources(canvas, content.sources)
    if content.patient_page is not None:
        canvas.turn_page()
        draw_section(canvas, content.patient_page)


def _draw_missing(canvas: Canvas, characters: tuple[str, ...]) -> None:
    if not characters:
        return
    canvas.y += GAP_MM
    names = [f"U+{ord(c):04X} {unicodedata.name(c, '')}".strip() for c in characters]
    listed = ", ".join(names[:_MOST_NAMED])
    more = f", and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    draw_block(
        Paragraph(
            "Some characters are invisible, or no font at hand has them. They are printed as their "
            f"code points in brackets: {listed}{more}.",
            "warning",
        ),
        canvas,
    )


def _draw_sources(canvas: Canvas, sources: tuple[str, ...]) -> None:
    canvas.ensure(4 * NOTE.line_mm)
    canvas.write("Sources", BODY, x=canvas.left_mm, width_mm=canvas.column_mm)
    for number, source in enumerate(sources, start=1):
        canvas.ensure(NOTE.line_mm)
        canvas.write_label(f"[{number}]", NOTE, x=canvas.left_mm, width_mm=8.0)
        canvas.write(source, NOTE, x=canvas.left_mm + 8.0, width_mm=canvas.column_mm - 8.0)


def _moment(created: str) -> datetime:
    """Return the time of a report; one that cannot be read must not become the present one."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return _UNKNOWN_TIME
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
