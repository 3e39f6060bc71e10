"""Colours and sizes of a report."""

from __future__ import annotations

from dermassist.report.canvas import Colour, Style

ACCENT: Colour = (15, 82, 104)
GREY: Colour = (92, 104, 117)
RULE: Colour = (197, 205, 213)
PALE: Colour = (238, 243, 246)
AMBER: Colour = (180, 110, 0)
PALE_AMBER: Colour = (255, 246, 227)
BAR_GREY: Colour = (146, 160, 173)

BODY = Style()
PLAIN = Style(12.0)
NOTE = Style(8.5, colour=GREY)
LABEL = Style(8.5, colour=GREY)
CAPTION = Style(8.0, colour=GREY)
STRONG = Style(9.5, bold=True)
HEADING = Style(12.0, bold=True, colour=ACCENT)
HEADLINE = Style(16.0, bold=True)

#: By the role of a text.
STYLES = {"body": BODY, "lead": STRONG, "note": NOTE, "plain": PLAIN}

#: Between blocks.
GAP_MM = 2.2
#: Inside boxes.
PADDING_MM = 1.4
