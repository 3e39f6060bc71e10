"""A page to write on: texts of any script, boxes and pictures, with a cursor that turns pages."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import TextDirection
from fpdf.fonts import TTFFont

from dermassist.report.content import PAPERS, Figure
from dermassist.report.font import FontCollection
from dermassist.report.metadata import COMPLIANCE, xmp
from dermassist.report.typesetting import Line, Run, printable, visual_runs, wrap

Colour = tuple[int, int, int]

INK: Colour = (31, 41, 51)
MARGIN_MM = 15.0
TOP_MM = 15.0
BOTTOM_MM = 18.0
_POINT_MM = 25.4 / 72.0
#: Of the font size: lines are this far apart, and capitals this high over their base line.
_LEADING, _RISE = 1.4, 1.02


@dataclass(frozen=True)
class Style:
    """How a text is set; the size is in points."""

    size_pt: float = 9.5
    bold: bool = False
    colour: Colour = INK

    @property
    def line_mm(self) -> float:
        """Height of a line."""
        return self.size_pt * _LEADING * _POINT_MM


@dataclass(frozen=True)
class Box:
    """A rectangle on the page, in mm from its upper left corner."""

    x: float
    y: float
    width: float
    height: float


class Canvas:
    """Pages of one size, and a cursor ``y`` in mm from the top of the present one."""

    def __init__(self, *, paper: str, fonts: FontCollection) -> None:
        """Start a document with one empty page.

        Args:
            paper: a key of ``PAPERS``.
            fonts: that print every text.
        """
        self.fonts = fonts
        self.width_mm, self.height_mm = PAPERS[paper]
        self.y = TOP_MM
        self._pdf = FPDF(unit="mm", format=PAPERS[paper], enforce_compliance=COMPLIANCE)
        # Otherwise a text with fpdf2's page count alias would print another text.
        self._pdf.alias_nb_pages(None)  # type: ignore[arg-type] # documented, not annotated
        self._pdf.set_auto_page_break(auto=False)
        self._pdf.c_margin = 0.0
        self._pdf.set_lang("en")
        self._families: dict[Path, str] = {}
        self._widths: dict[tuple[str, bool], float] = {}
        self._pdf.add_page()

    @property
    def left_mm(self) -> float:
        """Left edge of the column."""
        return MARGIN_MM

    @property
    def column_mm(self) -> float:
        """Width of the column."""
        return self.width_mm - 2 * MARGIN_MM

    @property
    def room_mm(self) -> float:
        """Height that is left on the page."""
        return self.height_mm - BOTTOM_MM - self.y

    def describe(self, *, title: str, creator: str, created: datetime) -> None:
        """Set what viewers and archives show of the document; never a patient's data.

        Args:
            title: of the document.
            creator: the program that made it.
            created: with its time zone.
        """
        # The file's identifier follows from its content and this time.
        self._pdf.set_creation_date(created)
        self._pdf.set_xmp_metadata(xmp(title=title, creator=creator, created=created))

    def turn_page(self) -> None:
        """Go on at the top of a new page."""
        self._pdf.add_page()
        self.y = TOP_MM

    def ensure(self, height_mm: float) -> None:
        """Turn the page unless so much room is left, or the page is still empty."""
        if height_mm > self.room_mm and self.y > TOP_MM:
            self.turn_page()

    def lines(self, text: str, style: Style, width_mm: float) -> tuple[Line, ...]:
        """Return a text as lines that fit a width, in the order of reading."""
        return wrap(
            printable(text, self.fonts), width_mm, lambda part: self.text_width(part, style)
        )

    def text_width(self, text: str, style: Style) -> float:
        """Return the width of a printable text without line breaks, in mm."""
        key = (text, style.bold)
        if key not in self._widths:
            runs = visual_runs(Line(text), self.fonts)
            self._widths[key] = sum(self._measured(run, style) for run in runs)
        # Widths are in proportion to the size, so they are kept for a size of 1 pt.
        return self._widths[key] * style.size_pt * _POINT_MM

    def write(self, text: str, style: Style, *, x: float, width_mm: float) -> None:
        """Write a text at the cursor, over several pages if need be, and move the cursor below."""
        for line in self.lines(text, style, width_mm):
            self.ensure(style.line_mm)
            self.write_line(line, style, x=x, width_mm=width_mm)
            self.y += style.line_mm

    def write_line(
        self, line: Line, style: Style, *, x: float, width_mm: float, right: bool = False
    ) -> None:
        """Write one line at the cursor without moving it.

        Args:
            line: as ``lines`` returns it.
            style: of the text.
            x: left edge in mm.
            width_mm: of the place for it.
            right: align at the right edge, as lines that run from right to left always are.
        """
        runs = visual_runs(line, self.fonts)
        unit = style.size_pt * _POINT_MM
        widths = [self._measured(run, style) * unit for run in runs]
        if right or line.rtl:
            x += width_mm - sum(widths)
        self._pdf.set_text_color(*style.colour)
        for run, width in zip(runs, widths, strict=True):
            self._write_run(run, style, Box(x, self.y + unit * _RISE, width, 0.0))
            x += width

    def write_label(
        self, text: str, style: Style, *, x: float, width_mm: float, right: bool = False
    ) -> None:
        """Write a short text that is known to fit on one line, as ``write_line`` does."""
        line = Line(printable(text, self.fonts))
        self.write_line(line, style, x=x, width_mm=width_mm, right=right)

    def fill(self, box: Box, colour: Colour) -> None:
        """Fill a rectangle."""
        self._pdf.set_fill_color(*colour)
        self._pdf.rect(box.x, box.y, box.width, box.height, style="F")

    def frame(self, box: Box, colour: Colour) -> None:
        """Draw the outline of a rectangle."""
        self._pdf.set_draw_color(*colour)
        self._pdf.set_line_width(0.2)
        self._pdf.rect(box.x, box.y, box.width, box.height, style="D")

    def rule(
        self, start: tuple[float, float], end: tuple[float, float], colour: Colour, *, mm: float
    ) -> None:
        """Draw a line of some thickness."""
        self._pdf.set_draw_color(*colour)
        self._pdf.set_line_width(mm)
        self._pdf.line(*start, *end)

    def picture(self, figure: Figure, box: Box) -> None:
        """Draw a picture that fills a rectangle."""
        self._pdf.image(
            io.BytesIO(figure.picture),
            x=box.x,
            y=box.y,
            w=box.width,
            h=box.height,
            alt_text=figure.alternative,
        )

    def number_pages(self, footer: str, style: Style) -> None:
        """Write the footer and "page n of m" below every page."""
        pages = self._pdf.pages_count
        (footer_line, *_) = self.lines(footer, style, self.column_mm * 0.8)
        for page in range(1, pages + 1):
            self._pdf.page = page
            # The font of another page is not that of this one.
            self._pdf.current_font_is_set_on_page = False
            self.y = self.height_mm - BOTTOM_MM + 6.0
            self.write_line(footer_line, style, x=self.left_mm, width_mm=self.column_mm)
            number = f"Page {page} of {pages}"
            self.write_label(number, style, x=self.left_mm, width_mm=self.column_mm, right=True)

    def to_bytes(self) -> bytes:
        """Return the finished document."""
        return bytes(self._pdf.output())

    def close(self) -> None:
        """Close the font files, which fpdf2 leaves open."""
        for font in self._pdf.fonts.values():
            if isinstance(font, TTFFont):
                font.ttfont.close()

    def _write_run(self, run: Run, style: Style, place: Box) -> None:
        """Write a run on a base line, ``place.y``."""
        self._pdf.set_font(self._loaded(run, style), size=style.size_pt)
        if not run.shaped:
            self._pdf.text(place.x, place.y, run.text)
            return
        direction = TextDirection.RTL if run.rtl else TextDirection.LTR
        self._pdf.set_text_shaping(use_shaping_engine=True, direction=direction)
        # fpdf2 shapes in cells only; theirs puts the base line at 0.5 h + 0.3 of the font size.
        height = self._pdf.font_size
        self._pdf.set_xy(place.x, place.y - 0.8 * height)
        self._pdf.cell(w=place.width, h=height, text=run.text)
        self._pdf.set_text_shaping(use_shaping_engine=False)

    def _measured(self, run: Run, style: Style) -> float:
        """Return the width of a run at a size of 1 pt, in pt."""
        font = self._pdf.fonts[self._loaded(run, style)]
        shaping = None
        if run.shaped:
            direction = TextDirection.RTL if run.rtl else TextDirection.LTR
            shaping = {"features": {}, "fragment_direction": direction}
        return float(font.get_text_width(run.text, 1000.0, shaping)[1]) / 1000.0

    def _loaded(self, run: Run, style: Style) -> str:
        """Return the name by which fpdf2 knows a run's font, loading it at its first use."""
        path = run.font.file(run.text, bold=style.bold)
        if path not in self._families:
            self._families[path] = f"font{len(self._families)}"
            self._pdf.add_font(self._families[path], "", path)
        return self._families[path]
