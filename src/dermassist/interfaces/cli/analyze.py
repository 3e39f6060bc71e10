"""``dermassist analyze``: one image, answered and explained."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dermassist.errors import ConfigError
from dermassist.interfaces.cli.option import (
    Json,
    Model,
    SqueezedFrom,
    Tta,
    given,
    pixel_aspect_of,
)
from dermassist.interfaces.cli.output import NOTICE, remark, say, say_json
from dermassist.interfaces.cli.place import check_no_input, check_replaceable, holds_keys
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
    is_report,
    make_report,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dermassist.diagnosis import Diagnosis
    from dermassist.imaging import RasterImage
    from dermassist.model.manifest import Manifest
    from dermassist.report import ReportOptions
    from dermassist.results import Assessment, PredictionSet

HEATMAP_NAME = "gradcam_output.png"
OVERLAY_NAME = "gradcam_overlay.png"
ASSESSMENT_NAME = "assessment.json"
REPORT_NAME = "DermAssist_Report.pdf"
#: All that an analysis may leave in its folder, as it is put there: last what tells of the others.
RESULT_NAMES = (REPORT_NAME, HEATMAP_NAME, OVERLAY_NAME, ASSESSMENT_NAME)
#: What the analysis in a folder is of where it is the same as the new one.
_THIS_IMAGE = "this image"
#: How far apart probabilities of one answer may lie: sums over threads differ in the last bits.
SAME_ANSWER = 1e-5
#: What reading a file may raise that is no assessment.
UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)


@dataclass(frozen=True)
class Drawing:
    """What the saved pictures show: whose evidence, and whether that against it as well."""

    diagnosis: Diagnosis
    signed: bool

    def to_dict(self) -> dict[str, Any]:
        """Return what an assessment.json says of its pictures."""
        return {"explained": self.diagnosis.code, "signed": self.signed}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, predicted: Diagnosis) -> Drawing:
        """Read it; earlier versions did not say, and mostly drew the predicted diagnosis.

        Raises:
            ValueError: there is no such diagnosis.
        """
        from dermassist.diagnosis import Diagnosis  # noqa: PLC0415 - keeps --help fast

        explained = values.get("explained", predicted.code)
        return cls(Diagnosis.from_code(explained), signed=values.get("signed", False) is True)

    def picture_names(self, names: Iterable[str] = (HEATMAP_NAME, OVERLAY_NAME)) -> tuple[str, ...]:
        """Return the pictures' names as a report lists them."""
        return tuple(f"{name} (signed)" if self.signed else name for name in names)


def analyze(
    context: typer.Context,
    image: Annotated[
        Path | None,
        typer.Argument(
            help="Dermatoscopic image: JPEG, PNG, TIFF, BMP, WebP, GIF.", readable=False
        ),
    ] = None,
    *,
    sample: Annotated[bool, typer.Option(help="Analyse the bundled synthetic image.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the results.", readable=False)] = Path(
        "dermassist-results"
    ),
    explain: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="Diagnosis to explain: akiec, bcc, bkl, df, mel, nv or vasc; by default the "
            "predicted one.",
        ),
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
    check_no_input(path, (out / name for name in RESULT_NAMES))
    _check_folder(out)
    wanted, aspect = diagnosis_of(explain), pixel_aspect_of(squeezed_from)
    patient = PatientDetails(patient_id, name, age, sex, body_site, remarks)
    _check_report_options(context, pdf=pdf, stated=patient.stated)
    options = _report_options(paper, patient_page=patient_page) if pdf else None
    started = time.perf_counter()
    classifier = Classifier.load(model, tta=tta)
    original = read_image(path)
    raster = classifier.read(path)
    used, notes = stretching(raster, aspect)
    assessment = assess(raster, classifier=classifier, pixel_aspect=used)
    drawing = Drawing(wanted or assessment.prediction.diagnosis, signed)
    contents = _contents(assessment, original.pixels, drawing)
    if options is not None:
        contents[REPORT_NAME] = make_report(
            assessment,
            classifier.manifest,
            path,
            patient=patient,
            explain=wanted,
            options=replace(options, heatmap_files=drawing.picture_names()),
        )
    notes += _write_over(out, contents, assessment, drawing)
    elapsed = time.perf_counter() - started
    if as_json:
        files = {name: str(out / name) for name in contents}
        say_json({**_record(assessment, drawing), "files": files, "notes": notes})
    else:
        for note in notes:
            remark(note)
        _say_assessment(assessment, drawing.diagnosis, sample=sample, with_report=pdf)
        for line in _details(assessment, classifier.manifest):
            say(line)
        say(f"Written to {out}{'/' if str(out) != '/' else ''} in {elapsed:.1f} s.")
        say(NOTICE)


def stretching(raster: RasterImage, aspect: float | None) -> tuple[float, list[str]]:
    """Return the pixel aspect to answer an image with, and a sentence where it is left alone.

    Args:
        raster: the image as it was read.
        aspect: width over height that squares had, or ``None`` where nothing was said.
    """
    if aspect is None:
        return 1.0, []
    used = raster.aspect_before_squeezing(aspect)
    if raster.width == raster.height:
        return used, []
    size = f"{raster.width} x {raster.height} pixels"
    return used, [f"Not stretched: {raster.name} has {size}, so it is no square."]


def _record(assessment: Assessment, drawing: Drawing) -> dict[str, Any]:
    return {**assessment.to_dict(), **drawing.to_dict()}


def _contents(
    assessment: Assessment, pixels: NDArray[np.uint8], drawing: Drawing
) -> dict[str, bytes]:
    """Return the files that every analysis writes, by name."""
    from dermassist.explain.overlay import render_heatmap, render_overlay  # noqa: PLC0415

    info, explanation = assessment.image, assessment.explanation
    shown, signed = drawing.diagnosis, drawing.signed
    record = json.dumps(_record(assessment, drawing), indent=1) + "\n"
    return {
        HEATMAP_NAME: render_heatmap(
            explanation, shown, width=info.width, height=info.height, signed=signed
        ),
        OVERLAY_NAME: render_overlay(pixels, explanation, shown, info=info, signed=signed),
        ASSESSMENT_NAME: record.encode(),
    }


def _check_folder(out: Path) -> None:
    """Refuse a folder in which something else has the name of a result.

    Nothing but an assessment beside it tells that a picture is one.
    """
    record, remedy = out / ASSESSMENT_NAME, "name another folder"
    check_replaceable(out / REPORT_NAME, "DermAssist report", is_report, remedy=remedy)
    check_replaceable(record, "assessment that  analyze  wrote", _is_assessment, remedy=remedy)
    assessed = record.is_file() and record.stat().st_size > 0
    for name in (HEATMAP_NAME, OVERLAY_NAME):
        what = "picture of an assessment beside it"
        check_replaceable(out / name, what, lambda _: assessed, remedy=remedy)


def _is_assessment(path: Path) -> bool:
    return holds_keys(path, "schema_version", "image", "model", "prediction", "explanation")


def _write_over(
    out: Path, contents: Mapping[str, bytes], assessment: Assessment, drawing: Drawing
) -> list[str]:
    """Write the files in place of an earlier analysis'; say what was lost of that one.

    A folder must not hold results of two images, nor two answers to one, nor a report of other
    pictures. Nothing but an analysis' own names is touched.
    """
    from dermassist.storage import turn_in, write_together  # noqa: PLC0415

    # Of two analyses that end at once, the second must find all that the first has written.
    with turn_in(out):
        earlier = _earlier(assessment, drawing, out)
        is_other = earlier not in {None, _THIS_IMAGE}
        absent = [name for name in RESULT_NAMES if name not in contents] if is_other else []
        left = [name for name in absent if (out / name).is_file()]
        notes = _replaced(out / REPORT_NAME, contents, earlier)
        write_together(
            {out / name: contents[name] for name in RESULT_NAMES if name in contents},
            obsolete=[out / name for name in left],
        )
    return [*notes, *([f"Removed from {out}: {', '.join(left)} of {earlier}."] if left else [])]


def _replaced(report: Path, contents: Mapping[str, bytes], earlier: str | None) -> list[str]:
    """Say whose report a new one takes the place of: it may bear what stands nowhere else."""
    new = contents.get(REPORT_NAME)
    if new is None or not report.is_file() or report.read_bytes() in {b"", new}:
        return []
    if earlier is None:
        return [f"Replaced another report at {report}."]
    if earlier == _THIS_IMAGE:
        return [f"Replaced the report of this image at {report}, with the details that it bore."]
    return [f"Replaced the report of {earlier} at {report}."]


def _earlier(assessment: Assessment, drawing: Drawing, out: Path) -> str | None:
    """Say what the analysis in a folder is of; ``None`` where nothing tells.

    A report alone tells nothing. One of the same answer lists the pictures that lie beside it, so
    it is another's where these show something else.
    """
    predicted = assessment.prediction.diagnosis
    try:
        values = json.loads((out / ASSESSMENT_NAME).read_text(encoding="utf-8"))
        if values["image"]["sha256"] != assessment.image.sha256:
            return "another image"
        if not _is_same_answer(values, assessment):
            return "another answer to this image"
        if Drawing.from_dict(values, predicted=predicted) != drawing:
            return "an analysis whose pictures showed something else"
    except UNREADABLE:
        return None
    return _THIS_IMAGE


def _is_same_answer(values: Mapping[str, Any], assessment: Assessment) -> bool:
    # One of the manifest, so it changes with all that a report says of the model.
    if values["model"]["sha256"] != assessment.model.sha256:
        return False
    shares = values["prediction"]["probabilities"]
    return all(
        abs(float(shares[diagnosis.code]) - share) <= SAME_ANSWER
        for diagnosis, share in assessment.prediction.ranked
    )


def _check_report_options(context: typer.Context, *, pdf: bool, stated: bool) -> None:
    """Refuse what is printed in the report alone where none is made."""
    if pdf:
        return
    if stated:
        raise ConfigError("details of a patient are printed in the report: add --pdf")
    alone = given(context, "paper", "patient_page")
    if alone:
        raise ConfigError(f"{' and '.join(alone)}: for the PDF report alone; add --pdf")


def _report_options(paper: str, *, patient_page: bool) -> ReportOptions:
    from dermassist.interfaces.cli.requirement import require_report  # noqa: PLC0415
    from dermassist.report import ReportOptions  # noqa: PLC0415

    require_report("The PDF report")
    return ReportOptions(paper, patient_page)


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


def _details(assessment: Assessment, manifest: Manifest) -> list[str]:
    """Return what app and report say beside an answer as well."""
    from dermassist.explain.caution import (  # noqa: PLC0415 - keeps --help fast
        SUBJECT_NOT_CHECKED,
        missed_words,
        referral_line,
        set_warning,
    )
    from dermassist.explain.words import percent, set_caveat  # noqa: PLC0415
    from dermassist.measured import read_figures  # noqa: PLC0415

    prediction, known = assessment.prediction, read_figures(manifest)
    kind = "calibrated" if prediction.calibrated else "not calibrated"
    shares = [(percent(share), diagnosis) for diagnosis, share in prediction.ranked]
    width = max(len(share) for share, _ in shares)
    remarks = (*assessment.quality.remarks, *assessment.image.notes)
    # First, because they may say to rely on nothing below.
    lines = [*(f"Image: {sentence}" for sentence in remarks), f"Probabilities ({kind}):"]
    lines += [f"  {share:>{width}}  {diagnosis}" for share, diagnosis in shares]
    lines += filter(
        None,
        (
            referral_line(prediction) or "Referral threshold: not measured for this model.",
            missed_words(prediction.diagnosis, known.measured),
            _set_words(prediction.prediction_set),
            set_caveat(prediction),
            set_warning(prediction, known.sets),
        ),
    )
    return [*lines, SUBJECT_NOT_CHECKED]


def _set_words(members: PredictionSet | None) -> str:
    """Return the set, and for which diagnoses its promise does not hold."""
    from dermassist.explain.words import percent  # noqa: PLC0415 - keeps --help fast

    if members is None:
        return "Prediction set: not measured for this model."
    names = ", ".join(str(diagnosis) for diagnosis in members.diagnoses) or "none"
    text = f"Prediction set ({percent(members.coverage)}): {names}."
    if members.not_guaranteed:
        codes = ", ".join(diagnosis.code.upper() for diagnosis in members.not_guaranteed)
        text += f" Not guaranteed for {codes}: too few calibration lesions."
    return text
