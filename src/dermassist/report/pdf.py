"""The report as a PDF file: archivable (PDF/A-2u), and the same bytes for the same content."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dermassist.errors import MissingExtraError
from dermassist.patient import PatientDetails
from dermassist.report.content import DEFAULT_NAME, ReportContent
from dermassist.storage import write_bytes

if TYPE_CHECKING:
    from types import ModuleType

    from dermassist.report.font import FontCollection

_OPTIONAL_LIBRARIES = {"fpdf", "fontTools", "uharfbuzz"}


def render_pdf(content: ReportContent, *, fonts: FontCollection | None = None) -> bytes:
    """Return a report as PDF.

    Args:
        content: what the report says.
        fonts: by default the bundled ones, then those installed for characters they lack.

    Raises:
        MissingExtraError: the optional libraries of ``report`` are not installed.
    """
    document, collection = _drawing()
    pdf: bytes = document.draw_report(content, fonts or collection.FontCollection())
    return pdf


def write_report(
    path: str | Path, content: ReportContent, *, fonts: FontCollection | None = None
) -> Path:
    """Write a report whole or not at all, and return its path.

    Args:
        path: of the file, or of a folder that gets ``DermAssist_Report.pdf``; a new folder's name
            ends with a slash, as text.
        content: what the report says.
        fonts: as in ``render_pdf``.

    Raises:
        MissingExtraError: the optional libraries of ``report`` are not installed.
        OSError: the folder cannot be written to.
    """
    target = Path(path)
    # A path object has lost the slash that says what was meant.
    if target.is_dir() or str(path).endswith(("/", os.sep)):
        target /= DEFAULT_NAME
    write_bytes(target, render_pdf(content, fonts=fonts))
    return target


def unprinted_characters(
    content: ReportContent | PatientDetails, *, fonts: FontCollection | None = None
) -> tuple[str, ...]:
    """Return the characters that the PDF shows as code points, because no font has them.

    Args:
        content: what the report says, or only what was stated of the patient.
        fonts: as in ``render_pdf``.

    Raises:
        MissingExtraError: the optional libraries of ``report`` are not installed.
    """
    document, collection = _drawing()
    missing: tuple[str, ...] = document.missing_characters(
        content, fonts or collection.FontCollection()
    )
    return missing


def _drawing() -> tuple[ModuleType, ModuleType]:
    """Import what needs the optional libraries."""
    try:
        import uharfbuzz  # noqa: F401, PLC0415 - fpdf2 does without it, joined scripts do not

        from dermassist.report import document, font  # noqa: PLC0415 - optional libraries
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] not in _OPTIONAL_LIBRARIES:
            raise
        raise MissingExtraError("The PDF report", extra="report") from error
    return document, font
