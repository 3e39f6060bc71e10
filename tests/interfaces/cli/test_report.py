"""The same report from  analyze --pdf  and from the saved assessment."""

from __future__ import annotations

import io
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fpdf import FPDF
from pypdf import PdfReader

from dermassist.interfaces.cli.exit_status import ExitStatus
from dermassist.model.bundle import read_bundle, write_bundle

from .conftest import Run

NAME = "DermAssist_Report.pdf"
PATIENT = ("--patient-id", "4711", "--name", "Zoë Ünal", "--age", 44, "--sex", "female")


@pytest.fixture
def case(run: Run, photo: Path, tiny_bundle: Path) -> Path:
    """An assessment in a folder, with its report and its image beside it."""
    outcome = run("analyze", photo, "--model", tiny_bundle, "--out", "case", "--pdf", *PATIENT)
    assert (outcome.status, outcome.err) == (0, "")
    assert f"PDF Report: {NAME}" in outcome.lines
    shutil.copy(photo, "case")
    return Path("case/assessment.json")


def text_of(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


def test_report_says_whose_it_is_and_what_was_answered(case: Path, photo: Path) -> None:
    text = text_of((case.parent / NAME).read_bytes())
    assessment = json.loads(case.read_text())
    for part in ("Patient Information", "4711", "Zoë Ünal", "44", "Final Diagnostic Summary"):
        assert part in text, part
    assert assessment["prediction"]["diagnosis_name"] in " ".join(text.split())
    assert "gradcam_overlay.png" in text


def test_saved_assessment_makes_the_same_file(run: Run, case: Path, tiny_bundle: Path) -> None:
    first = (case.parent / NAME).read_bytes()
    outcome = run("report", case, "--model", tiny_bundle, "--out", "again.pdf", *PATIENT, "--json")
    assert (outcome.status, outcome.err) == (0, "")
    assert Path("again.pdf").read_bytes() == first
    assert outcome.json == {"report": "again.pdf", "bytes": len(first), "notes": []}


def test_options_reach_the_report(run: Run, case: Path, tiny_bundle: Path) -> None:
    options = ("--explain", "mel", "--paper", "Letter", "--patient-page")
    outcome = run("report", case, "--model", tiny_bundle, "--out", "other.pdf", *options)
    assert (outcome.status, outcome.lines) == (0, ["Report: other.pdf"])
    before, after = (PdfReader(path) for path in (case.parent / NAME, "other.pdf"))
    assert len(after.pages) == len(before.pages) + 1
    assert [round(float(side)) for side in after.pages[0].mediabox[2:]] == [612, 792]
    assert "Zoë" not in text_of(Path("other.pdf").read_bytes())


def table_of(path: Path) -> str:
    return " ".join(text_of(path.read_bytes()).partition("Table I.")[2].split())


@pytest.mark.parametrize("signed", [False, True])
def test_what_was_drawn_is_what_the_report_says(
    run: Run, photo: Path, tiny_bundle: Path, signed: bool
) -> None:
    options = ("--explain", "vasc", *(("--signed",) if signed else ()))
    run("analyze", photo, "--model", tiny_bundle, "--out", "case", "--pdf", *options)
    shutil.copy(photo, "case")
    where = ("--model", tiny_bundle, "--out", "again.pdf")
    assert run("report", "case/assessment.json", *where).status == 0
    assert Path("again.pdf").read_bytes() == (Path("case") / NAME).read_bytes()
    table = table_of(Path("again.pdf"))
    assert "for VASC" in table
    assert ("gradcam_output.png (signed)" in table) is signed
    # The pictures beside it explain vasc, and so are none of a report on mel.
    assert run("report", "case/assessment.json", *where, "--explain", "mel").status == 0
    table = table_of(Path("again.pdf"))
    assert "for MEL" in table
    assert "gradcam" not in table


def test_what_earlier_versions_saved_explains_the_prediction(
    run: Run, case: Path, tiny_bundle: Path
) -> None:
    values = json.loads(case.read_text())
    code = values["prediction"]["diagnosis"].upper()
    for key in ("explained", "signed"):
        del values[key]
    case.write_text(json.dumps(values))
    assert run("report", case, "--model", tiny_bundle, "--out", "again.pdf").status == 0
    table = table_of(Path("again.pdf"))
    assert f"for {code}" in table
    assert "gradcam_output.png" in table


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("probabilities", "mel", 1.7),
        ("probabilities", "mel", float("nan")),
        ("to_image", None, []),
        ("explained", None, "melanom"),
    ],
)
def test_numbers_that_cannot_be_are_refused(
    run: Run, case: Path, tiny_bundle: Path, part: str, key: str | None, value: object
) -> None:
    values = json.loads(case.read_text())
    if part == "probabilities":
        values["prediction"][part][key] = value
    elif part == "to_image":
        values["explanation"][part] = value
    else:
        values[part] = value
    case.write_text(json.dumps(values))
    outcome = run("report", case, "--model", tiny_bundle, "--out", "again.pdf")
    assert outcome.status == ExitStatus.DATA
    assert f"{case}: is no assessment" in outcome.complaint
    assert not Path("again.pdf").exists()


def test_the_figures_of_another_model_of_the_same_name_are_refused(
    run: Run, case: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    bundle = read_bundle(tiny_bundle)
    other = replace(bundle.manifest, temperature=1.1)
    write_bundle(tmp_path / "other", other, {"model.onnx": bundle.graph})
    outcome = run("report", case, "--model", tmp_path / "other")
    assert outcome.status == ExitStatus.MODEL
    assert "give the model that answered" in outcome.complaint


def test_report_lies_beside_the_assessment_by_default(
    run: Run, case: Path, tiny_bundle: Path
) -> None:
    (case.parent / NAME).unlink()
    assert run("report", case, "--model", tiny_bundle).status == 0
    assert (case.parent / NAME).read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", ["lesion.jpg", "assessment.json", "notes.txt", "thesis.pdf"])
def test_a_report_replaces_nothing_but_a_report(
    run: Run, case: Path, tiny_bundle: Path, name: str
) -> None:
    (case.parent / "notes.txt").write_text("mine")
    thesis = FPDF()
    thesis.set_title("On the DermAssist AI report")
    thesis.add_page()
    thesis.output(str(case.parent / "thesis.pdf"))
    before = {path: path.read_bytes() for path in case.parent.iterdir()}
    outcome = run("report", case, "--model", tiny_bundle, "--out", case.parent / name)
    assert outcome.status == ExitStatus.CONFIG
    assert outcome.complaint == (
        f"case/{name}: exists and is no DermAssist report; name another file, or remove it"
    )
    assert {path: path.read_bytes() for path in case.parent.iterdir()} == before


def test_a_new_folder_is_named_by_its_stroke(run: Run, case: Path, tiny_bundle: Path) -> None:
    where = ("report", case, "--model", tiny_bundle, "--out")
    outcome = run(*where, "reports")
    assert outcome.status == ExitStatus.CONFIG
    assert outcome.complaint == (
        "reports: no such folder; end the name in / for a new one, or in .pdf"
    )
    for out, written in (
        ("reports/", "reports"),
        ("of/today/", "of/today"),
        ("reports", "reports"),
    ):
        outcome = run(*where, out)
        assert (outcome.status, outcome.lines) == (0, [f"Report: {written}/{NAME}"])
        assert (Path(written) / NAME).read_bytes().startswith(b"%PDF")


def test_replacing_a_report_of_somebody_else_is_said(
    run: Run, case: Path, photos: Path, tiny_bundle: Path
) -> None:
    model = ("--model", tiny_bundle)
    run("analyze", photos / "b.png", *model, "--out", "other")
    place, other = ("--out", "rep/"), ("report", "other/assessment.json", "--image")
    assert run("report", case, *model, *place, *PATIENT).err == ""
    # The same bytes are the same report.
    assert run("report", case, *model, *place, *PATIENT).err == ""
    said = f"Replaced another report at rep/{NAME}."
    outcome = run(*other, photos / "b.png", *model, *place)
    assert (outcome.status, outcome.err) == (0, f"{said}\n")
    assert run("report", case, *model, *place, "--json").json["notes"] == [said]
    # Beside its assessment lies its own report, which may be made anew.
    assert run("report", case, *model, "--name", "Anna Alpha").err == ""


def test_another_image_is_refused(run: Run, case: Path, photos: Path, tiny_bundle: Path) -> None:
    (case.parent / NAME).unlink()
    other = next(path for path in sorted(photos.iterdir()) if path.suffix == ".jpg")
    outcome = run("report", case, "--model", tiny_bundle, "--image", other)
    assert outcome.status == ExitStatus.IMAGE
    assert not (case.parent / NAME).exists()


def test_an_assessment_without_its_image_says_what_to_do(
    run: Run, case: Path, tiny_bundle: Path, photo: Path
) -> None:
    (case.parent / photo.name).unlink()
    outcome = run("report", case, "--model", tiny_bundle)
    assert outcome.status == ExitStatus.DATA
    assert "name it with --image" in outcome.complaint
    assert run("report", case, "--model", tiny_bundle, "--image", photo).status == 0


def test_an_assessment_cannot_make_it_read_another_folder(
    run: Run, case: Path, tiny_bundle: Path, photo: Path
) -> None:
    values = json.loads(case.read_text())
    values["image"]["name"] = str(photo.resolve())
    (case.parent / photo.name).unlink()
    case.write_text(json.dumps(values))
    outcome = run("report", case, "--model", tiny_bundle)
    assert outcome.status == ExitStatus.DATA
    assert f"case/{photo.name}: the image is not beside" in outcome.complaint


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[1]", "null", '{"schema_version": 9}', "\x00"),
        pytest.param("[" * 200_000, id="nested"),
    ],
)
def test_what_is_no_assessment_is_refused(run: Run, tiny_bundle: Path, text: str) -> None:
    Path("case.json").write_text(text)
    outcome = run("report", "case.json", "--model", tiny_bundle)
    assert outcome.status == ExitStatus.DATA
    assert "case.json: is no assessment" in outcome.complaint
    assert run("report", "absent.json", "--model", tiny_bundle).status == ExitStatus.DATA


def test_an_image_named_by_mistake_is_refused_in_few_words(
    run: Run, photo: Path, tiny_bundle: Path
) -> None:
    outcome = run("report", photo, "--model", tiny_bundle)
    assert outcome.status == ExitStatus.DATA
    assert outcome.complaint.endswith("; name an assessment.json")
    assert len(outcome.complaint) < len(str(photo)) + 300


def test_the_report_of_another_model_is_refused(run: Run, case: Path) -> None:
    outcome = run("report", case)
    assert outcome.status == ExitStatus.MODEL
    assert "give the model that answered" in outcome.complaint


def test_details_of_a_patient_need_a_report(run: Run, photo: Path, tiny_bundle: Path) -> None:
    outcome = run("analyze", photo, "--model", tiny_bundle, "--name", "Zoë")
    assert outcome.status == ExitStatus.CONFIG
    assert "add --pdf" in outcome.complaint
    refused = run("analyze", photo, "--model", tiny_bundle, "--pdf", "--age", 200)
    assert refused.status == ExitStatus.CONFIG
    assert not Path("dermassist-results").exists()


def test_characters_without_a_font_are_reported(run: Run, photo: Path, tiny_bundle: Path) -> None:
    nobody_has = chr(0xE123)
    outcome = run("analyze", photo, "--model", tiny_bundle, "--pdf", "--name", f"A{nobody_has}")
    assert outcome.status == 0
    assert "No installed font has U+E123" in outcome.err


def test_missing_extra_is_one_sentence_before_any_work(
    run: Run, photo: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fpdf", None)
    outcome = run("analyze", photo, "--model", tiny_bundle, "--pdf")
    assert outcome.status == ExitStatus.MISSING_EXTRA
    assert "dermassist[report]" in outcome.complaint
    assert not Path("dermassist-results").exists()
