"""``dermassist report``: the PDF of an assessment that was saved before."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dermassist.errors import ConfigError, DataError
from dermassist.interfaces.cli.analyze import (
    HEATMAP_NAME,
    OVERLAY_NAME,
    UNREADABLE,
    Drawing,
    diagnosis_of,
)
from dermassist.interfaces.cli.option import Json, Model, Tta
from dermassist.interfaces.cli.output import remark, say, say_json
from dermassist.interfaces.cli.place import check_replaceable
from dermassist.interfaces.cli.reporting import (
    Age,
    BodySite,
    Name,
    Paper,
    PatientId,
    PatientPage,
    Remarks,
    Sex,
    is_report,
    make_report,
)
from dermassist.interfaces.cli.requirement import require_report

if TYPE_CHECKING:
    from dermassist.results import Assessment

#: What ends a folder's name.
_STROKES = tuple({os.sep, os.altsep or os.sep})


def report(
    case: Annotated[
        Path, typer.Argument(help="An assessment.json that  analyze  wrote.", readable=False)
    ],
    *,
    image: Annotated[
        Path | None,
        typer.Option(
            help="The image that was assessed; by default of its name, beside the file.",
            readable=False,
        ),
    ] = None,
    out: Annotated[
        # As text, because a path forgets the stroke that ends a folder's name.
        str | None,
        typer.Option(
            metavar="PATH",
            help="PDF file or folder (end a new folder's name with /); by default beside the "
            "assessment.",
        ),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(
            metavar="CODE", help="Diagnosis to explain; by default what  analyze  explained."
        ),
    ] = None,
    patient_id: PatientId = "",
    name: Name = "",
    age: Age = None,
    sex: Sex = None,
    body_site: BodySite = "",
    remarks: Remarks = "",
    paper: Paper = "A4",
    patient_page: PatientPage = False,
    model: Model = None,
    tta: Tta = False,
    as_json: Json = False,
) -> None:
    """Make the PDF report of a saved assessment: the same file that  analyze --pdf  makes."""
    require_report("The PDF report")
    from dermassist.model.bundle import bundle_directory, read_bundle  # noqa: PLC0415 - keeps --help fast
    from dermassist.patient import PatientDetails  # noqa: PLC0415
    from dermassist.report import ReportOptions  # noqa: PLC0415
    from dermassist.storage import write_bytes  # noqa: PLC0415

    target = _target(out, case)
    patient = PatientDetails(patient_id, name, age, sex, body_site, remarks)
    wanted, (assessment, drawing) = diagnosis_of(explain), _read_case(case)
    shown = wanted or drawing.diagnosis
    # Pictures that explain another diagnosis than the report does are none of it.
    beside = _pictures_beside(case, drawing) if shown is drawing.diagnosis else ()
    options = ReportOptions(paper, patient_page, heatmap_files=beside)
    pdf = make_report(
        assessment,
        read_bundle(bundle_directory(model, tta=tta)).manifest,
        image or _image_beside(case, assessment),
        patient=patient,
        explain=shown,
        options=options,
    )
    notes = _replaced(target, pdf, case)
    write_bytes(target, pdf)
    if as_json:
        say_json({"report": str(target), "bytes": len(pdf), "notes": notes})
    else:
        for note in notes:
            remark(note)
        say(f"Report: {target}")


def _target(out: str | None, case: Path) -> Path:
    """Return where to write the report.

    Raises:
        ConfigError: something else than a report stands there, or it is unclear whether a file or
            a folder is meant.
    """
    from dermassist.report import DEFAULT_NAME  # noqa: PLC0415 - keeps --help fast

    target = case.parent if out is None else Path(out)
    if target.is_dir() or (out is not None and out.endswith(_STROKES)):
        target /= DEFAULT_NAME
    elif not target.suffix and not target.exists():
        raise ConfigError(f"{out}: no such folder; end the name in / for a new one, or in .pdf")
    check_replaceable(target, "DermAssist report", is_report)
    return target


def _replaced(target: Path, pdf: bytes, case: Path) -> list[str]:
    """Say that another report is replaced; beside its assessment it is that one's own."""
    beside = os.path.realpath(target.parent) == os.path.realpath(case.parent)
    if beside or not target.is_file() or target.read_bytes() in {b"", pdf}:
        return []
    return [f"Replaced another report at {target}."]


def _read_case(path: Path) -> tuple[Assessment, Drawing]:
    """Return a saved assessment and what the pictures that were saved with it show."""
    from dermassist.results import Assessment  # noqa: PLC0415

    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        assessment = Assessment.from_dict(values)
        return assessment, Drawing.from_dict(values, predicted=assessment.prediction.diagnosis)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; name an assessment.json") from None
    except UNREADABLE as error:
        # Shortened: an error of decoding holds the whole file, such as an image named by mistake.
        raise DataError(
            f"{path}: is no assessment that  analyze  wrote ({error!r:.200}); "
            "name an assessment.json"
        ) from error


def _pictures_beside(case: Path, drawing: Drawing) -> tuple[str, ...]:
    saved = (name for name in (HEATMAP_NAME, OVERLAY_NAME) if (case.parent / name).is_file())
    return drawing.picture_names(saved)


def _image_beside(case: Path, assessment: Assessment) -> Path:
    # The name alone: an assessment from elsewhere must not make this read any file it names.
    path = case.parent / Path(assessment.image.name).name
    if not path.is_file():
        raise DataError(f"{path}: the image is not beside the assessment; name it with --image")
    return path
