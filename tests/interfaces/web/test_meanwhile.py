"""What happens while a page is open: clicks, other sessions, another model, a deletion."""

from __future__ import annotations

import gc
import io
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pypdf
import pytest
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.testing.v1 import AppTest

from dermassist import Classifier, assess
from dermassist.cases import CaseBook, Outcome
from dermassist.cases.database import FILE_NAME
from dermassist.diagnosis import DIAGNOSES
from dermassist.errors import CaseError
from dermassist.explain.overlay import render_overlay
from dermassist.imaging import RasterImage, read_image
from dermassist.interfaces.web.downloads import _OFFERS, Offer
from dermassist.interfaces.web.proportions import assess_file
from dermassist.interfaces.web.screens.batch import Batch
from dermassist.interfaces.web.share_table import share_table
from dermassist.interfaces.web.unanswered import unanswered_words
from dermassist.model.bundle import GRAPH_NAME, read_bundle, write_bundle
from dermassist.model.manifest import Manifest, ReferralRule
from dermassist.patient import PatientDetails
from dermassist.results import Assessment

from ...conftest import PATIENCE_S
from .conftest import Open, photo_of
from .page import batch_of, download, field, press, texts, upload, upload_all

SCREENS = "dermassist.interfaces.web.screens"
#: Both pages of one session, which AppTest cannot walk between.
TWO_PAGES = f"""
import streamlit as st
from {SCREENS}.analyse import analyse_page
from {SCREENS}.batch import batch_page
from {SCREENS}.cases import cases_page
pages = {{"cases": cases_page, "batch": batch_page}}
pages.get(st.session_state.get("page"), analyse_page)()
"""
NOT_MEASURED = "How often answers of such confidence are right was not measured for this model."


def keep(
    book: CaseBook, bundle: Path, *, version: str | None = None, seed: int = 1, **patient: Any
) -> str:
    """Keep a case, of another version of the model where one is named; return its number."""
    image = photo_of(seed)
    made = assess(image, classifier=Classifier.load(bundle))
    if version is not None:
        made = replace(made, model=replace(made.model, version=version))
    return book.save(made, image, patient=PatientDetails(**patient)).case_id


def opened_case(open_app: Open, case_id: str) -> AppTest:
    app = open_app("cases")
    app.session_state["open case"] = case_id
    return app.run()


def plain(app: AppTest) -> str:
    """Return all that the page says, as it is read."""
    return texts(app).replace("\\", "")


def measured_bundle(directory: Path, tiny_bundle: Path, **changed: Any) -> Path:
    """Write the tiny model with the metrics of the one that ships, or with others."""
    tiny, shipped = read_bundle(tiny_bundle), Classifier.load().manifest
    manifest: Manifest = replace(tiny.manifest, **{"metrics": shipped.metrics, **changed})
    write_bundle(directory, manifest, {GRAPH_NAME: tiny.graph})
    return directory


def test_a_case_of_another_version_gets_no_figures_of_this_one(
    open_app: Open,
    book: CaseBook,
    tiny_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle = measured_bundle(tmp_path / "measured", tiny_bundle)
    monkeypatch.setenv("DERMASSIST_MODEL", str(bundle))
    own, older = keep(book, bundle), keep(book, bundle, version="0.0.older")
    said = plain(opened_case(open_app, own))
    assert "test image" in said
    assert NOT_MEASURED not in said
    app = opened_case(open_app, older)
    assert not app.exception
    assert NOT_MEASURED in plain(app)
    assert "test image" not in plain(app)


@pytest.fixture
def unreadable_bundle(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shipped = Classifier.load().manifest.metrics
    assert shipped is not None
    metrics = {**shipped, "report": {**shipped["report"], "schema": 99}}
    rule = ReferralRule(0.3, 0.95, measured={"sensitivity": "of another version"})
    bundle = measured_bundle(tmp_path / "old", tiny_bundle, metrics=metrics, referral=rule)
    monkeypatch.setenv("DERMASSIST_MODEL", str(bundle))
    return bundle


def test_figures_of_another_version_keep_no_image_from_its_answer(
    open_app: Open, unreadable_bundle: Path
) -> None:
    app = upload(open_app(), "lesion.png", photo_of(1))
    assert not app.exception
    assert app.metric
    assert "sensitivity and specificity on test lesions: not measured" in texts(app)
    assert any("another version of DermAssist" in warning.value for warning in app.warning)
    assert NOT_MEASURED in plain(app)


def test_the_model_page_says_why_its_figures_cannot_be_read(
    open_app: Open, unreadable_bundle: Path
) -> None:
    app = open_app("model")
    assert not app.exception
    assert "measured by another version of DermAssist" in app.warning[0].value
    assert "schema and classes (99" in app.warning[0].value.replace("\\", "")


def test_corrected_details_are_those_of_the_page_and_the_report(
    open_app: Open, book: CaseBook
) -> None:
    app = open_app()
    app.text_input(key="analyse 0 name").input("Mistyped").run()
    upload(app, "lesion.png", photo_of(1))
    assert "**Patient:** Mistyped" in texts(app)
    book.record_patient(book.search()[0].case_id, PatientDetails(name="Corrected"))
    app.run()
    assert "**Patient:** Corrected" in texts(app)
    report = pypdf.PdfReader(io.BytesIO(download(app, "PDF report")))
    printed = "".join(page.extract_text() for page in report.pages)
    assert "Corrected" in printed
    assert "Mistyped" not in printed


def click_during(monkeypatch: pytest.MonkeyPatch, screen: str, *, image: int) -> None:
    """Let the user click somewhere while the image of this place, from 1, is answered."""
    places = iter(range(1, 1000))

    def assessed(content: bytes, *, name: str, proportions: float) -> Assessment:
        if next(places) == image:
            context = get_script_run_ctx()
            assert context is not None
            assert context.script_requests is not None
            context.script_requests.request_rerun(RerunData())
        return assess_file(content, name=name, proportions=proportions)

    monkeypatch.setattr(f"{SCREENS}.{screen}.assess_file", assessed)


FOUR = {f"lesion{k}.png": photo_of(k) for k in range(4)}


def test_a_click_loses_no_answer_of_analyse_and_is_said(
    open_app: Open, book: CaseBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = upload(open_app(), "before.png", photo_of(9))
    click_during(monkeypatch, "analyse", image=2)
    upload_all(app, FOUR)
    assert not app.exception
    said = app.error[0].value.replace("\\", "")
    assert said.startswith("Stopped after 2 of 4 images")
    assert "2 images were not answered: lesion2.png, lesion3.png" in said
    kept = {summary.image_name for summary in book.search()}
    assert kept == {"before.png", "lesion0.png", "lesion1.png"}
    choice = app.selectbox(key="looked at")
    assert [option.split(" · ")[0] for option in choice.options] == [
        "2. lesion0.png",
        "3. lesion1.png",
        "1. before.png",
    ]
    assert choice.value == 2
    upload(app, "after.png", photo_of(8))
    assert not app.error
    assert book.count() == 4


def test_images_that_a_click_kept_from_being_answered_get_their_body_site_too(
    open_app: Open, book: CaseBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_app()
    app.text_input(key="analyse 0 body_site").input("back").run()
    click_during(monkeypatch, "analyse", image=2)
    upload_all(app, FOUR)
    assert app.text_input(key="analyse 0 body_site").value == "back"
    upload_all(app, {name: FOUR[name] for name in ("lesion2.png", "lesion3.png")})
    assert {book.load(each.case_id).patient.body_site for each in book.search()} == {"back"}
    assert app.text_input(key="analyse 0 body_site").value == ""


def test_a_click_loses_no_answer_of_a_batch_and_no_old_table_stays(
    open_app: Open, book: CaseBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = batch_of(open_app("batch"), {"before.png": photo_of(9)})
    click_during(monkeypatch, "batch", image=3)
    batch_of(app, FOUR)
    assert not app.exception
    said = app.error[0].value.replace("\\", "")
    assert said.startswith("Stopped after 3 of 4 images")
    assert "1 image was not answered: lesion3.png." in said
    assert set(app.dataframe[0].value["file"]) == {f"lesion{k}.png" for k in range(3)}
    assert book.count() == 4


@pytest.mark.parametrize(
    ("names", "done", "says"),
    [
        ((), 0, None),
        (("a", "b"), 2, None),
        (("a", "b"), 1, "after 1 of 2 images"),
        (
            tuple("abcdefghijklm"),
            0,
            "13 images were not answered: a, b, c, d, e, f, g, h, i, j and",
        ),
    ],
)
def test_what_was_not_answered_is_named(
    names: tuple[str, ...], done: int, says: str | None
) -> None:
    words = unanswered_words(names, done)
    assert words is None if says is None else words is not None and says in words


def record(app: AppTest, place: int, remarks: str = "") -> AppTest:
    next(box for box in app.selectbox if box.label == "Final diagnosis").select(
        str(DIAGNOSES[place])
    )
    fields = [area for area in app.text_area if (area.key or "").endswith("found")]
    fields[0].input(remarks)
    return press(app, "Record")


def test_an_outcome_that_somebody_else_recorded_is_not_overwritten(
    open_app: Open, book: CaseBook, tiny_bundle: Path
) -> None:
    case_id = keep(book, tiny_bundle)
    app = opened_case(open_app, case_id)
    theirs = Outcome(DIAGNOSES[0], "histology", "theirs")
    book.record_outcome(case_id, theirs)
    # The page is drawn again before the form is sent.
    app.toggle(key="signed").set_value(True).run()

    record(app, 4, "mine")
    assert not app.exception
    assert book.load(case_id).outcome == theirs
    said = app.error[0].value.replace("\\", "")
    assert "was changed meanwhile by somebody else: the outcome is no longer" in said
    assert f"not saved: {DIAGNOSES[4]}, histology, mine" in said
    shown = next(box for box in app.selectbox if box.label == "Final diagnosis")
    assert shown.value == str(DIAGNOSES[0])

    record(app, 4, "mine, having seen theirs")
    assert not app.error
    found = book.load(case_id).outcome
    assert found == Outcome(DIAGNOSES[4], "histology", "mine, having seen theirs")


def test_details_that_somebody_else_saved_are_not_overwritten(
    open_app: Open, book: CaseBook, tiny_bundle: Path
) -> None:
    case_id = keep(book, tiny_bundle, name="Anna")
    app = opened_case(open_app, case_id)
    theirs = PatientDetails(name="Anna", patient_id="4711")
    outcome = Outcome(DIAGNOSES[0], "clinician")
    book.record_patient(case_id, theirs)
    book.record_outcome(case_id, outcome)
    app.run()

    field(app, "Body site").input("left arm")
    press(app, "Save details")
    assert not app.exception
    assert "Saved at" not in plain(app)
    assert book.load(case_id).patient == theirs
    assert "not saved: Anna, left arm" in app.error[0].value.replace("\\", "")
    assert (field(app, "Patient ID").value, field(app, "Body site").value) == ("4711", "")

    field(app, "Body site").input("left arm")
    press(app, "Save details")
    assert not app.error
    case = book.load(case_id)
    assert (case.patient, case.outcome) == (replace(theirs, body_site="left arm"), outcome)


def test_one_form_of_a_case_may_be_saved_after_the_other(
    open_app: Open, book: CaseBook, tiny_bundle: Path
) -> None:
    case_id = keep(book, tiny_bundle)
    app = opened_case(open_app, case_id)
    for name in ("Anna", "Berta"):
        field(app, "Name").input(name)
        press(app, "Save details")
        record(app, 2, name)
        record(app, 3, name)
        assert not app.error
    case = book.load(case_id)
    assert case.patient.name == "Berta"
    assert case.outcome == Outcome(DIAGNOSES[3], "histology", "Berta")


def outcome_fields(app: AppTest) -> tuple[object, str]:
    """Return what the form of the outcome holds: the final diagnosis and the remarks."""
    final = next(box for box in app.selectbox if box.label == "Final diagnosis")
    remarks = next(area for area in app.text_area if (area.key or "").endswith("found"))
    return final.value, str(remarks.value)


def test_remarks_that_are_refused_stay_to_be_corrected(
    open_app: Open, book: CaseBook, tiny_bundle: Path
) -> None:
    case_id, remarks = keep(book, tiny_bundle), "a\x07b"
    app = opened_case(open_app, case_id)
    record(app, 4, remarks)
    assert not app.exception
    assert app.title[0].value == f"Case {case_id[:8]}"
    (said,) = app.error
    assert said.value.replace("\\", "").startswith("Not saved: Remarks")
    assert outcome_fields(app) == (str(DIAGNOSES[4]), remarks)
    assert book.load(case_id).outcome is None
    record(app, 4, "corrected")
    assert not app.error
    assert book.load(case_id).outcome == Outcome(DIAGNOSES[4], "histology", "corrected")


def test_remarks_of_an_outcome_end_at_their_longest(
    open_app: Open, book: CaseBook, tiny_bundle: Path
) -> None:
    app = opened_case(open_app, keep(book, tiny_bundle))
    areas = [area for area in app.text_area if area.label == "Remarks"]
    assert [area.proto.max_chars for area in areas] == [4000, 4000]


def test_what_a_full_disk_kept_from_being_saved_stays_to_be_sent_again(
    open_app: Open, book: CaseBook, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = keep(book, tiny_bundle)
    app = opened_case(open_app, case_id)

    def full(*_: object, **__: object) -> None:
        raise CaseError("the case was not changed: the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(CaseBook, "record_outcome", full)
        patched.setattr(CaseBook, "record_patient", full)
        field(app, "Name").input("Anna")
        press(app, "Save details")
        assert "Not saved: the case was not changed: the disk is full" in plain(app)
        record(app, 4, "typed")
        assert "Not saved: the case was not changed: the disk is full" in plain(app)
    assert not app.exception
    assert field(app, "Name").value == "Anna"
    assert outcome_fields(app) == (str(DIAGNOSES[4]), "typed")
    assert "Saved at" not in plain(app)
    press(app, "Record")
    assert plain(app).count("Saved at") == 1
    press(app, "Save details")
    assert plain(app).count("Saved at") == 2
    assert not app.error
    case = book.load(case_id)
    assert (case.patient.name, case.outcome) == (
        "Anna",
        Outcome(DIAGNOSES[4], "histology", "typed"),
    )


def test_a_wrong_outcome_can_be_taken_back(
    open_app: Open, book: CaseBook, tiny_bundle: Path
) -> None:
    case_id = keep(book, tiny_bundle)
    app = opened_case(open_app, case_id)
    assert "Take the outcome back" not in [button.label for button in app.button]
    record(app, 4, "of another patient")
    press(app, "Take the outcome back")
    assert not app.exception
    assert not app.error
    assert book.load(case_id).outcome is None
    assert outcome_fields(app) == (None, "")
    assert "Recorded:" not in texts(app)
    assert "Take the outcome back" not in [button.label for button in app.button]


def test_an_outcome_that_somebody_else_corrected_is_not_taken_back(
    open_app: Open, book: CaseBook, tiny_bundle: Path
) -> None:
    case_id = keep(book, tiny_bundle)
    app = opened_case(open_app, case_id)
    record(app, 4, "mine")
    theirs = Outcome(DIAGNOSES[0], "histology", "theirs")
    book.record_outcome(case_id, theirs)
    press(app, "Take the outcome back")
    assert book.load(case_id).outcome == theirs
    said = app.error[0].value.replace("\\", "")
    assert "the outcome is no longer as it was shown" in said
    assert outcome_fields(app) == (str(DIAGNOSES[0]), "theirs")


def tokens(app: AppTest) -> dict[str, str]:
    offered: dict[str, Offer] = app.session_state["downloads"]
    return {key: each.token for key, each in offered.items()}


def test_nothing_of_a_deleted_case_stays_in_the_session(open_app: Open, book: CaseBook) -> None:
    open_app("cases")
    app = AppTest.from_string(TWO_PAGES, default_timeout=PATIENCE_S).run()
    upload_all(app, {"kept.png": photo_of(1), "gone.png": photo_of(2)})
    app.selectbox(key="looked at").select_index(1).run()
    gone = next(s.case_id for s in book.search() if s.image_name == "gone.png")
    app.session_state["page"], app.session_state["open case"] = "cases", gone
    app.run()
    served = tokens(app)
    assert {"PDF report", "Overlay", "case"} <= set(served)
    assert _OFFERS[served["PDF report"]].file.make().startswith(b"%PDF")

    press(app, "Delete")
    assert not app.exception
    gc.collect()
    assert not [key for key, token in served.items() if token in _OFFERS]
    app.session_state["page"] = "analyse"
    app.run()
    assert not app.exception
    assert not app.error
    # One is left, so there is no choice.
    assert "looked at" not in [box.key for box in app.selectbox]
    assert "kept" in texts(app)


def test_a_case_that_was_not_deleted_stays_in_the_session(
    open_app: Open, book: CaseBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise CaseError("the case was not deleted: the disk is full")

    open_app("cases")
    app = upload(
        AppTest.from_string(TWO_PAGES, default_timeout=PATIENCE_S).run(), "a.png", photo_of(1)
    )
    app.session_state["open case"] = book.search()[0].case_id
    look_at(app, "cases")
    with monkeypatch.context() as patched:
        patched.setattr(CaseBook, "delete", full)
        press(app, "Delete")
    assert not app.exception
    assert "the case was not deleted: the disk is full" in plain(app)
    look_at(app, "analyse")
    assert app.metric
    assert download(app, "PDF report").startswith(b"%PDF")


def test_a_deleted_case_of_which_traces_stay_is_gone_from_the_session(
    open_app: Open, book: CaseBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = CaseBook.delete

    def traced(self: CaseBook, case_id: str) -> None:
        delete(self, case_id)
        raise CaseError(f"case {case_id} is deleted, but traces of it stay in the journal")

    open_app("cases")
    app = upload(
        AppTest.from_string(TWO_PAGES, default_timeout=PATIENCE_S).run(), "a.png", photo_of(1)
    )
    app.session_state["open case"] = book.search()[0].case_id
    look_at(app, "cases")
    monkeypatch.setattr(CaseBook, "delete", traced)
    press(app, "Delete")
    assert not app.exception
    assert "traces of it stay in the journal" in plain(app)
    look_at(app, "analyse")
    assert not app.metric
    assert not app.error


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The images that the page of a case decodes, as it does."""
    images: list[bytes] = []

    def noted(image: bytes) -> RasterImage:
        images.append(image)
        return read_image(image)

    monkeypatch.setattr(f"{SCREENS}.case.read_image", noted)
    return images


def test_an_open_cases_image_is_decoded_once_and_is_its_own(
    open_app: Open, book: CaseBook, tiny_bundle: Path, decoded: list[bytes]
) -> None:
    first, second = keep(book, tiny_bundle), keep(book, tiny_bundle, seed=2)
    app = opened_case(open_app, first)
    app.toggle(key="signed").set_value(True).run()
    assert decoded == [photo_of(1)]
    app.session_state["open case"] = second
    app.run()
    assert decoded == [photo_of(1), photo_of(2)]
    made = book.load(second).assessment
    assert download(app, "Overlay") == render_overlay(
        read_image(photo_of(2)).pixels,
        made.explanation,
        made.prediction.diagnosis,
        info=made.image,
        signed=True,
    )


def test_nothing_decoded_is_shown_of_a_case_that_is_gone_or_changed(
    open_app: Open, book: CaseBook, tiny_bundle: Path, cases_folder: Path
) -> None:
    changed, gone = keep(book, tiny_bundle), keep(book, tiny_bundle)
    app = opened_case(open_app, changed)
    with sqlite3.connect(cases_folder / FILE_NAME) as database:
        write = "UPDATE dermassist_image SET content = ? WHERE case_id = ?"
        database.execute(write, (photo_of(2), changed))
    app.run()
    assert not app.metric
    assert "was changed after it was saved" in plain(app)
    app = opened_case(open_app, gone)
    book.delete(gone)
    app.run()
    assert not app.metric
    assert "there is no case" in plain(app)
    assert "case pixels" not in app.session_state


def test_a_closed_case_leaves_no_decoded_image(
    open_app: Open, book: CaseBook, tiny_bundle: Path
) -> None:
    app = opened_case(open_app, keep(book, tiny_bundle))
    assert "case pixels" in app.session_state
    press(app, "Back to all cases")
    assert "case pixels" not in app.session_state


def test_the_table_of_a_batch_forgets_a_deleted_case(open_app: Open, book: CaseBook) -> None:
    open_app("cases")
    app = AppTest.from_string(TWO_PAGES, default_timeout=PATIENCE_S)
    app.session_state["page"] = "batch"
    batch_of(app.run(), {"kept.png": photo_of(1), "gone.png": photo_of(2)})
    gone = next(s.case_id for s in book.search() if s.image_name == "gone.png")
    app.session_state["page"], app.session_state["open case"] = "cases", gone
    press(app.run(), "Delete")
    batch: Batch = app.session_state["batch"]
    assert [row.name for row in batch.rows] == ["kept.png"]
    app.session_state["page"] = "batch"
    app.run()
    assert not app.error


def look_at(app: AppTest, page: str) -> AppTest:
    app.session_state["page"] = page
    return app.run()


def fill_in(app: AppTest) -> PatientDetails:
    """Fill in whose lesion the next images show."""
    key = "analyse 0"
    app.text_input(key=f"{key} patient_id").input("4711").run()
    app.text_input(key=f"{key} name").input("Zoë Ünal").run()
    app.number_input(key=f"{key} age").set_value(44).run()
    app.selectbox(key=f"{key} sex").select("female").run()
    app.text_input(key=f"{key} body_site").input("back").run()
    app.text_area(key=f"{key} remarks").input("unmistakable").run()
    return PatientDetails("4711", "Zoë Ünal", 44, "female", "back", "unmistakable")


def test_what_was_entered_stays_while_another_page_is_looked_at(
    open_app: Open, book: CaseBook, tiny_bundle: Path
) -> None:
    open_app("cases")
    app = AppTest.from_string(TWO_PAGES, default_timeout=PATIENCE_S).run()
    patient = fill_in(app)
    app.selectbox(key="proportions").select("were squeezed from 4:3").run()
    look_at(app, "batch")
    app.selectbox(key="batch proportions").select("were squeezed from 3:2").run()
    look_at(app, "cases").run()
    look_at(app, "analyse")
    assert "The next images are kept for: **4711" in texts(app)
    upload(app, "square.png", photo_of(1, size=(120, 120)))
    assert not app.exception
    look_at(app, "batch")
    batch_of(app, {"batched.png": photo_of(1, size=(120, 120))})

    kept = {each.image_name: book.load(each.case_id) for each in book.search()}
    assert kept["square.png"].patient == patient
    assert kept["batched.png"].patient == PatientDetails()
    classifier = Classifier.load(tiny_bundle)
    for name, proportions in (("square.png", 4 / 3), ("batched.png", 3 / 2)):
        square = photo_of(1, size=(120, 120))
        expected = assess(square, classifier=classifier, pixel_aspect=proportions).prediction
        assert kept[name].assessment.prediction.to_dict() == expected.to_dict()


def held(app: AppTest) -> str:
    """Return all that a session holds under a name of its own."""
    return repr(app.session_state)


def test_the_next_patient_gets_nothing_of_the_one_before(open_app: Open, book: CaseBook) -> None:
    open_app("cases")
    app = AppTest.from_string(TWO_PAGES, default_timeout=PATIENCE_S).run()
    fill_in(app)
    look_at(app, "cases")
    look_at(app, "analyse")
    assert "unmistakable" in held(app)
    press(app, "Next patient")
    for page in ("cases", "analyse"):
        assert "unmistakable" not in held(look_at(app, page))
    assert "are kept for" not in texts(app)
    upload(app, "next.png", photo_of(1))
    (summary,) = book.search()
    assert book.load(summary.case_id).patient == PatientDetails()


@pytest.mark.parametrize("corrected", [False, True])
def test_a_deleted_cases_details_do_not_wait_for_the_next_image(
    open_app: Open, book: CaseBook, corrected: bool
) -> None:
    open_app("cases")
    app = AppTest.from_string(TWO_PAGES, default_timeout=PATIENCE_S).run()
    patient = fill_in(app)
    upload(app, "gone.png", photo_of(1))
    (gone,) = book.search()
    if corrected:
        book.record_patient(gone.case_id, replace(patient, age_years=45))
    app.session_state["open case"] = gone.case_id
    look_at(app, "cases")
    press(app, "Delete")
    assert not app.exception
    assert "unmistakable" not in held(app)
    look_at(app, "analyse")
    assert "are kept for" not in texts(app)


def test_details_of_another_patient_outlast_a_deletion(
    open_app: Open, book: CaseBook, tiny_bundle: Path
) -> None:
    case_id = keep(book, tiny_bundle, name="Anna")
    open_app("cases")
    app = AppTest.from_string(TWO_PAGES, default_timeout=PATIENCE_S).run()
    fill_in(app)
    app.session_state["open case"] = case_id
    look_at(app, "cases")
    press(app, "Delete")
    look_at(app, "analyse")
    assert "The next images are kept for: **4711" in texts(app)


@pytest.mark.parametrize("key", ["PDF report", "Overlay", "Heatmap", "JSON"])
def test_another_sessions_download_ends_with_the_case(
    open_app: Open, book: CaseBook, key: str
) -> None:
    app = upload(open_app(), "lesion.png", photo_of(1))
    assert download(app, key)
    book.delete(book.search()[0].case_id)
    with pytest.raises(CaseError, match="there is no case"):
        download(app, key)


def words_of(table: object) -> pd.DataFrame:
    script = "import streamlit as st\nst.dataframe(st.session_state['table'])"
    app = AppTest.from_string(script)
    app.session_state["table"] = table
    return shown_words(app.run())


def shown_words(app: AppTest) -> pd.DataFrame:
    """Return the words that the browser shows of the table, as Streamlit sends them."""
    sent = app.dataframe[0].proto.arrow_data.styler.display_values
    return pa.ipc.open_stream(sent).read_pandas()


def test_no_probability_is_rounded_to_none_or_all() -> None:
    shares = [1e-9, 0.0004, 0.031, 0.5, 0.9996, 1.0 - 1e-9]
    rows = [{"share": share, "name": f"{share}", "picture": "data:long"} for share in shares]
    words = words_of(share_table(rows, ("share",), pictures=("picture",)))
    assert list(words["share"]) == [
        "less than 0.1 %",
        "less than 0.1 %",
        "3.1 %",
        "50 %",
        "more than 99.9 %",
        "more than 99.9 %",
    ]
    assert list(words["name"]) == [f"{share}" for share in shares]
    assert set(words["picture"]) == {""}


@pytest.mark.parametrize("page", ["batch", "cases"])
def test_tables_show_words_and_sort_numbers(open_app: Open, page: str) -> None:
    app = open_app("batch")
    batch_of(app, {"a.png": photo_of(0), "b.png": photo_of(1)})
    if page == "cases":
        app = open_app("cases")
    assert not app.exception
    numbers, words = app.dataframe[0].value, shown_words(app)
    for column in ("confidence", "malignancy"):
        assert numbers[column].between(0.0, 1.0).all()
        assert all(word.endswith("%") for word in words[column])
