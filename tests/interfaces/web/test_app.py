"""The app answers as the library does, keeps what it answers, and shows text as text."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pypdf
import pytest
import streamlit as st
from PIL import Image

from dermassist import Classifier, assess
from dermassist.cases import CaseBook, Outcome
from dermassist.cases.database import FILE_NAME
from dermassist.diagnosis import DIAGNOSES
from dermassist.errors import CaseError, ImageError
from dermassist.explain.words import percent
from dermassist.imaging import read_image
from dermassist.imaging.decoding import IMAGE_SUFFIXES
from dermassist.interfaces.cli import _run
from dermassist.interfaces.web.downloads import Offer
from dermassist.interfaces.web.screens.batch import Batch, distinct, short_remarks
from dermassist.interfaces.web.text import escaped, visible
from dermassist.measured import read_measured
from dermassist.model.bundle import GRAPH_NAME, read_bundle, write_bundle

from .conftest import ACCEPT, Open, photo_of
from .page import batch_of, download, explained, field, in_order, press, texts, upload, upload_all


def test_the_notice_comes_first_and_once(open_app: Open) -> None:
    app = open_app(accepted=False)
    assert not app.exception
    assert "not a diagnosis" in texts(app)
    assert [button.label for button in app.button] == [ACCEPT]
    assert not app.file_uploader
    app.button[0].click().run()
    assert app.file_uploader
    assert ACCEPT not in [button.label for button in app.run().button]


def test_same_answer(open_app: Open, tiny_bundle: Path, book: CaseBook, tmp_path: Path) -> None:
    photo = tmp_path / "lesion.png"
    photo.write_bytes(photo_of(3))
    library = assess(photo, classifier=Classifier.load(tiny_bundle)).prediction

    app = upload(open_app(), "lesion.png", photo.read_bytes())
    assert not app.exception
    assert app.subheader[0].value == str(library.diagnosis)
    assert app.metric[0].value == percent(library.confidence)
    kept = book.load(book.search()[0].case_id).assessment.prediction

    program, out = Path(sys.executable).with_name("dermassist"), tmp_path / "out"
    subprocess.run([program, "analyze", photo, "--model", tiny_bundle, "--out", out], check=True)
    command = json.loads((out / "assessment.json").read_text())["prediction"]
    assert kept.to_dict() == command == library.to_dict()


def test_square_files_are_answered_in_the_proportions_that_they_had(
    open_app: Open, tiny_bundle: Path, book: CaseBook
) -> None:
    square, photo = photo_of(3, size=(120, 120)), photo_of(3)
    classifier = Classifier.load(tiny_bundle)
    stretched = assess(square, classifier=classifier, pixel_aspect=4 / 3)
    assert stretched.prediction.to_dict() != classifier.predict(square).to_dict()

    app = open_app()
    app.selectbox(key="proportions").select("were squeezed from 4:3").run()
    upload(app, "square.png", square)
    assert not app.exception
    assert "times as wide as the file shows it" in texts(app)
    upload(app, "photo.png", photo)
    assert "times as wide" not in texts(app)
    batch = open_app("batch")
    batch.selectbox(key="batch proportions").select("were squeezed from 4:3").run()
    batch_of(batch, {"batched.png": square})
    assert batch.selectbox(key="batch proportions").value == "were squeezed from 4:3"

    kept = {each.image_name: book.load(each.case_id).assessment for each in book.search()}
    expected = stretched.prediction.to_dict()
    assert kept["square.png"].prediction.to_dict() == expected
    assert kept["batched.png"].prediction.to_dict() == expected
    assert kept["photo.png"].prediction.to_dict() == classifier.predict(photo).to_dict()
    assert kept["square.png"].image.notes == stretched.image.notes
    assert len(stretched.image.notes) == 1
    assert kept["photo.png"].image.notes == ()


def test_every_answer_is_kept_once_with_its_details(open_app: Open, book: CaseBook) -> None:
    app = open_app()
    app.text_input(key="analyse 0 name").input("Zoë <b>Ünal</b>").run()
    app.number_input(key="analyse 0 age").set_value(44).run()
    upload(app, "lesion.png", photo_of(1))
    explained(app).select(DIAGNOSES[2]).run()
    app.slider(key="opacity").set_value(0.2).run()
    assert not app.exception
    (summary,) = book.search()
    case = book.load(summary.case_id)
    assert (case.patient.name, case.patient.age_years) == ("Zoë <b>Ünal</b>", 44)
    assert book.image(summary.case_id) == photo_of(1)
    assert f"Saved in the case book as {summary.case_id[:8]}" in texts(app)


def test_nobody_gets_the_details_of_the_patient_before(open_app: Open, book: CaseBook) -> None:
    app = open_app()
    app.text_input(key="analyse 0 patient_id").input("4711").run()
    assert "The next images are kept for: **4711**" in texts(app)
    upload(app, "first.png", photo_of(1))
    assert "**Patient:** 4711" in texts(app)
    next(button for button in app.button if button.label == "Next patient").click().run()
    assert "are kept for" not in texts(app)
    upload(app, "second.png", photo_of(2))
    patients = {summary.image_name: summary.patient_id for summary in book.search()}
    assert patients == {"first.png": "4711", "second.png": ""}


def test_images_wait_for_details_that_are_refused(open_app: Open, book: CaseBook) -> None:
    app = open_app()
    app.text_input(key="analyse 0 patient_id").input("a\x07b").run()
    upload(app, "lesion.png", photo_of(1))
    assert any("Correct the patient's details first" in error.value for error in app.error)
    assert book.count() == 0
    app.text_input(key="analyse 0 patient_id").input("ab").run()
    assert not app.error
    assert [summary.patient_id for summary in book.search()] == ["ab"]


def test_every_image_begins_with_the_predicted_diagnosis(open_app: Open) -> None:
    app = open_app()
    for seed in (1, 2):
        upload(app, f"{seed}.png", photo_of(seed))
        assert str(explained(app).value) == app.subheader[0].value
        other = next(d for d in DIAGNOSES if str(d) != app.subheader[0].value)
        explained(app).select(other).run()
        assert explained(app).value is other


def test_characters_that_the_report_cannot_print_are_named(open_app: Open) -> None:
    app = open_app()
    app.text_input(key="analyse 0 name").input("Zoë \ue123").run()
    upload(app, "lesion.png", photo_of(1))
    assert not app.exception
    assert "No installed font has U+E123: the report shows" in texts(app)


def test_no_report_is_made_to_know_what_it_cannot_print(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a report was made that nobody asked for")

    monkeypatch.setattr("dermassist.interfaces.web.result_view.build_report", refused)
    app = open_app()
    app.text_input(key="analyse 0 name").input("Zoë \ue123").run()
    upload(app, "lesion.png", photo_of(1))
    assert not app.exception
    assert "No installed font has U+E123: the report shows" in texts(app)


def test_the_class_to_explain_changes_the_words(open_app: Open) -> None:
    app = upload(open_app(), "lesion.png", photo_of(1))
    assert explained(app).value in DIAGNOSES
    for diagnosis in DIAGNOSES[:3]:
        explained(app).select(diagnosis).run()
        assert f"vidence for {diagnosis.full_name}" in texts(app).replace("\\", "")


@pytest.mark.parametrize("content", [b"", b"no image", photo_of(1)[:200], b"\x89PNG\r\n\x1a\n"])
def test_a_bad_file_is_a_sentence_and_no_case(
    open_app: Open, book: CaseBook, content: bytes
) -> None:
    app = upload(open_app(), "bad.png", content)
    assert not app.exception
    assert len(app.error) == 1
    assert "bad" in app.error[0].value
    assert book.count() == 0
    assert not app.metric


def test_several_images_are_answered_at_once_and_shown_one_at_a_time(
    open_app: Open, tiny_bundle: Path, book: CaseBook
) -> None:
    files = {f"lesion{k}.png": photo_of(k) for k in range(3)}
    app = upload_all(open_app(), {**files, "broken.png": b"broken"})
    assert not app.exception
    assert len(app.error) == 1
    assert "broken" in app.error[0].value
    assert {summary.image_name for summary in book.search()} == set(files)
    classifier = Classifier.load(tiny_bundle)
    for place, (name, content) in enumerate(files.items()):
        app.selectbox(key="looked at").select_index(place).run()
        prediction = assess(content, classifier=classifier).prediction
        assert app.subheader[0].value == str(prediction.diagnosis)
        assert app.metric[0].value == percent(prediction.confidence)
        assert escaped(name) in texts(app)
    assert book.count() == 3


def test_too_many_images_are_sent_to_batch(
    open_app: Open, book: CaseBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dermassist.interfaces.web.screens.analyse.MOST_ANALYSED", 2)
    app = upload_all(open_app(), {f"lesion{k}.png": photo_of(k) for k in range(3)})
    assert "choose 2 at most, or Batch" in app.error[0].value
    assert book.count() == 0
    for k in range(3):
        upload(app, f"lesion{k}.png", photo_of(k))
    # The eldest left the page; the case book has it.
    assert not app.error
    assert [option[:2] for option in app.selectbox(key="looked at").options] == ["3.", "2."]
    assert book.count() == 3


def test_a_deleted_case_is_gone_from_the_page_too(open_app: Open, book: CaseBook) -> None:
    app = upload(open_app(), "lesion.png", photo_of(1))
    assert app.metric
    book.delete(book.search()[0].case_id)
    app.run()
    assert not app.exception
    assert not app.metric
    assert len(app.error) == 1


def test_an_image_that_could_not_be_kept_is_answered_and_says_so(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise CaseError("the disk is full")

    app = open_app()
    monkeypatch.setattr(CaseBook, "save", full)
    upload(app, "lesion.png", photo_of(1))
    assert app.metric
    assert "Not saved in the case book: the disk is full" in app.error[0].value.replace("\\", "")
    assert not app.success
    assert app.run().metric


@pytest.mark.parametrize("page", [None, "batch"])
def test_every_format_that_is_advised_can_be_chosen_and_is_answered(
    open_app: Open, book: CaseBook, page: str | None
) -> None:
    with pytest.raises(ImageError) as refused:
        read_image(b"no image")
    advised = re.findall(r"JPEG|PNG|TIFF|BMP|WebP|GIF", str(refused.value))
    assert len(advised) == 6
    app = open_app(page)
    offered = app.file_uploader[0].proto.type
    # Browsers on Windows save JPEGs as .jfif.
    assert set(offered) == IMAGE_SUFFIXES - {".ppm"}
    files = {}
    for place, kind in enumerate(advised):
        file = io.BytesIO()
        Image.open(io.BytesIO(photo_of(place))).save(file, kind.upper())
        ending = next(each for each in offered if kind.lower().startswith(each[1:4]))
        files[f"lesion{ending}"] = file.getvalue()
    app = batch_of(app, files) if page == "batch" else upload_all(app, files)
    assert not app.exception
    assert not app.error
    assert {summary.image_name for summary in book.search()} == set(files)


def test_the_sample_is_labelled_and_not_kept(open_app: Open, book: CaseBook) -> None:
    app = open_app()
    app.button(key="sample").click().run()
    assert not app.exception
    assert "drawn by a program" in texts(app)
    assert app.metric
    assert book.count() == 0


def test_batch_puts_the_most_suspicious_first_and_survives_a_bad_file(
    open_app: Open, book: CaseBook
) -> None:
    app = open_app("batch")
    assert not app.exception
    names = ["a.png", "<script>alert(1)</script>.png", "c.png"]
    uploader = app.file_uploader(key="batch upload").upload("broken.png", b"broken", "image/png")
    for k, name in enumerate(names):
        uploader.upload(name, photo_of(k), "image/png")
    next(button for button in app.button if button.label == "Answer all").click().run()
    assert not app.exception
    table = app.dataframe[0].value
    assert len(table) == 3
    assert table["malignancy"].is_monotonic_decreasing
    assert set(table["file"]) == set(names)
    assert len(app.error) == 1
    assert "broken" in app.error[0].value
    assert book.count() == 3
    batch: Batch = app.session_state["batch"]
    assert [row.name for row in batch.rows if row.error] == ["broken.png"]


def test_a_batch_warns_of_what_analyse_warns_of(open_app: Open, book: CaseBook) -> None:
    square = photo_of(3, size=(120, 120))
    app = open_app("batch")
    app.selectbox(key="batch proportions").select("were squeezed from 4:3").run()
    batch_of(app, {"square.png": square, "photo.png": photo_of(1)})
    table = app.dataframe[0].value
    remarks = dict(zip(table["file"], table["in full"], strict=True))
    for each in book.search():
        assessment = book.load(each.case_id).assessment
        expected = (*assessment.quality.remarks, *assessment.image.notes)
        assert expected
        assert remarks[each.image_name] == " ".join(expected)
    short = dict(zip(table["file"], table["remarks"], strict=True))
    assert short["photo.png"] == "2 remarks: small, blurred"
    assert list(table.columns).index("remarks") == list(table.columns).index("confidence") - 1
    assert "times as wide as the file shows it" in remarks["square.png"]
    assert "times as wide as the file shows it" not in remarks["photo.png"]
    assert '"label": "Remarks"' in app.dataframe[0].proto.columns
    assert '"label": "Remarks in full"' in app.dataframe[0].proto.columns
    assert "“No” does not mean harmless. Not a diagnosis." in texts(app)

    analyse = upload(open_app(), "photo.png", photo_of(1))
    said = " ".join(warning.value for warning in analyse.warning).replace("\\", "")
    assert said.startswith(remarks["photo.png"])


@pytest.mark.parametrize(
    ("remarks", "short"),
    [
        ((), ""),
        (("Blurred: less sharp than 99 %.",), "1 remark: blurred"),
        (
            (
                "No lesion found: nothing stands out.",
                "The set is empty: no diagnosis is probable.",
                "The answer itself, Melanoma (MEL), is not in the set.",
                "The pixels are wider; see the file.",
            ),
            "4 remarks: no lesion found, the set is empty, the answer itself, the pixels are wider",
        ),
    ],
)
def test_a_table_says_first_how_many_remarks_there_are(
    remarks: tuple[str, ...], short: str
) -> None:
    assert short_remarks(remarks) == short


def test_reports_of_a_batch_decode_no_image_for_the_screen(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = batch_of(open_app("batch"), {"a.png": photo_of(0)})

    def refused(*_: object, **__: object) -> None:
        pytest.fail("decoded for the screen")

    monkeypatch.setattr("dermassist.interfaces.web.screens.batch.read_image", refused)
    with zipfile.ZipFile(io.BytesIO(download(app, "reports"))) as archive:
        assert [archive.read(name)[:4] for name in archive.namelist()] == [b"%PDF"]


def test_reports_of_a_batch_are_named_and_one_deleted_case_stops_none(
    open_app: Open, book: CaseBook
) -> None:
    app = batch_of(open_app("batch"), {"a.png": photo_of(0), "../<b>.png": photo_of(1)})
    kept = {summary.image_name: summary.case_id for summary in book.search()}
    with zipfile.ZipFile(io.BytesIO(download(app, "reports"))) as archive:
        names = {f"a_{kept['a.png'][:8]}.pdf", f"_b__{kept['../<b>.png'][:8]}.pdf"}
        assert set(archive.namelist()) == names
    book.delete(kept["a.png"])
    with zipfile.ZipFile(io.BytesIO(download(app, "reports"))) as archive:
        assert len(archive.namelist()) == 2
        assert b"a.png: there is no case" in archive.read("not_included.txt")


def test_too_many_images_are_refused_and_the_table_of_the_last_ones_is_called_so(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dermassist.interfaces.web.screens.batch.LARGEST_BATCH", 1)
    refused = "2 images are too many at once; choose 1 at most. None of them was answered."
    two = {"b.png": photo_of(1), "c.png": photo_of(2)}
    app = batch_of(open_app("batch"), two)
    assert [error.value for error in app.error] == [refused]
    assert not app.dataframe
    app = batch_of(batch_of(app, {"a.png": photo_of(0)}), two)
    assert [error.value for error in app.error] == [
        f"{refused} The table below is of the images before."
    ]
    assert list(app.dataframe[0].value["file"]) == ["a.png"]


def test_a_batch_that_cannot_be_kept_is_answered_all_the_same(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise CaseError("the disk is full")

    monkeypatch.setattr(CaseBook, "save", full)
    app = batch_of(open_app("batch"), {"a.png": photo_of(0), "b.png": photo_of(1)})
    assert len(app.dataframe[0].value) == 2
    assert len(app.error) == 2
    assert "not saved in the case book" in app.error[0].value.replace("\\", "")


def test_the_form_of_isic_tells_files_of_one_name_apart(open_app: Open) -> None:
    app = open_app("batch")
    uploader = app.file_uploader(key="batch upload")
    for seed in range(3):
        uploader.upload(f"lesion.{'png' if seed else 'jpg'}", photo_of(seed), "image/png")
    next(button for button in app.button if button.label == "Answer all").click().run()
    rows = list(csv.reader(download(app, "csv").decode().splitlines()))
    assert sorted(row[0] for row in rows[1:]) == ["lesion", "lesion (2)", "lesion (3)"]
    assert distinct(["a", "a", "a (2)", "a"]) == ["a", "a (2)", "a (2) (2)", "a (3)"]


def test_the_report_is_that_of_the_command_line(
    open_app: Open, tiny_bundle: Path, tmp_path: Path
) -> None:
    app = open_app()
    app.text_input(key="analyse 0 name").input("Zoë Ünal").run()
    upload(app, "lesion.png", photo_of(3))
    explained(app).select(DIAGNOSES[2]).run()
    (tmp_path / "lesion.png").write_bytes(photo_of(3))
    (tmp_path / "assessment.json").write_bytes(download(app, "JSON"))
    arguments = ["report", str(tmp_path / "assessment.json"), "--model", str(tiny_bundle)]
    status = _run([*arguments, "--name", "Zoë Ünal", "--explain", DIAGNOSES[2].code])
    assert status == 0
    assert (tmp_path / "DermAssist_Report.pdf").read_bytes() == download(app, "PDF report")


def test_cases_are_found_opened_completed_and_deleted(open_app: Open, book: CaseBook) -> None:
    upload(open_app(), "first.png", photo_of(1))
    upload(open_app(), "second.png", photo_of(2))
    app = open_app("cases")
    assert not app.exception
    assert len(app.dataframe[0].value) == 2
    app.text_input(key="search").input("FIRST").run()
    assert list(app.dataframe[0].value["file"]) == ["first.png"]
    (first,) = (summary for summary in book.search() if summary.image_name == "first.png")
    app.selectbox(key="chosen").select_index(0).run()
    next(button for button in app.button if button.label == "Open case").click().run()
    assert not app.exception
    assert app.title[0].value == f"Case {first.case_id[:8]}"
    assert app.caption[0].value.startswith(f"Case {first.case_id[:8]}, saved {first.saved_at[:10]}")
    assert app.subheader[0].value == str(first.diagnosis)
    assert "Outcome recorded:" not in texts(app)

    next(button for button in app.button if button.label == "Record").click().run()
    assert app.error[0].value == "Choose the final diagnosis first."
    assert book.load(first.case_id).outcome is None

    final = next(box for box in app.selectbox if box.label == "Final diagnosis")
    final.select(str(DIAGNOSES[4]))
    next(button for button in app.button if button.label == "Record").click().run()
    outcome = book.load(first.case_id).outcome
    assert outcome is not None
    assert (outcome.diagnosis, outcome.source) == (DIAGNOSES[4], "histology")
    recorded = app.info[0].value.replace("\\", "").replace("\u00a0", " ")
    assert recorded == (
        f"**Outcome recorded:** {DIAGNOSES[4]}, histology. The program answered: "
        f"{first.diagnosis}, {percent(first.confidence)}."
    )
    said = in_order(app)
    assert said.index(app.info[0].value) < said.index(app.subheader[0].value)
    report = pypdf.PdfReader(io.BytesIO(download(app, "PDF report")))
    printed = " ".join(report.pages[0].extract_text().split())
    assert f"Outcome recorded: {DIAGNOSES[4]}, histology." in printed

    field(app, "Patient ID").input("4711")
    next(button for button in app.button if button.label == "Save details").click().run()
    assert book.load(first.case_id).patient.patient_id == "4711"
    assert "**Patient:** 4711" in texts(app)
    assert app.title[0].value == "4711"

    next(button for button in app.button if button.label == "Delete").click().run()
    assert not app.exception
    assert [summary.image_name for summary in book.search()] == ["second.png"]


def test_a_list_of_cases_names_the_patient_first(open_app: Open, book: CaseBook) -> None:
    app = open_app()
    upload(app, "nobody.png", photo_of(1))
    app.text_input(key="analyse 0 patient_id").input("A-100").run()
    app.text_input(key="analyse 0 name").input("Anna First").run()
    upload(app, "anna.png", photo_of(2))
    anna, nobody = book.search()
    app = open_app("cases")
    assert next(iter(app.dataframe[0].value.columns)) == "patient"
    assert list(app.dataframe[0].value["patient"]) == ["A-100 Anna First", ""]
    assert list(app.selectbox(key="chosen").options) == [
        " · ".join(
            (
                *owner,
                each.saved_at[:16].replace("T", " "),
                f"{str(each.diagnosis)[:-1].rpartition('(')[2]} {percent(each.confidence)}",
                each.image_name,
                each.case_id[:8],
            )
        )
        for owner, each in ((["A-100 Anna First"], anna), ([], nobody))
    ]
    app.selectbox(key="chosen").select_index(0).run()
    press(app, "Open case")
    assert app.title[0].value.replace("\\", "") == "A-100 · Anna First"
    assert app.caption[0].value.startswith(f"Case {anna.case_id[:8]}, saved ")


def test_an_outcome_that_is_none_of_the_seven_is_told_with_its_remarks(
    open_app: Open, book: CaseBook
) -> None:
    upload(open_app(), "lesion.png", photo_of(1))
    (summary,) = book.search()
    book.record_outcome(summary.case_id, Outcome(None, "histology", "squamous cell\ncarcinoma"))
    app = open_app("cases")
    app.session_state["open case"] = summary.case_id
    app.run()
    said = app.info[0].value.replace("\\", "")
    assert said.startswith(
        "**Outcome recorded:** none of the seven: squamous cell carcinoma, histology. The program"
    )


def test_every_report_of_a_case_says_what_it_turned_out_to_be(
    open_app: Open, book: CaseBook
) -> None:
    def first_page(pdf: bytes) -> str:
        return " ".join(pypdf.PdfReader(io.BytesIO(pdf)).pages[0].extract_text().split())

    analyse = upload(open_app(), "analysed.png", photo_of(1))
    batch = batch_of(open_app("batch"), {"batched.png": photo_of(2)})
    reports: list[Callable[[], bytes]] = [
        lambda: download(analyse.run(), "PDF report"),
        lambda: _only_file(download(batch.run(), "reports")),
    ]
    words = f"Outcome recorded: {DIAGNOSES[4]}, histology."
    for report in reports:
        assert words not in first_page(report())
    for summary in book.search():
        book.record_outcome(summary.case_id, Outcome(DIAGNOSES[4], "histology"))
    for report in reports:
        assert words in first_page(report())
    assert any("**Outcome recorded:**" in info.value for info in analyse.info)


def _only_file(packed: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        (name,) = archive.namelist()
        return archive.read(name)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE dermassist_case SET summary = '{}', assessment = '{}' WHERE case_id = ?",
        "UPDATE dermassist_case SET summary = '{}', saved_at = 'soon' WHERE case_id = ?",
        "UPDATE dermassist_image SET content = x'00' WHERE case_id = ?",
        "DELETE FROM dermassist_image WHERE case_id = ?",
    ],
)
def test_a_damaged_case_hides_no_other_and_can_be_deleted(
    open_app: Open, book: CaseBook, cases_folder: Path, damage: str
) -> None:
    app = open_app()
    for name, seed in (("whole.png", 1), ("damaged.png", 2)):
        upload(app, name, photo_of(seed))
    damaged, whole = (summary.case_id for summary in book.search())
    with sqlite3.connect(cases_folder / FILE_NAME) as database:
        database.execute(damage, (damaged,))
    app = open_app("cases")
    assert not app.exception
    cases = list(app.dataframe[0].value["case"])
    assert set(cases) == {damaged[:8], whole[:8]}
    listed = "summary" not in damage
    place = cases.index(damaged[:8])
    assert ("cannot be read" in app.dataframe[0].value["answer"][place]) is not listed
    assert len(app.warning) == (0 if listed else 1)
    with zipfile.ZipFile(io.BytesIO(download(app, "list"))) as archive:
        written = {name.partition("/")[0] for name in archive.namelist()}
        assert written == {whole, *(["not_included.txt"] if listed else [])}
        assert not listed or damaged in archive.read("not_included.txt").decode()
    app.selectbox(key="chosen").select_index(place).run()
    press(app, "Open case")
    assert app.title[0].value == f"Case {damaged[:8]}"
    assert app.error[0].value.replace("\\", "").startswith("The case cannot be opened: ")
    assert not app.metric
    press(app, "Back to all cases")
    app.session_state["open case"] = damaged
    press(app.run(), "Delete")
    assert not app.exception
    assert [summary.case_id for summary in book.search()] == [whole]
    assert list(app.dataframe[0].value["file"]) == ["whole.png"]


def test_a_chosen_row_opens_the_case_that_it_showed(
    open_app: Open, book: CaseBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(open_app(), "first.png", photo_of(1))
    chosen: list[Callable[[], None]] = []
    drawn: Any = st.dataframe

    def dataframe(*arguments: object, on_select: Any, **options: Any) -> object:
        chosen.append(on_select)
        return drawn(*arguments, on_select=on_select, **options)

    monkeypatch.setattr(st, "dataframe", dataframe)
    open_app("cases")
    (first,) = book.search()
    # Somebody saves another case before the row is chosen, which is then the second.
    book.save(book.load(first.case_id).assessment, photo_of(1))
    state: dict[str, Any] = {"case table 0": SimpleNamespace(selection=SimpleNamespace(rows=[0]))}
    monkeypatch.setattr(st, "session_state", state)
    chosen[0]()
    assert state["open case"] == first.case_id


@pytest.mark.parametrize("kept", [True, False])
def test_downloads_of_several_answers_have_names_of_their_own(
    open_app: Open, book: CaseBook, kept: bool
) -> None:
    app = open_app()
    app.text_input(key="analyse 0 name").input("Anna").run()
    if kept:
        upload(app, "left arm.png", photo_of(1))
        end = f"left_arm_{book.search()[0].case_id[:8]}"
    else:
        app.button(key="sample").click().run()
        end = "synthetic_lesion"
    offered: dict[str, Offer] = app.session_state["downloads"]
    assert {label: each.file.name for label, each in offered.items()} == {
        "PDF report": f"DermAssist_Report_{end}.pdf",
        "Overlay": f"gradcam_overlay_{end}.png",
        "Heatmap": f"gradcam_output_{end}.png",
        "JSON": f"assessment_{end}.json",
    }


def test_figures_of_another_version_are_named_and_nothing_else_is_lost(
    open_app: Open, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = Classifier.load().manifest.metrics
    assert shipped is not None
    decisions = {**shipped["decisions"], "sets": {"coverage": None}}
    tiny = read_bundle(tiny_bundle)
    older = replace(tiny.manifest, metrics={**shipped, "decisions": decisions})
    write_bundle(tmp_path / "older", older, {GRAPH_NAME: tiny.graph})
    monkeypatch.setenv("DERMASSIST_MODEL", str(tmp_path / "older"))
    app = open_app("model")
    assert not app.exception
    assert any("measured by another version" in each.value for each in app.markdown)
    assert any(each.value == "Confusion matrix" for each in app.subheader)
    # The history of the rules is that of the model that ships.
    assert "No weights were chosen on these images." in texts(app)
    assert "revised" not in texts(app)


def test_who_cannot_see_the_charts_of_the_model_gets_their_numbers(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The model that ships: the tiny one was not measured.
    monkeypatch.delenv("DERMASSIST_MODEL")
    app = open_app("model")
    assert not app.exception
    assert "none of these images" not in texts(app)
    assert (
        "No weights were chosen on these images. The rules for referral and prediction sets were "
        "revised after earlier versions had been measured on them, and one version was withdrawn "
        "after it had been."
    ) in texts(app)
    measured = read_measured(Classifier.load().manifest)
    assert measured is not None
    report = measured.report
    tables = [frame.value for frame in app.dataframe]
    # One error has one interval, wherever it stands.
    rows = {row[0]: row[1] for table in tables for row in table.to_numpy()}
    assert rows["With temperature"] == rows["Expected calibration error (15 bins)"]
    confusion = next(table for table in tables if table.columns[0].startswith("True"))
    assert [[int(cell) for cell in row[1:-1]] for row in confusion.to_numpy()] == [
        list(row) for row in report.confusion
    ]

    matrix, roc, reliability = (chart.proto.alt for chart in app.get("vega_lite_chart"))
    assert "table below" in matrix
    for row in report.summary.classes:
        assert f"{row.code.upper()}: {row.measures.auc.value:.3f}" in roc
    assert f"MALIGNANCY: {report.summary.overall.malignancy_auc.value:.3f}" in roc
    bins = report.reliability
    filled = [k for k, count in enumerate(bins.count) if count]
    assert reliability.count(" of ") - 1 == len(filled) > 1
    for k in filled:
        confidence, right = percent(bins.confidence[k]), percent(bins.accuracy[k])
        assert f"at {confidence}, {right} of {bins.count[k]} images" in reliability


@pytest.mark.parametrize(("page", "says"), [("model", "Limits"), ("guide", "Referral threshold")])
def test_pages_without_input_are_drawn(open_app: Open, page: str, says: str) -> None:
    app = open_app(page)
    assert not app.exception
    headers = [element.value for kind in (app.header, app.subheader) for element in kind]
    assert says in headers


@pytest.mark.parametrize(
    ("ships", "says"),
    [
        (True, "How true that is for this model was measured: see the page Model."),
        (False, "How true that is for this model was not measured."),
    ],
)
def test_the_guide_promises_no_more_than_was_measured(
    open_app: Open, monkeypatch: pytest.MonkeyPatch, ships: bool, says: str
) -> None:
    if ships:
        monkeypatch.delenv("DERMASSIST_MODEL")
    said = texts(open_app("guide"))
    assert says in said
    assert said.index("that is what calibrated means") < said.index(says)
    assert "The diagnoses that fit best. It does not exclude the others." in said
    assert "cannot be excluded" not in said


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain name.jpg", "plain name.jpg"),
        ("a\u202egpj.exe", "a<U+202E>gpj.exe"),
        ("zero\u200bwidth", "zero<U+200B>width"),
        ("two\nlines", "two<U+000A>lines"),
        ("naïve ünïcode 日本", "naïve ünïcode 日本"),
    ],
)
def test_hidden_characters_are_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_long_names_lose_their_middle_and_markup_is_text() -> None:
    long = visible("a" * 500 + "b" * 500)
    assert len(long) <= 120
    assert long.startswith("aaa")
    assert long.endswith("bbb")
    assert escaped("<b>*x*</b> [l](u) $y$") == (r"\<b\>\*x\*\<\/b\> \[l\]\(u\) \$y\$")


#: What GitHub's dialect of Markdown makes links of, in the words of its parser
#: (mdast-util-gfm-autolink-literal), which looks when the backslashes are gone.
_LINKS = re.compile(
    r"(https?://|www(?=\.))([-.\w]+)([^ \t\r\n]*)|([-.\w+]+)@([-\w]+(?:\.[-\w]+)+)", re.IGNORECASE
)


@pytest.mark.parametrize(
    "text",
    [
        "see www.evil.com.png",
        "WWW.evil.example",
        "https://evil.example/a",
        "HTTP://evil.example",
        "eva@clinic.example",
        "mailto:eva@clinic.example",
        "xmpp:eva@clinic.example/a",
        "https://www.evil.example and eva@clinic.example",
    ],
)
def test_no_text_becomes_a_link(text: str) -> None:
    assert _LINKS.search(text)
    shown = escaped(text).replace("\\", "")
    assert not _LINKS.search(shown)
    assert shown.replace("\u2060", "") == text


@pytest.mark.parametrize("text", ["wwwide.png", "a: b / c", "10:20:30", "awww, 1//2"])
def test_other_texts_are_left_as_they_are(text: str) -> None:
    assert escaped(text).replace("\\", "") == text
