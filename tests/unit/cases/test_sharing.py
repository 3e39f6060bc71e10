"""Many threads and several processes work on one case book, and none loses another's work."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from dermassist.cases import Case, CaseBook, CaseChangedError, CaseQuery, Outcome, database
from dermassist.cases.database import FILE_NAME
from dermassist.diagnosis import Diagnosis
from dermassist.errors import CaseError
from dermassist.patient import PatientDetails

from .made import assessment_of, image_bytes
from .processes import started
from .worker import ROUNDS


def save(book: CaseBook, seed: int = 0) -> str:
    image = image_bytes(seed)
    return book.save(assessment_of(image), image).case_id


def test_processes_save_and_delete_at_once(folder: Path) -> None:
    with started("save and delete", folder, processes=3) as workers:
        kept = [case_id for worker in workers for case_id in worker.finish()]
    assert len(set(kept)) == 3 * ROUNDS
    with CaseBook.open(folder) as book:
        assert {summary.case_id for summary in book.search()} == set(kept)
        assert all(book.image(case_id) for case_id in kept)
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


def test_threads_do_everything_at_once(book: CaseBook) -> None:
    def work(seed: int) -> str | None:
        case_id = save(book, seed)
        book.record_outcome(case_id, Outcome(Diagnosis.NV, "clinician", f"number {seed} end"))
        [found] = book.search(CaseQuery(text=f"number {seed} end"))
        assert found.case_id == case_id
        assert book.image(case_id) == image_bytes(seed)
        if seed % 3 == 0:
            book.delete(case_id)
            return None
        return case_id

    with ThreadPoolExecutor(12) as pool:
        kept = {case_id for case_id in pool.map(work, range(48)) if case_id is not None}
    assert len(kept) == 32
    assert {summary.case_id for summary in book.search()} == kept


def test_a_change_made_meanwhile_is_not_lost(folder: Path) -> None:
    with CaseBook.open(folder) as one, CaseBook.open(folder) as other:
        case_id = save(one)
        outcome = Outcome(Diagnosis.MEL, "histology", "found by one")
        rival = threading.Thread(
            target=other.record_patient, args=(case_id, PatientDetails(name="named by other"))
        )

        def change(case: Case) -> Case:
            rival.start()
            # Long enough to get in between, if it could; it waits, so this cannot fail by chance.
            rival.join(timeout=0.3)
            return replace(case, outcome=outcome)

        one._change(case_id, change)
        rival.join()
        case = one.load(case_id)
        assert (case.outcome, case.patient.name) == (outcome, "named by other")
        for text in ("found by one", "named by other"):
            assert one.count(CaseQuery(text=text)) == 1
        assert one.search()[0].patient_name == "named by other"


def test_what_was_not_seen_is_not_overwritten(folder: Path) -> None:
    mine, theirs = PatientDetails(name="mine"), PatientDetails(name="theirs")
    benign, malignant = Outcome(Diagnosis.NV, "clinician"), Outcome(Diagnosis.MEL, "histology")
    with CaseBook.open(folder) as one, CaseBook.open(folder) as other:
        case_id = save(one)
        seen = one.load(case_id)
        other.record_patient(case_id, theirs, seen=seen)
        other.record_outcome(case_id, malignant, seen=seen)
        with pytest.raises(CaseChangedError, match=r"patient's details are no longer .* nothing"):
            one.record_patient(case_id, mine, seen=seen)
        with pytest.raises(CaseChangedError, match=r"the outcome is no longer .* nothing was writ"):
            one.record_outcome(case_id, benign, seen=seen)
        case = one.load(case_id)
        assert (case.patient, case.outcome) == (theirs, malignant)
        assert one.count(CaseQuery(text="mine")) == 0
        # Nothing is lost by writing once more what is there.
        one.record_outcome(case_id, malignant, seen=seen)
        assert one.record_patient(case_id, mine, seen=case).outcome == malignant
        assert one.record_outcome(case_id, benign, seen=case).patient == mine


def test_only_one_of_many_who_saw_the_same_is_written(book: CaseBook) -> None:
    case_id = save(book)
    seen = book.load(case_id)

    def work(number: int) -> str | None:
        try:
            book.record_outcome(case_id, Outcome(None, "clinician", f"{number}"), seen=seen)
        except CaseChangedError:
            return None
        return f"{number}"

    with ThreadPoolExecutor(8) as pool:
        (written,) = (text for text in pool.map(work, range(16)) if text is not None)
    outcome = book.load(case_id).outcome
    assert outcome is not None
    assert outcome.remarks == written


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_BUSY_TIMEOUT_S", 0.05)


def every_change(book: CaseBook, case_id: str) -> list[Callable[[], object]]:
    return [
        lambda: save(book, 1),
        lambda: book.record_outcome(case_id, Outcome(None, "clinician")),
        lambda: book.record_patient(case_id, PatientDetails(name="Anna")),
        lambda: book.delete(case_id),
    ]


@pytest.mark.usefixtures("impatient")
def test_a_book_that_another_program_holds_can_be_read_and_says_why_not_more(folder: Path) -> None:
    with CaseBook.open(folder) as book:
        case_id = save(book)
        holder = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        for change in every_change(book, case_id):
            with pytest.raises(CaseError, match="locked; another program is using it; try again"):
                change()
        assert book.image(case_id) == image_bytes(0)
        holder.close()
        assert (book.count(), book.load(case_id).outcome) == (1, None)
        for change in every_change(book, case_id):
            change()


@pytest.mark.usefixtures("impatient")
def test_deletion_says_if_a_reader_keeps_traces_and_opening_takes_them_out(folder: Path) -> None:
    with CaseBook.open(folder) as book:
        image = image_bytes()
        patient = PatientDetails(name="unmistakable")
        case_id = book.save(assessment_of(image), image, patient=patient).case_id
        reader = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM dermassist_case").fetchall()
        with pytest.raises(CaseError, match="is deleted, but another program is reading"):
            book.delete(case_id)
        assert book.count() == 0
        reader.close()
        with CaseBook.open(folder):
            left = b"".join(path.read_bytes() for path in folder.iterdir())
        assert b"unmistakable" not in left
        assert image not in left


def test_deletion_waits_for_a_reader_and_lets_others_write(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CaseBook.open(folder) as one, CaseBook.open(folder) as other:
        case_id = save(one)
        reader = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM dermassist_case").fetchall()
        saved: list[str] = []

        def pause(_: float) -> None:
            saved.append(save(other, len(saved) + 1))
            if len(saved) == 3:
                reader.close()

        monkeypatch.setattr(time, "sleep", pause)
        one.delete(case_id)
        assert len(saved) == 3
        assert {summary.case_id for summary in one.search()} == set(saved)
        left = b"".join(path.read_bytes() for path in folder.iterdir())
        assert image_bytes(0) not in left


def test_an_open_reader_does_not_hold_up_opening(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pause(_: float) -> None:
        pytest.fail("opening waited")

    with CaseBook.open(folder) as one:
        save(one)
        reader = sqlite3.connect(folder / FILE_NAME, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM dermassist_case").fetchall()
        monkeypatch.setattr(time, "sleep", pause)
        with CaseBook.open(folder) as other:
            assert other.count() == 1
        reader.close()
