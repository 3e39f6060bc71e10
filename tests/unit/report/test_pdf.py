from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pypdf import PdfReader

import dermassist
from dermassist.diagnosis import Diagnosis
from dermassist.errors import MissingExtraError
from dermassist.imaging import RasterImage
from dermassist.model.manifest import Manifest
from dermassist.patient import PatientDetails
from dermassist.report import (
    ReportContent,
    ReportOptions,
    build_report,
    render_pdf,
    unprinted_characters,
    write_report,
)
from dermassist.report import canvas as canvas_module
from dermassist.report.canvas import BOTTOM_MM, MARGIN_MM, Box, Canvas
from dermassist.report.content import PAPERS, Figure, texts
from dermassist.report.font import BUNDLED_ONLY

from .conftest import make_assessment, make_manifest, ruled_manifest, unreferred

GOLDEN = Path(__file__).parents[2] / "golden" / "DermAssist_Report"
HOSTILE = (
    "<script>alert(1)</script> <b>bold</b> **strong** --x-- {nb} \\(paren) %s &amp; [x](http://e)"
)


@dataclass(frozen=True)
class Golden:
    """A report, what it says, and what wrote it."""

    pdf: bytes
    text: str
    libraries: dict[str, str]
    zlib: str

    def write(self) -> None:
        GOLDEN.with_suffix(".pdf").write_bytes(self.pdf)
        GOLDEN.with_suffix(".txt").write_text(self.text, encoding="utf-8")
        versions = {**self.libraries, "zlib": self.zlib}
        GOLDEN.with_suffix(".json").write_text(json.dumps(versions, indent=1) + "\n")


@pytest.fixture
def content(measured_manifest: Manifest, picture: RasterImage) -> ReportContent:
    return build_report(
        make_assessment(),
        measured_manifest,
        image=picture,
        patient=PatientDetails(patient_id="P-1", age_years=57, sex="female", remarks="Ünal, Ωδή"),
        options=ReportOptions(patient_page=True),
    )


def remarked(content: ReportContent, image: RasterImage, remarks: str) -> ReportContent:
    patient = PatientDetails(remarks=remarks)
    return build_report(make_assessment(), None, image=image, patient=patient)


def read_back(pdf: bytes) -> list[str]:
    """Return the text of each page with single spaces."""
    pages = PdfReader(io.BytesIO(pdf)).pages
    return [re.sub(r"\s+", " ", page.extract_text()) for page in pages]


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


def test_every_text_can_be_read_back_in_order(content: ReportContent) -> None:
    whole = squeezed("".join(read_back(render_pdf(content, fonts=BUNDLED_ONLY))))

    alternatives = {figure.alternative for figure in figures_of(content)}
    for text in texts(content):
        if text not in alternatives:
            assert squeezed(text.replace(content.created, "")) in whole, text
    places = [whole.index(squeezed(section.title)) for section in content.sections]
    assert places == sorted(places)


def test_pages_are_numbered_and_named(content: ReportContent) -> None:
    pages = read_back(render_pdf(content, fonts=BUNDLED_ONLY))

    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in page
        footer = "Patient P-1 | image abababababab | dermassist-mobilenetv2 1.0"
        assert f"DermAssist AI report | {footer}" in page
    assert "In plain words" in pages[-1]


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_pages_have_the_size_of_the_paper(content: ReportContent, paper: str) -> None:
    reader = PdfReader(io.BytesIO(render_pdf(replace(content, paper=paper), fonts=BUNDLED_ONLY)))

    for page in reader.pages:
        size = (float(page.mediabox.width) / 72 * 25.4, float(page.mediabox.height) / 72 * 25.4)
        assert size == pytest.approx(PAPERS[paper], abs=0.01)


def test_hostile_markup_is_printed_as_text(content: ReportContent, picture: RasterImage) -> None:
    pdf = render_pdf(remarked(content, picture, HOSTILE), fonts=BUNDLED_ONLY)

    assert squeezed(HOSTILE) in squeezed(read_back(pdf)[0])
    assert b"/URI" not in pdf
    assert b"/JavaScript" not in pdf


def test_scripts_are_printed_and_missing_characters_reported(
    content: ReportContent, picture: RasterImage
) -> None:
    remarks = "Ελένη, Сергей, Ünal, محمد, שלום, अनु, ไทย. 王 \U0001f600 a\u202eb"
    report = remarked(content, picture, remarks)

    first = read_back(render_pdf(report, fonts=BUNDLED_ONLY))[0]

    for word in ("Ελένη", "Сергей", "Ünal", "[U+738B]", "[U+1F600]", "a[U+202E]b"):
        assert word in first
    assert set("محمدשלוםअनไทย") <= set(first) | {"م"}
    assert "U+738B CJK UNIFIED IDEOGRAPH-738B, U+1F600 GRINNING FACE" in first
    assert unprinted_characters(report, fonts=BUNDLED_ONLY) == ("王", "\U0001f600", "\u202e")


def test_nothing_is_reported_where_everything_is_printed(content: ReportContent) -> None:
    assert unprinted_characters(content, fonts=BUNDLED_ONLY) == ()
    assert "Some characters" not in read_back(render_pdf(content, fonts=BUNDLED_ONLY))[0]


@pytest.mark.parametrize("diagnosis", Diagnosis)
def test_our_own_words_need_no_other_fonts(diagnosis: Diagnosis, picture: RasterImage) -> None:
    answered = make_assessment(top=diagnosis)
    models = ((answered, ruled_manifest()), (unreferred(answered), make_manifest()))
    for assessment, manifest in models:
        report = build_report(
            assessment,
            manifest,
            image=picture,
            options=ReportOptions(patient_page=True),
        )
        assert unprinted_characters(report, fonts=BUNDLED_ONLY) == ()


@pytest.mark.parametrize("paper", ["A4", "Letter"])
@pytest.mark.parametrize(
    "remarks",
    ["W" * 4000, "word " * 790, "\n".join(["line"] * 700), "محمد عبد " * 400, "\u202e" * 500],
)
def test_long_texts_stay_inside_the_margins(
    content: ReportContent,
    picture: RasterImage,
    paper: str,
    remarks: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places: list[Box] = []
    write_run = Canvas._write_run

    def recorded(self: Canvas, run: Any, style: Any, place: Box) -> None:
        places.append(place)
        write_run(self, run, style, place)

    monkeypatch.setattr(Canvas, "_write_run", recorded)
    report = replace(remarked(content, picture, remarks), paper=paper)

    pages = read_back(render_pdf(report, fonts=BUNDLED_ONLY))

    width, height = PAPERS[paper]
    assert len(places) > 100
    for place in places:
        assert place.x >= MARGIN_MM - 0.01
        assert place.x + place.width <= width - MARGIN_MM + 0.3
        assert place.y <= height - BOTTOM_MM + 10.0
    assert squeezed("".join(pages)).count("W") >= remarks.count("W")
    assert "Final Diagnostic Summary" in "".join(pages)


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_no_heading_is_left_alone_at_the_foot_of_a_page(
    content: ReportContent, picture: RasterImage, paper: str
) -> None:
    first_words = {"Image Details": "File", "Explainable AI (Grad-CAM) Visualizations": "Figure 1"}
    for lines in range(0, 60, 3):
        report = replace(remarked(content, picture, "line\n" * lines + "end"), paper=paper)
        pages = read_back(render_pdf(report, fonts=BUNDLED_ONLY))
        for heading, first in first_words.items():
            (page,) = (page for page in pages if heading in page)
            assert first in page[page.index(heading) :], lines


@pytest.mark.parametrize("size", [(64, 900), (900, 64), (64, 64)])
def test_odd_proportions_are_kept(size: tuple[int, int]) -> None:
    width, height = size
    assessment = make_assessment()
    assessment = replace(assessment, image=replace(assessment.image, width=width, height=height))
    pixels = np.full((height, width, 3), 128, np.uint8)
    image = RasterImage(pixels, width, height, sha256=assessment.image.sha256)

    pdf = render_pdf(build_report(assessment, None, image=image), fonts=BUNDLED_ONLY)

    reader = PdfReader(io.BytesIO(pdf))
    shapes = {image.image.size for page in reader.pages for image in page.images if image.image}
    assert any(abs(w / h - width / height) < 0.05 * width / height for w, h in shapes)


def test_the_same_content_makes_the_same_bytes_anywhere(content: ReportContent) -> None:
    program = (
        "import hashlib, pickle, sys\n"
        "from dermassist.report import render_pdf\n"
        "from dermassist.report.font import BUNDLED_ONLY\n"
        "content = pickle.load(sys.stdin.buffer)\n"
        "print(hashlib.sha256(render_pdf(content, fonts=BUNDLED_ONLY)).hexdigest())\n"
    )
    import pickle

    elsewhere = subprocess.run(
        [sys.executable, "-c", program],
        input=pickle.dumps(content),
        env={**os.environ, "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"},
        check=True,
        capture_output=True,
    )

    here = hashlib.sha256(render_pdf(content, fonts=BUNDLED_ONLY)).hexdigest()
    assert elsewhere.stdout.decode().strip() == here


def test_another_time_makes_another_file(content: ReportContent) -> None:
    later = replace(content, created="2026-01-02T10:20:31+00:00")

    assert render_pdf(later, fonts=BUNDLED_ONLY) != render_pdf(content, fonts=BUNDLED_ONLY)


@pytest.mark.parametrize("created", ["2026-01-02T10:20:30", "yesterday"])
def test_a_time_without_zone_or_sense_does_not_become_now(
    content: ReportContent, created: str
) -> None:
    report = replace(content, created=created)
    metadata = PdfReader(io.BytesIO(render_pdf(report, fonts=BUNDLED_ONLY))).xmp_metadata

    assert metadata is not None
    assert metadata.xmp_create_date is not None
    assert metadata.xmp_create_date.year == (2026 if created[0] == "2" else 1970)


def test_metadata_say_what_it_is_and_nothing_of_the_patient(content: ReportContent) -> None:
    pdf = render_pdf(content, fonts=BUNDLED_ONLY)
    metadata = PdfReader(io.BytesIO(pdf)).xmp_metadata

    assert metadata is not None
    assert metadata.dc_title == {"x-default": "DermAssist AI report"}
    assert metadata.xmp_creator_tool == f"dermassist {dermassist.__version__}"
    assert b"<pdfaid:part>2</pdfaid:part>" in pdf
    assert b"P-1" not in pdf
    assert b"/OutputIntents" in pdf


def test_every_font_is_embedded(content: ReportContent) -> None:
    reader = PdfReader(io.BytesIO(render_pdf(content, fonts=BUNDLED_ONLY)))

    for page in reader.pages:
        resources: Any = page["/Resources"]
        for reference in resources["/Font"].values():
            (descendant,) = reference.get_object()["/DescendantFonts"]
            assert "/FontFile2" in descendant.get_object()["/FontDescriptor"].get_object()


def test_writes_the_papers_file_name_into_a_folder(tmp_path: Path, content: ReportContent) -> None:
    written = write_report(tmp_path, content, fonts=BUNDLED_ONLY)

    assert written == tmp_path / "DermAssist_Report.pdf"
    assert written.read_bytes() == render_pdf(content, fonts=BUNDLED_ONLY)
    assert list(tmp_path.iterdir()) == [written]


def test_a_new_folder_is_made_where_a_slash_asks_for_it(
    tmp_path: Path, content: ReportContent
) -> None:
    new = write_report(f"{tmp_path}/reports/", content, fonts=BUNDLED_ONLY)
    assert new == tmp_path / "reports" / "DermAssist_Report.pdf"
    assert new.is_file()


def test_a_failure_leaves_the_earlier_file_alone(
    tmp_path: Path, content: ReportContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.pdf"
    target.write_bytes(b"earlier")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(canvas_module.Canvas, "to_bytes", fail)

    with pytest.raises(OSError, match="disk full"):
        write_report(target, content, fonts=BUNDLED_ONLY)
    assert target.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("library", ["fpdf", "fontTools", "uharfbuzz"])
def test_names_the_extra_that_is_missing(library: str) -> None:
    program = (
        "import sys\n"
        f"sys.modules[{library!r}] = None\n"
        "from dermassist.errors import MissingExtraError\n"
        "from dermassist.report import render_pdf\n"
        "try:\n"
        "    render_pdf(None)\n"
        "except MissingExtraError as error:\n"
        "    print(error)\n"
    )

    result = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert result.stdout.strip() == str(MissingExtraError("The PDF report", extra="report"))


def figures_of(part: object) -> Iterator[Figure]:
    if isinstance(part, Figure):
        yield part
    elif isinstance(part, tuple):
        for item in part:
            yield from figures_of(item)
    elif is_dataclass(part) and not isinstance(part, type):
        for field in fields(part):
            yield from figures_of(getattr(part, field.name))


def with_picture(part: Any, picture: bytes) -> Any:
    """Return content whose pictures are all the same: other processors draw other last bits."""
    if isinstance(part, Figure):
        return replace(part, picture=picture)
    if isinstance(part, tuple):
        return tuple(with_picture(item, picture) for item in part)
    if is_dataclass(part) and not isinstance(part, type):
        changed = {f.name: with_picture(getattr(part, f.name), picture) for f in fields(part)}
        return replace(part, **changed)
    return part


@pytest.fixture
def golden(content: ReportContent, monkeypatch: pytest.MonkeyPatch) -> Golden:
    """A report as it is written here, and the libraries that did it.

    Set DERMASSIST_WRITE_GOLDEN=1 to write the files anew, and look at them before committing them.
    """
    monkeypatch.setattr(dermassist, "__version__", "0")
    encoded = io.BytesIO()
    Image.linear_gradient("L").resize((60, 45)).convert("RGB").save(encoded, "PNG")
    pdf = render_pdf(with_picture(content, encoded.getvalue()), fonts=BUNDLED_ONLY)
    libraries = {
        name: importlib.metadata.version(name) for name in ("fpdf2", "fonttools", "pillow")
    }
    written = Golden(pdf, "\n\n".join(read_back(pdf)) + "\n", libraries, zlib.ZLIB_RUNTIME_VERSION)
    if os.environ.get("DERMASSIST_WRITE_GOLDEN"):
        written.write()
    return written


def test_golden_text(golden: Golden) -> None:
    assert golden.text == GOLDEN.with_suffix(".txt").read_text(encoding="utf-8")


def test_golden_bytes(golden: Golden) -> None:
    kept = json.loads(GOLDEN.with_suffix(".json").read_text())
    system = kept.pop("zlib")
    assert golden.libraries == kept, (
        "other libraries wrote the golden file: write it anew with DERMASSIST_WRITE_GOLDEN=1"
    )
    if golden.zlib != system:
        # It comes with the system and cannot be pinned; what it packs is compared as text.
        pytest.skip(
            f"this system's zlib is another than the golden file's: {golden.zlib}, not {system}"
        )
    assert golden.pdf == GOLDEN.with_suffix(".pdf").read_bytes()
