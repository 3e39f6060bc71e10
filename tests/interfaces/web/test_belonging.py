"""No answer is taken for another patient's or another lesion's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from dermassist.cases import CaseBook
from dermassist.interfaces.web.belonging import belonging_line, mismatch_words
from dermassist.interfaces.web.screens.analyse import Round
from dermassist.patient import PatientDetails

from ...conftest import PATIENCE_S
from .conftest import Open, photo_of
from .page import in_order, press, texts, upload, upload_all

HIDDEN = "Answers given before are under Cases."
ANNA = PatientDetails("A-100", "Anna First")
BERTA = PatientDetails("B-200", "Berta Second")
#: Two pages of one session, which AppTest cannot walk between.
TWO_PAGES = """
import streamlit as st
from dermassist.interfaces.web.screens.analyse import analyse_page
from dermassist.interfaces.web.screens.cases import cases_page
(cases_page if st.session_state.get("page") == "cases" else analyse_page)()
"""


def fill(app: AppTest, **entries: str) -> AppTest:
    """Fill in the form of the patient who is drawn now."""
    for name, entry in entries.items():
        line = next(
            each for each in (*app.text_input, *app.text_area) if (each.key or "").endswith(name)
        )
        line.input(entry).run()
    return app


def entry(app: AppTest, name: str) -> str:
    lines = (*app.text_input, *app.text_area)
    return str(next(each.value for each in lines if (each.key or "").endswith(name)))


def test_the_next_patient_does_not_see_the_answer_before(open_app: Open, book: CaseBook) -> None:
    app = upload(fill(open_app(), patient_id="A-100"), "anna.png", photo_of(1))
    assert app.metric
    press(app, "Next patient")
    assert not app.exception
    assert not app.metric
    assert HIDDEN in texts(app)
    assert "A-100" not in texts(app)
    # Not after anything but an answer.
    fill(app, patient_id="B-200")
    upload(app, "broken.png", b"broken")
    assert not app.metric
    upload(app, "berta.png", photo_of(2))
    assert app.metric
    assert HIDDEN not in texts(app)
    assert "**Patient:** B\\-200 · image berta" in texts(app)


def test_an_answer_before_is_seen_again_when_it_is_asked_for(
    open_app: Open, book: CaseBook
) -> None:
    app = upload_all(
        fill(open_app(), patient_id="A-100"), {"a.png": photo_of(1), "b.png": photo_of(2)}
    )
    press(app, "Next patient")
    choice = app.selectbox(key="seen again")
    assert choice.value is None
    choice.select_index(1).run()
    assert not app.exception
    assert app.metric
    assert "**Patient:** A\\-100 · image b" in texts(app)
    assert HIDDEN not in texts(app)
    assert app.selectbox(key="looked at").value == 2


def test_what_is_out_of_sight_stays_so_after_a_look_at_another_page(
    open_app: Open, book: CaseBook
) -> None:
    open_app("cases")
    app = AppTest.from_string(TWO_PAGES, default_timeout=PATIENCE_S).run()
    press(upload(fill(app, name="Anna"), "anna.png", photo_of(1)), "Next patient")
    for page in ("cases", "analyse"):
        app.session_state["page"] = page
        app.run()
    assert not app.metric
    assert HIDDEN in texts(app)


def test_next_patient_during_the_answering_shows_nothing_either(
    open_app: Open, book: CaseBook
) -> None:
    app = upload(fill(open_app(), name="Anna"), "anna.png", photo_of(1))
    latest: Round = app.session_state["round"]
    # As a click leaves it that comes before the answer was looked at.
    latest.first = 1
    press(app, "Next patient")
    assert not app.metric


def test_whose_answer_it_is_stands_above_it(open_app: Open, book: CaseBook) -> None:
    app = upload(open_app(), "lesion.png", photo_of(1))
    said = in_order(app)
    line = said.index("**Patient:** not stated · image lesion\\.png")
    assert line < said.index(app.subheader[0].value)
    assert all(line < said.index(warning.value) for warning in app.warning)


def test_the_sample_is_nobodys(open_app: Open) -> None:
    app = open_app()
    app.button(key="sample").click().run()
    assert app.metric
    assert "**Patient:**" not in texts(app)


@pytest.mark.parametrize(
    ("patient", "line"),
    [
        (PatientDetails(), "**Patient:** not stated · image a\\.png"),
        (PatientDetails(body_site="back"), "**Patient:** not stated · back · image a\\.png"),
        (ANNA, "**Patient:** A\\-100 · Anna First · image a\\.png"),
    ],
)
def test_the_line_names_patient_and_image(patient: PatientDetails, line: str) -> None:
    assert belonging_line(patient, "a.png") == line


@pytest.mark.parametrize(
    ("shown", "stated", "words"),
    [
        (ANNA, ANNA, None),
        (ANNA, replace(ANNA, body_site="back", age_years=44), None),
        (ANNA, PatientDetails(), None),
        (ANNA, PatientDetails(name="Anna First"), None),
        (
            ANNA,
            BERTA,
            "This answer belongs to A-100 · Anna First, not to B-200 · Berta Second.",
        ),
        (
            ANNA,
            PatientDetails("B-200", "Anna First"),
            "This answer belongs to A-100 · Anna First, not to B-200 · Anna First.",
        ),
        (
            PatientDetails(),
            BERTA,
            (
                "This answer belongs to a patient who was not stated, not to B-200 · Berta "
                "Second. Details of kept answers can be filled in under Cases."
            ),
        ),
    ],
)
def test_another_patient_than_the_one_stated_is_named(
    shown: PatientDetails, stated: PatientDetails, words: str | None
) -> None:
    assert mismatch_words(shown, stated) == words


def test_an_answer_of_another_patient_than_the_form_states_is_warned_of(
    open_app: Open, book: CaseBook
) -> None:
    app = fill(open_app(), patient_id="A-100", name="Anna First")
    upload(app, "anna.png", photo_of(1))
    assert "This answer belongs to" not in texts(app)
    fill(app, patient_id="B-200", name="Berta Second")
    words = "This answer belongs to A-100 · Anna First, not to B-200 · Berta Second."
    assert app.warning[0].value.replace("\\", "") == words
    said = in_order(app)
    assert said.index(app.warning[0].value) < said.index(app.subheader[0].value)
    # What the case book says now counts, not what was stated then.
    book.record_patient(book.search()[0].case_id, BERTA)
    app.run()
    assert "This answer belongs to" not in texts(app)


def test_a_second_lesion_gets_the_patient_but_not_the_site_of_the_first(
    open_app: Open, book: CaseBook
) -> None:
    app = fill(open_app(), patient_id="A-100", name="Anna", body_site="left arm", remarks="bled")
    app.number_input(key="analyse 0 age").set_value(44).run()
    app.selectbox(key="analyse 0 sex").select("female").run()
    assert "left arm" in texts(app)
    upload(app, "arm.png", photo_of(1))
    assert not app.exception
    assert (entry(app, "body_site"), entry(app, "remarks")) == ("", "")
    assert "The next images are kept for: **A\\-100 · Anna · 44 years · female**" in texts(app)
    upload(app, "second.png", photo_of(2))
    fill(app, body_site="left arm")
    upload(app, "third.png", photo_of(3))
    kept = {each.image_name: book.load(each.case_id).patient for each in book.search()}
    person = PatientDetails("A-100", "Anna", 44, "female")
    assert kept == {
        "arm.png": replace(person, body_site="left arm", remarks="bled"),
        "second.png": person,
        "third.png": replace(person, body_site="left arm"),
    }


def test_an_emptied_site_stays_empty_after_a_look_at_another_page(
    open_app: Open, book: CaseBook
) -> None:
    open_app("cases")
    app = AppTest.from_string(TWO_PAGES, default_timeout=PATIENCE_S).run()
    upload(fill(app, patient_id="A-100", body_site="back"), "back.png", photo_of(1))
    for page in ("cases", "analyse"):
        app.session_state["page"] = page
        app.run()
    assert (entry(app, "patient_id"), entry(app, "body_site")) == ("A-100", "")
    fill(app, body_site="back")
    app.run()
    assert entry(app, "body_site") == "back"


def test_an_image_that_was_refused_leaves_the_site_for_the_next_try(
    open_app: Open, book: CaseBook
) -> None:
    app = upload(fill(open_app(), body_site="back"), "broken.png", b"broken")
    assert entry(app, "body_site") == "back"
    app.button(key="sample").click().run()
    assert entry(app, "body_site") == "back"
    upload(app, "whole.png", photo_of(1))
    assert entry(app, "body_site") == ""


@pytest.mark.parametrize("earlier", [1, 2])
def test_no_earlier_answer_stands_below_a_refusal(
    open_app: Open, book: CaseBook, earlier: int
) -> None:
    app = fill(open_app(), patient_id="A-100")
    for k in range(earlier):
        upload(app, f"{k}.png", photo_of(k))
    assert app.success
    upload(app, "refused.png", photo_of(9, size=(4, 3)))
    assert not app.exception
    assert len(app.error) == 1
    assert "too few" in app.error[0].value
    assert not app.metric
    assert not app.success
    # It can still be asked for, and an image that is answered is shown as ever.
    app.selectbox(key="seen again").select_index(0).run()
    assert f"image {earlier - 1}\\.png" in texts(app)
    upload(app, "refused.png", b"broken")
    assert not app.metric
    upload(app, "next.png", photo_of(5))
    assert "image next\\.png" in texts(app)
    assert len(app.success) == 1


def test_no_earlier_answer_stands_below_images_that_wait_for_details(
    open_app: Open, book: CaseBook
) -> None:
    app = upload(open_app(), "earlier.png", photo_of(1))
    fill(app, patient_id="a\x07b")
    upload(app, "waits.png", photo_of(2))
    assert any("Correct the patient's details first" in error.value for error in app.error)
    assert not app.metric
    assert not app.success
    fill(app, patient_id="ab")
    assert "image waits\\.png" in texts(app)


@pytest.mark.parametrize(
    ("images", "site", "says"),
    [
        (3, "left arm", "All 3 images were kept with the body site left arm; correct it under"),
        (2, "left arm", "Both images were kept with the body site left arm; correct it under"),
        (1, "left arm", None),
        (3, "", None),
    ],
)
def test_that_several_images_got_one_site_is_said(
    open_app: Open, book: CaseBook, images: int, site: str, says: str | None
) -> None:
    app = fill(open_app(), body_site=site) if site else open_app()
    files = {f"{k}.png": photo_of(k) for k in range(images)}
    upload_all(app, {**files, "broken.png": b"broken"})
    (success,) = app.success
    if says is None:
        assert "were kept with" not in success.value
    else:
        assert says in success.value
    # Of an earlier round there is nothing to say.
    upload(app, "later.png", photo_of(9))
    assert "were kept with" not in texts(app)
