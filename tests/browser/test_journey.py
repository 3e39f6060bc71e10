"""What a person does, in a real browser, with the model that ships."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Dialog, FilePayload, Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from pypdf import PdfReader

from dermassist import Classifier, assess
from dermassist.cases import CaseBook
from dermassist.diagnosis import Diagnosis
from dermassist.explain.words import percent
from dermassist.patient import PatientDetails
from dermassist.sample import draw_lesion

from .conftest import ACCEPT, serving, settle

Enter = Callable[[str], Page]
SESSIONS = 20
#: Of a table on the page Cases; its rows are about as high.
HEADER_PX = 35
CLICKS = 30
CLICK_MS = 4000


def photo_of(seed: int) -> bytes:
    """Return a drawn lesion as PNG, every seed in other colours."""
    pixels = draw_lesion(np.random.default_rng(seed), width=300, height=225)
    tinted = np.roll(pixels, seed % 3, axis=2) // (1 + seed % 4)
    file = io.BytesIO()
    Image.fromarray(tinted).save(file, "PNG")
    return file.getvalue()


def choose(page: Page, *files: tuple[str, bytes]) -> None:
    page.locator("input[type=file]").first.set_input_files(
        [FilePayload(name=name, mimeType="image/png", buffer=content) for name, content in files]
    )


def wait_for_result(page: Page) -> None:
    page.get_by_role("link", name="PDF report").wait_for()
    expect(page.get_by_text("Explain", exact=True)).to_be_visible()
    settle(page)


def download(page: Page, label: str) -> bytes:
    with page.expect_download() as caught:
        page.get_by_role("link", name=label).click()
    return Path(caught.value.path()).read_bytes()


def select(page: Page, label: str, option: str) -> None:
    box = page.get_by_test_id("stSelectbox").filter(has_text=label).locator("input")
    # A list that has opened closes when the page scrolls, so nothing may scroll any more.
    box.scroll_into_view_if_needed()
    settle(page)
    box.click()
    page.get_by_role("option", name=option).click()


def words_of(pdf: bytes) -> str:
    pages = PdfReader(io.BytesIO(pdf)).pages
    return " ".join("\n".join(page.extract_text() for page in pages).split())


def note_dialogs(page: Page) -> list[str]:
    """Return a list that gets the words of every dialog that a page opens."""
    dialogs: list[str] = []

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    return dialogs


def go_to(page: Page, title: str) -> None:
    page.get_by_role("link", name=title, exact=True).first.click()
    heading(page, title).wait_for()


def heading(page: Page, title: str) -> Locator:
    return page.get_by_role("heading", name=title, exact=True)


def first_row(page: Page, name: str) -> Locator:
    """Return the topmost patient of the table on the page Cases, if this is the name."""
    return page.get_by_test_id("glide-cell-1-0").filter(has_text=name)


def click_table(page: Page, place: tuple[int, int], *, shows: Locator) -> None:
    """Click on a place of a table until something shows.

    A table is a picture that takes no click before it is drawn, and nothing tells when that is. A
    click too many is made up for by the next ones: the order by a column comes around in three, and
    a ticked row in two.
    """
    x, y = place
    for _ in range(CLICKS):
        # The table is gone where a click before has opened a case after all.
        with suppress(PlaywrightTimeoutError):
            page.get_by_test_id("stDataFrame").click(position={"x": x, "y": y}, timeout=CLICK_MS)
        with suppress(PlaywrightTimeoutError):
            shows.wait_for(state="attached", timeout=CLICK_MS)
            return
    raise AssertionError(f"{CLICKS} clicks at {place} did not show it")


def test_upload_result_class_switch_and_report(enter: Enter, cases: Path) -> None:
    expected = assess(photo_of(1), classifier=Classifier.load()).prediction
    with serving(cases) as address:
        page = enter(address)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.reload()
        page.get_by_text(ACCEPT).click()
        choose(page, ("lesion.png", photo_of(1)))
        wait_for_result(page)
        expect(page.get_by_role("heading", name=str(expected.diagnosis))).to_be_visible()
        expect(page.get_by_text(percent(expected.confidence), exact=True).first).to_be_visible()

        other = next(d for d in Diagnosis if d is not expected.diagnosis)
        select(page, "Explain", str(other))
        expect(page.get_by_text(f"Evidence for {other}", exact=True)).to_be_visible()

        # At once, while the page is still being drawn.
        text = words_of(download(page, "PDF report"))
        assert str(expected.diagnosis) in text
        assert f"Grad-CAM heatmap for {other}" in text
        assert "lesion.png" in text
        # The page asked nobody but this machine, for nothing.
        assert len(asked) > 10
        outside = [url for url in asked if not url.startswith((address, "data:", "blob:"))]
        assert not outside


def test_no_click_is_lost_whenever_it_comes(enter: Enter, cases: Path) -> None:
    with serving(cases) as address:
        page = enter(address)
        choose(page, ("lesion.png", photo_of(1)))
        wait_for_result(page)
        for diagnosis in Diagnosis:
            select(page, "Explain", str(diagnosis))
            # The page may not have heard of it: then the report is still that of the class before.
            assert "Grad-CAM heatmap for" in words_of(download(page, "PDF report"))
            expect(page.get_by_text(f"Evidence for {diagnosis}", exact=True)).to_be_visible()
            text = words_of(download(page, "PDF report"))
            assert f"Grad-CAM heatmap for {diagnosis}" in text


def test_batch_with_one_corrupt_file(enter: Enter, cases: Path) -> None:
    with serving(cases) as address:
        page = enter(address)
        go_to(page, "Batch")
        hostile = "<img src=x onerror=alert(1)>\u202egpj.png"
        files = [("a.png", photo_of(1)), ("broken.png", b"broken"), (hostile, photo_of(2))]
        dialogs = note_dialogs(page)
        choose(page, *files)
        page.get_by_role("button", name="Answer all").click()
        expect(page.get_by_text("2 answered, 1 not.")).to_be_visible()
        expect(page.get_by_role("alert").get_by_text("broken")).to_be_visible()
        with zipfile.ZipFile(io.BytesIO(download(page, "ZIP of reports"))) as archive:
            assert len(archive.namelist()) == 2
            for name in archive.namelist():
                assert PdfReader(io.BytesIO(archive.read(name))).pages
        rows = download(page, "CSV (ISIC form)").decode().splitlines()
        assert rows[0] == "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"
        assert len(rows) == 3
        assert not dialogs


def test_an_upload_right_after_typing_is_answered_for_that_patient(
    enter: Enter, cases: Path
) -> None:
    with serving(cases) as address:
        page = enter(address)
        page.get_by_text("Patient and lesion (optional").click()
        for number in ("4711", "4712", "4713"):
            page.get_by_label("Patient ID", exact=True).fill(number)
            page.get_by_label("Patient ID", exact=True).press("Tab")
            # At once, while the page is drawn anew.
            choose(page, (f"{number}.png", photo_of(int(number))))
            page.get_by_text(f"{number}.png, 300 x 225 pixels").wait_for()
            settle(page)
    with CaseBook.open(cases) as book:
        kept = {summary.image_name: summary.patient_id for summary in book.search()}
    assert kept == {f"{number}.png": number for number in ("4711", "4712", "4713")}


def test_details_and_proportions_stay_while_another_page_is_looked_at(
    enter: Enter, cases: Path
) -> None:
    with serving(cases) as address:
        page = enter(address)
        page.get_by_text("Patient and lesion (optional").click()
        page.get_by_label("Patient ID", exact=True).fill("4711")
        page.get_by_label("Patient ID", exact=True).press("Tab")
        expect(page.get_by_text("The next images are kept for: 4711")).to_be_visible()
        select(page, "Square files", "were squeezed from 4:3")
        settle(page)
        for title in ("Cases", "Batch", "Analyse"):
            go_to(page, title)
            settle(page)
        expect(page.get_by_text("The next images are kept for: 4711")).to_be_visible()
        squeezed = page.get_by_role("combobox", name="Square files")
        expect(squeezed).to_have_value("were squeezed from 4:3")
        choose(page, ("lesion.png", photo_of(1)))
        wait_for_result(page)
        expect(page.get_by_role("link", name="PDF report")).to_be_visible()
        page.get_by_role("button", name="Next patient").click()
        expect(page.get_by_text("Answers given before are under Cases.")).to_be_visible()
        settle(page)
        expect(page.get_by_role("link", name="PDF report")).to_have_count(0)
        for title in ("Cases", "Analyse"):
            go_to(page, title)
            settle(page)
        expect(page.get_by_text("The next images are kept for")).to_have_count(0)
        choose(page, ("next.png", photo_of(2)))
        page.get_by_text("next.png, 300 x 225 pixels").wait_for()
        settle(page)
    with CaseBook.open(cases) as book:
        kept = {summary.image_name: summary.patient_id for summary in book.search()}
    assert kept == {"lesion.png": "4711", "next.png": ""}


def test_hostile_texts_are_text_for_everybody(enter: Enter, cases: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>\u202e\u200b [x](javascript:alert(2)) $x$ "
    linked = "www.evil.example https://evil.example/a eva@evil.example "
    with serving(cases) as address:
        writer, reader = enter(address), enter(address)
        dialogs = [note_dialogs(page) for page in (writer, reader)]
        writer.get_by_text("Patient and lesion (optional").click()
        for label in ("Name", "Remarks"):
            writer.get_by_label(label, exact=True).fill(hostile + linked + "word " * 20)
            writer.get_by_label(label, exact=True).press("Tab")
            settle(writer)
        choose(writer, (hostile + "n" * 200 + " www.evil.example.png", photo_of(1)))
        wait_for_result(writer)
        assert "<img src=x onerror=alert(1)>" in words_of(download(writer, "PDF report"))
        go_to(reader, "Cases")
        select(reader, "Open a case", "<img")
        reader.get_by_role("button", name="Open case").click()
        expect(reader.get_by_text("What it turned out to be")).to_be_visible()
        wait_for_result(reader)
        for page in (writer, reader):
            expect(
                page.get_by_text("<img src=x onerror=alert(1)><U+202E><U+200B>").first
            ).to_be_visible()
            assert page.locator("img[src=x], a[href^=javascript]").count() == 0
            assert page.get_by_text("evil.example").count() > 0
            assert page.locator("a[href*='evil.example']").count() == 0
        assert dialogs == [[], []]


def test_several_images_at_once(enter: Enter, cases: Path) -> None:
    classifier = Classifier.load()
    with serving(cases) as address:
        page = enter(address)
        choose(page, ("a.png", photo_of(1)), ("broken.png", b"broken"), ("b.png", photo_of(2)))
        wait_for_result(page)
        expect(page.get_by_role("alert").get_by_text("broken")).to_be_visible()
        select(page, "at hand", "b.png")
        prediction = assess(photo_of(2), classifier=classifier).prediction
        page.get_by_text("b.png, 300 x 225 pixels").wait_for()
        expect(page.get_by_role("heading", name=str(prediction.diagnosis))).to_be_visible()
    with CaseBook.open(cases) as book:
        assert {summary.image_name for summary in book.search()} == {"a.png", "b.png"}


def test_a_saved_case_is_found_after_a_kill_and_a_restart(enter: Enter, cases: Path) -> None:
    with serving(cases) as address:
        page = enter(address)
        choose(page, ("yesterday.png", photo_of(3)))
        expect(page.get_by_text("Saved in the case book as")).to_be_visible()
    # Leaving the block killed the server with SIGKILL.
    with serving(cases) as address:
        page = enter(address)
        go_to(page, "Cases")
        expect(page.get_by_text("1 case, the newest first.")).to_be_visible()
        select(page, "Open a case", "yesterday.png")
        page.get_by_role("button", name="Open case").click()
        expect(page.get_by_text("What it turned out to be")).to_be_visible()
        wait_for_result(page)
    with CaseBook.open(cases) as book:
        (summary,) = book.search()
        assert book.image(summary.case_id) == photo_of(3)


def test_a_ticked_row_opens_its_case_in_whatever_order(enter: Enter, cases: Path) -> None:
    classifier = Classifier.load()
    with CaseBook.open(cases) as book:
        for k, name in enumerate(("Anna", "Berta", "Clara")):
            book.save(
                assess(photo_of(k), classifier=classifier),
                photo_of(k),
                patient=PatientDetails(name=name),
            )
    with serving(cases) as address:
        page = enter(address)
        go_to(page, "Cases")
        settle(page)
        # The newest stands first; sorted by name, the eldest does.
        for name in ("Clara", "Anna"):
            if name == "Anna":
                click_table(page, (60, HEADER_PX // 2), shows=first_row(page, name))
            expect(first_row(page, name)).to_be_attached()
            click_table(page, (16, HEADER_PX * 3 // 2), shows=heading(page, name))
            expect(page.get_by_text("What it turned out to be")).to_be_visible()
            settle(page)
            page.get_by_role("button", name="Back to all cases").click()
            heading(page, "Cases").wait_for()
            settle(page)
        expect(page.get_by_text("3 cases, the newest first.")).to_be_visible()


def test_saving_one_form_of_a_case_keeps_what_was_typed_into_the_other(
    enter: Enter, cases: Path
) -> None:
    with serving(cases) as address:
        page = enter(address)
        choose(page, ("lesion.png", photo_of(1)))
        expect(page.get_by_text("Saved in the case book as")).to_be_visible()
        go_to(page, "Cases")
        select(page, "Open a case", "lesion.png")
        page.get_by_role("button", name="Open case").click()
        expect(page.get_by_text("What it turned out to be")).to_be_visible()
        settle(page)
        patient, outcome = (page.get_by_label("Remarks", exact=True).nth(k) for k in (0, 1))
        outcome.fill("typed, not yet recorded")
        patient.fill("of the patient")
        page.get_by_role("button", name="Save details").click()
        expect(page.get_by_text("Saved at")).to_be_visible()
        settle(page)
        expect(outcome).to_have_value("typed, not yet recorded")
    with CaseBook.open(cases) as book:
        (summary,) = book.search()
        case = book.load(summary.case_id)
        assert (case.patient.remarks, case.outcome) == ("of the patient", None)


def test_sessions_at_once_each_get_their_own_answer(enter: Enter, cases: Path) -> None:
    classifier = Classifier.load()
    expected = [assess(photo_of(k), classifier=classifier).prediction for k in range(SESSIONS)]
    assert len({prediction.probabilities for prediction in expected}) == SESSIONS
    with serving(cases) as address:
        pages = [enter(address) for _ in range(SESSIONS)]
        for k, page in enumerate(pages):
            choose(page, (f"{k}.png", photo_of(k)))
        for page, prediction in zip(pages, expected, strict=True):
            page.get_by_role("heading", name=str(prediction.diagnosis)).wait_for()
            page.get_by_text(percent(prediction.confidence), exact=True).first.wait_for()
        for page, prediction in zip(pages, expected, strict=True):
            settle(page)
            assert json.loads(download(page, "JSON"))["prediction"] == prediction.to_dict()
    with CaseBook.open(cases) as book:
        kept = {summary.image_name: summary.case_id for summary in book.search()}
        for k, prediction in enumerate(expected):
            assert book.load(kept[f"{k}.png"]).assessment.prediction == prediction


def test_no_page_is_reached_past_the_notice(browser: Browser, cases: Path) -> None:
    with serving(cases) as address:
        for path in ("analyse", "batch", "cases", "model", "guide"):
            page = browser.new_page()
            page.goto(f"{address}/{path}")
            notice = page.get_by_role("button", name="I have read this")
            expect(notice).to_be_visible()
            assert page.locator("input[type=file]").count() == 0
            page.close()
