"""``dermassist analyze``: one image, answered and explained."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dermassist.errors import ConfigError
from dermassist.interfaces.cli.option import Json, Model, SqueezedFrom, Tta, pixel_aspect_of
from dermassist.interfaces.cli.output import NOTICE, say, say_json
from dermassist.interfaces.cli.reporting import (
    PANEL,
    Age,
    BodySite,
    Name,
    Paper,
    PatientId,
    PatientPage,
    Remarks,
    Sex,
    make_report,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dermassist.diagnosis import Diagnosis
    from dermassist.report import ReportOptions
    from dermassist.results import Assessment

HEATMAP_NAME = "gradcam_output.png"
OVERLAY_NAME = "gradcam_overlay.png"
ASSESSMENT_NAME = "assessment.json"
REPORT_NAME = "DermAssist_Report.pdf"


def analyze(
    image: Annotated[
        Path | None,
        typer.Argument(help="Dermatoscopic image: JPEG, PNG, TIFF, BMP, WebP.", readable=False),
    ] = None,
    *,
    sample: Annotated[bool, typer.Option(help="Analyse the bundled synthetic image.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the results.", readable=False)] = Path(
        "dermassist-results"
    ),
    explain: Annotated[
        str | None,
        typer.Option(metavar="CODE", help="Diagnosis to explain; the predicted one by default."),
    ] = None,
    signed: Annotated[bool, typer.Option(help="Show evidence against as well.")] = False,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Write the PDF report as well.", rich_help_panel=PANEL)
    ] = False,
    patient_id: PatientId = "",
    name: Name = "",
    age: Age = None,
    sex: Sex = None,
    body_site: BodySite = "",
    remarks: Remarks = "",
    paper: Paper = "A4",
    patient_page: PatientPage = False,
    squeezed_from: SqueezedFrom = None,
    model: Model = None,
    tta: Tta = False,
    as_json: Json = False,
) -> None:
    """Answer one image: diagnosis, calibrated probabilities, and where the evidence lies."""
    from dermassist.assessment import assess  # noqa: PLC0415 - keeps --help fast
    from dermassist.imaging import read_image  # noqa: PLC0415
    from dermassist.inference.classifier import Classifier  # noqa: PLC0415
    from dermassist.patient import PatientDetails  # noqa: PLC0415

    path = _path(image, sample=sample)
    wanted = diagnosis_of(explain)
    patient = PatientDetails(patient_id, name, age, sex, body_site, remarks)
    options = _report_options(paper, patient_page=patient_page) if pdf else None
    if patient.stated and not pdf:
        raise ConfigError("details of a patient are printed in the report: add --pdf")
    started = time.perf_counter()
    classifier = Classifier.load(model, tta=tta)
    original = read_image(path)
    assessment = assess(
        path, classifier=classifier, pixel_aspect=pixel_aspect_of(squeezed_from) or 1.0
    )
    shown = wanted or assessment.prediction.diagnosis
    contents = _contents(assessment, original.pixels, shown, signed=signed)
    if options is not None:
        contents[REPORT_NAME] = make_report(
            assessment,
            classifier.manifest,
            path,
            patient=patient,
            explain=wanted,
            options=options,
        )
    _write_together(out, contents)
    elapsed = time.perf_counter() - started
    if as_json:
        files = {name: str(out / name) for name in contents}
        say_json({**assessment.to_dict(), "explained": shown.code, "files": files})
    else:
        _say_assessment(assessment, shown, sample=sample, with_report=pdf)
        say(f"Written to {out}{'/' if str(out) != '/' else ''} in {elapsed:.1f} s.")
        say(NOTICE)


def _contents(
    assessment: Assessment, pixels: NDArray[np.uint8], shown: Diagnosis, *, signed: bool
) -> dict[str, bytes]:
    """Return the files that every analysis writes, by name."""
    from dermassist.explain.overlay import render_heatmap, render_overlay  # noqa: PLC0415

    info, explanation = assessment.image, assessment.explanation
    record = json.dumps(assessment.to_dict(), indent=1) + "\n"
    return {
        HEATMAP_NAME: render_heatmap(
            explanation, shown, width=info.width, height=info.height, signed=signed
        ),
        OVERLAY_NAME: render_overlay(pixels, explanation, shown, signed=signed),
        ASSESSMENT_NAME: record.encode(),
    }


def _write_together(out: Path, contents: Mapping[str, bytes]) -> None:
    """Write all files or, where one cannot be written, none."""
    from dermassist.storage import replacing  # noqa: PLC0415

    with ExitStack() as stack:
        for name, content in contents.items():
            stack.enter_context(replacing(out / name)).write_bytes(content)


def _report_options(paper: str, *, patient_page: bool) -> ReportOptions:
    from dermassist.interfaces.cli.requirement import require_report  # noqa: PLC0415
    from dermassist.report import ReportOptions  # noqa: PLC0415

    require_report("The PDF report")
    return ReportOptions(paper, patient_page, heatmap_files=(HEATMAP_NAME, OVERLAY_NAME))


def _path(image: Path | None, *, sample: bool) -> Path:
    from dermassist.sample import sample_path  # noqa: PLC0415

    if (image is None) != sample:
        raise ConfigError("give one image, or --sample")
    return sample_path() if image is None else image


def diagnosis_of(code: str | None) -> Diagnosis | None:
    """Return the diagnosis that ``--explain`` names.

    Raises:
        ConfigError: there is none of that code.
    """
    from dermassist.diagnosis import Diagnosis  # noqa: PLC0415

    try:
        return None if code is None else Diagnosis.from_code(code)
    except ValueError as error:
        raise ConfigError(f"--explain: {error}") from None


def _say_assessment(
    assessment: Assessment, shown: Diagnosis, *, sample: bool, with_report: bool
) -> None:
    from dermassist.explain.words import percent, score  # noqa: PLC0415 - keeps --help fast

    prediction = assessment.prediction
    confidence = prediction.confidence
    say(f"Predicted Category: {prediction.diagnosis}")
    say(f"Confidence Score: {score(confidence)} ({percent(confidence).replace(' %', '%')})")
    say("Grad-CAM Heatmap: Generated Successfully")
    say(f"Heatmap File: {HEATMAP_NAME}")
    say(f"Overlay Image: {OVERLAY_NAME}")
    if with_report:
        say(f"PDF Report: {REPORT_NAME}")
    say("")
    if sample:
        say("Image: the bundled sample, drawn by a program; it shows no patient and no disease.")
    if shown is not prediction.diagnosis:
        say(f"Both pictures explain {shown}, as asked, not the prediction.")
    for line in _details(assessment):
        say(line)


def _details(assessment: Assessment) -> list[str]:
    prediction = assessment.prediction
    kind = "calibrated" if prediction.calibrated else "not calibrated"
    lines = [f"Probabilities ({kind}):"]
    lines += [f"  {probability:6.1%}  {diagnosis}" for diagnosis, probability in prediction.ranked]
    referral = prediction.referral
    if referral is not None:
        relation = "reaches" if referral.advised else "is below"
        lines.append(
            f"Malignant together (mel, bcc, akiec): {referral.malignancy:.1%}; this {relation} the "
            f"referral threshold of {referral.threshold:.1%}."
        )
    if prediction.prediction_set is not None:
        members = ", ".join(str(d) for d in prediction.prediction_set.diagnoses) or "none"
        lines.append(f"Prediction set ({prediction.prediction_set.coverage:.0%}): {members}")
    lines += [
        f"Image: {remark}" for remark in (*assessment.quality.remarks, *assessment.image.notes)
    ]
    return lines
