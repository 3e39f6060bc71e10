"""What ``analyze --pdf`` and ``report`` share: patient options, and the report as bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dermassist.interfaces.cli.output import remark

if TYPE_CHECKING:
    from dermassist.diagnosis import Diagnosis
    from dermassist.imaging import RasterImage
    from dermassist.model.manifest import Manifest
    from dermassist.patient import PatientDetails
    from dermassist.report import ReportOptions
    from dermassist.results import Assessment

PANEL = "PDF report"
_PDF_START = b"%PDF"
#: Bytes at a PDF's end in which to look for what it says of itself; in a report the last 2,000 do.
_PDF_END_LENGTH = 1 << 14

PatientId = Annotated[
    str, typer.Option("--patient-id", help="Patient's number.", rich_help_panel=PANEL)
]
Name = Annotated[str, typer.Option("--name", help="Patient's name.", rich_help_panel=PANEL)]
Age = Annotated[int | None, typer.Option("--age", help="In years.", rich_help_panel=PANEL)]
Sex = Annotated[
    str | None,
    typer.Option("--sex", help="female, male, other or unknown.", rich_help_panel=PANEL),
]
BodySite = Annotated[
    str, typer.Option("--body-site", help="Where the lesion is.", rich_help_panel=PANEL)
]
Remarks = Annotated[str, typer.Option("--remarks", help="Any text.", rich_help_panel=PANEL)]
Paper = Annotated[str, typer.Option("--paper", help="A4 or Letter.", rich_help_panel=PANEL)]
PatientPage = Annotated[
    bool,
    typer.Option(
        "--patient-page", help="Add a page in plain words for the patient.", rich_help_panel=PANEL
    ),
]


def is_report(path: Path) -> bool:
    """Tell by what a PDF says of itself whether it is a report that this program made.

    Raises:
        OSError: the file cannot be read.
    """
    from dermassist.report.composition import TITLE  # noqa: PLC0415 - keeps --help fast

    with path.open("rb") as file:
        start = file.read(len(_PDF_START))
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - _PDF_END_LENGTH))
        end = file.read()
    marks = (f">{TITLE}</rdf:li>", "<xmp:CreatorTool>dermassist ")
    return start == _PDF_START and all(mark.encode() in end for mark in marks)


def make_report(
    assessment: Assessment,
    manifest: Manifest | None,
    image: Path | RasterImage,
    *,
    patient: PatientDetails,
    explain: Diagnosis | None,
    options: ReportOptions,
) -> bytes:
    """Return the PDF, and say which characters of the patient's details no font has.

    Raises:
        MissingExtraError: the extra ``report`` is not installed.
    """
    from dermassist.report import (  # noqa: PLC0415 - keeps --help fast
        build_report,
        render_pdf,
        unprinted_characters,
    )

    content = build_report(
        assessment, manifest, image=image, patient=patient, explain=explain, options=options
    )
    pdf = render_pdf(content)
    missing = unprinted_characters(content)
    if missing:
        points = ", ".join(f"U+{ord(character):04X}" for character in missing)
        remark(
            f"No installed font has {points}: the report shows these as code points. "
            "Install a font that has them (such as Noto) and make it again."
        )
    return pdf
