"""A case that was saved is there, whole, until it is deleted, and then nowhere."""

from __future__ import annotations

import json
import sqlite3
import stat
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest

from dermassist.cases import Case, CaseBook, CaseChangedError, CaseQuery, Outcome, export_cases
from dermassist.diagnosis import Diagnosis
from dermassist.errors import CaseError, MissingExtraError
from dermassist.patient import PatientDetails

from .made import assessment_of, image_bytes

ZOE = PatientDetails(patient_id="4711", name="Zoë Straße", age_years=44, body_site="back")


def save(book: CaseBook, seed: int = 0, *, patient: PatientDetails = ZOE, **made: object) -> Case:
    image = image_bytes(seed)
    return book.save(assessment_of(image, **made), image, patient=patient)  # type: ignore[arg-type] # a test's own


def content_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_a_saved_case_is_there_after_a_restart(folder: Path) -> None:
    with CaseBook.open(folder) as book:
        image = image_bytes()
        assessment = assessment_of(image, name="Ünü sual.jpg")
        saved = book.save(assessment, image, patient=ZOE)
    with CaseBook.open(folder) as book:
        loaded = book.load(saved.case_id)
        assert book.image(saved.case_id) == image
        assert loaded.assessment.to_dict() == assessment.to_dict()
        assert (loaded.patient, loaded.outcome) == (ZOE, None)
        assert (loaded.case_id, loaded.saved_at) == (saved.case_id, saved.saved_at)
        assert datetime.fromisoformat(loaded.saved_at).tzinfo is not None


def test_another_image_is_not_kept(book: CaseBook) -> None:
    with pytest.raises(CaseError, match="is not the image that was assessed"):
        book.save(assessment_of(image_bytes(0)), image_bytes(1))
    assert book.count() == 0


def test_outcome_and_patient_are_recorded_and_replaced(book: CaseBook) -> None:
    case = save(book)
    first = Outcome(None, "clinician", "looks like a wart")
    last = Outcome(Diagnosis.BKL, "histology", "seborrhoeic keratosis")
    assert book.record_outcome(case.case_id, first).outcome == first
    book.record_outcome(case.case_id, last)
    book.record_patient(case.case_id, replace(ZOE, name="Anna"))
    loaded = book.load(case.case_id)
    assert (loaded.outcome, loaded.patient.name) == (last, "Anna")
    assert book.count(CaseQuery(text="keratosis")) == 1
    assert book.count(CaseQuery(text="wart")) == book.count(CaseQuery(text="Zoë")) == 0


def test_an_outcome_is_taken_back_as_if_there_had_been_none(book: CaseBook) -> None:
    case = save(book)
    book.record_outcome(case.case_id, Outcome(Diagnosis.BKL, "histology", "keratosis"))
    assert book.record_outcome(case.case_id, None).outcome is None
    assert book.load(case.case_id).outcome is None
    assert book.count(CaseQuery(has_outcome=False)) == book.count() == 1
    recorded = (CaseQuery(has_outcome=True), CaseQuery(outcome=Diagnosis.BKL))
    for query in (*recorded, CaseQuery(text="keratosis")):
        assert book.count(query) == 0
    assert book.search()[0].outcome is None


def test_only_the_outcome_that_was_seen_is_taken_back(book: CaseBook) -> None:
    case = save(book)
    first, second = Outcome(None, "clinician"), Outcome(Diagnosis.BKL, "histology")
    seen = book.record_outcome(case.case_id, first)
    book.record_outcome(case.case_id, second)
    with pytest.raises(CaseChangedError, match="the outcome is no longer as it was"):
        book.record_outcome(case.case_id, None, seen=seen)
    assert book.load(case.case_id).outcome == second
    shown = book.load(case.case_id)
    for _ in range(2):
        # Taken back twice is taken back.
        assert book.record_outcome(case.case_id, None, seen=shown).outcome is None


def test_a_book_of_a_version_that_noted_an_explained_diagnosis_is_read(
    book: CaseBook, folder: Path
) -> None:
    case = save(book)
    with sqlite3.connect(folder / "cases.sqlite3") as database:
        database.execute("UPDATE dermassist_case SET explained = 'mel'")
    assert book.load(case.case_id).patient == case.patient
    target = BytesIO()
    export_cases(book, [case.case_id], target)
    with zipfile.ZipFile(target) as archive:
        record = json.loads(archive.read(f"{case.case_id}/case.json"))
    assert set(record) == {"case_id", "saved_at", "outcome"}


@pytest.mark.parametrize(
    "outcome", [{"source": "rumour"}, {"source": "histology", "remarks": "x" * 4001}]
)
def test_a_wrong_outcome_is_refused(outcome: dict[str, str]) -> None:
    with pytest.raises(CaseError):
        Outcome(None, **outcome)  # type: ignore[arg-type] # wrong on purpose


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("zoë", True),
        ("ZOË", True),
        ("strasse", True),
        ("Back", True),
        ("100%", True),
        ("100", True),
        ("lesion", True),
        ("100_", False),
        ("1__%", False),
        ("' or 1=1 --", False),
        ("\\", False),
        ("  ", True),
    ],
)
def test_text_is_found_in_any_case_and_never_a_pattern(
    book: CaseBook, text: str, found: bool
) -> None:
    save(book, patient=replace(ZOE, remarks="100% sure"))
    assert book.count(CaseQuery(text=text)) == len(book.search(CaseQuery(text=text))) == found


def test_cases_are_filtered_counted_and_listed_newest_first(folder: Path) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with CaseBook.open(folder) as opened:
        days = iter(range(100))
        book = CaseBook(opened._engine, clock=lambda: start + timedelta(days=next(days)))
        kinds = [Diagnosis.MEL, Diagnosis.NV, Diagnosis.NV, Diagnosis.BCC]
        cases = [save(book, k, diagnosis=kind) for k, kind in enumerate(kinds)]
        bare = save(book, 9, threshold=None)
        book.record_outcome(cases[1].case_id, Outcome(Diagnosis.NV, "follow-up"))

        def ids(query: CaseQuery) -> list[str]:
            found = [summary.case_id for summary in book.search(query)]
            assert len(found) == min(query.limit, book.count(query) - query.offset)
            return found

        a, b, c, d = (case.case_id for case in cases)
        assert ids(CaseQuery()) == [bare.case_id, d, c, b, a]
        assert ids(CaseQuery(limit=2, offset=1)) == [d, c]
        assert ids(CaseQuery(diagnosis=Diagnosis.MEL)) == [a]
        assert ids(CaseQuery(referred=True)) == [d, a]
        assert ids(CaseQuery(referred=False)) == [c, b]
        assert ids(CaseQuery(has_outcome=True)) == [b]
        assert ids(CaseQuery(has_outcome=False, diagnosis=Diagnosis.NV)) == [bare.case_id, c]
        period = CaseQuery(since=start + timedelta(days=1), until=start + timedelta(days=3))
        assert ids(period) == [c, b]
        summary = book.search(CaseQuery(diagnosis=Diagnosis.MEL))[0]
        assert (summary.patient_name, summary.referred) == (ZOE.name, True)
        assert summary.confidence == pytest.approx(0.76)


def test_what_is_deleted_is_in_no_file_any_more(book: CaseBook, folder: Path) -> None:
    secret = replace(ZOE, remarks="quite unmistakable remark")
    kept, gone = save(book, 1), save(book, 2, patient=secret, name="unmistakable-name.jpg")
    large = image_bytes(3, size=300_000)
    heavy = book.save(assessment_of(large), large)
    assert b"unmistakable" in content_of(folder)
    size = sum(path.stat().st_size for path in folder.iterdir())

    book.delete(gone.case_id)
    book.delete(heavy.case_id)

    assert b"unmistakable" not in content_of(folder)
    assert large[1000:1100] not in content_of(folder)
    assert sum(path.stat().st_size for path in folder.iterdir()) < size - 250_000
    for ask in (book.load, book.image, book.delete):
        with pytest.raises(CaseError, match="there is no case"):
            ask(gone.case_id)
    assert book.image(kept.case_id) == image_bytes(1)
    assert book.count() == 1


def test_a_changed_image_is_refused(book: CaseBook, folder: Path) -> None:
    case = save(book)
    with sqlite3.connect(folder / "cases.sqlite3") as database:
        database.execute("UPDATE dermassist_image SET content = ?", (image_bytes(1),))
    with pytest.raises(CaseError, match="was changed after it was saved"):
        book.image(case.case_id)


def test_the_book_is_its_owners_alone(book: CaseBook, folder: Path) -> None:
    save(book)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_threads_and_two_books_share_one_file(folder: Path) -> None:
    with CaseBook.open(folder) as one, CaseBook.open(folder) as other:
        with ThreadPoolExecutor(8) as pool:
            books = [one, other] * 12
            saved = list(pool.map(lambda k: save(books[k], k), range(len(books))))
        assert one.count() == other.count() == len(books)
        for k, case in enumerate(saved):
            assert other.image(case.case_id) == image_bytes(k)


def test_a_newer_book_and_what_is_none_are_refused(folder: Path, tmp_path: Path) -> None:
    CaseBook.open(folder).close()
    with sqlite3.connect(folder / "cases.sqlite3") as database:
        database.execute("UPDATE dermassist_book SET schema_version = 99")
    with pytest.raises(CaseError, match="schema version 99, this program knows 1"):
        CaseBook.open(folder)

    other = tmp_path / "other"
    other.mkdir()
    (other / "cases.sqlite3").write_bytes(b"a diary, not a database" * 100)
    with pytest.raises(CaseError, match="cannot be opened"):
        CaseBook.open(other)
    assert (other / "cases.sqlite3").read_bytes().startswith(b"a diary")


@pytest.mark.parametrize("url", ["nonsense", "nosuchdatabase://x", "postgresql+nodriver://x/y"])
def test_an_unusable_url_is_explained(folder: Path, url: str) -> None:
    with pytest.raises(CaseError, match="cannot be"):
        CaseBook.open(folder, database_url=url)


def test_a_full_disk_is_explained_and_leaves_nothing(book: CaseBook) -> None:
    small = save(book, 0)
    with book._engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    image = image_bytes(1, size=500_000)
    with pytest.raises(CaseError, match="the case was not saved: database or disk is full"):
        book.save(assessment_of(image), image)
    assert book.count() == 1
    assert book.image(small.case_id) == image_bytes(0)


def test_export_holds_everything_under_safe_names(book: CaseBook, tmp_path: Path) -> None:
    case = save(book, 0, name="../../evil.exe")
    other = save(book, 1, name="scan.TIFF")
    book.record_outcome(case.case_id, Outcome(Diagnosis.MEL, "histology", "pT1a"))
    target = tmp_path / "out" / "cases.zip"
    assert export_cases(book, [case.case_id, other.case_id], target) == 2
    with zipfile.ZipFile(target) as archive:
        names = set(archive.namelist())
        assert names == {
            f"{number}/{name}"
            for number, image in ((case.case_id, "image.bin"), (other.case_id, "image.tiff"))
            for name in (image, "assessment.json", "patient.json", "case.json")
        }
        assert archive.read(f"{case.case_id}/image.bin") == image_bytes(0)
        record = json.loads(archive.read(f"{case.case_id}/case.json"))
        assert record["outcome"] == {"diagnosis": "mel", "source": "histology", "remarks": "pT1a"}
        assert json.loads(archive.read(f"{case.case_id}/patient.json"))["name"] == ZOE.name


def test_a_failed_export_leaves_no_file(book: CaseBook, tmp_path: Path) -> None:
    case = save(book)
    target = tmp_path / "cases.zip"
    with pytest.raises(CaseError, match="there is no case gone"):
        export_cases(book, ["gone", "lost"], target)
    assert not list(tmp_path.glob("*.zip"))
    assert export_cases(book, ["gone", case.case_id], target) == 1
    with zipfile.ZipFile(target) as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {
            case.case_id,
            "not_included.txt",
        }
        said = archive.read("not_included.txt").decode()
    assert said == "gone: there is no case gone; it may have been deleted\n"
    assert export_cases(book, [], BytesIO()) == 0


def test_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import dermassist.cases

    for name in [name for name in sys.modules if name.startswith("dermassist.cases.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "sqlalchemy"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(MissingExtraError, match=r"dermassist\[app\]"):
        _ = dermassist.cases.CaseBook
