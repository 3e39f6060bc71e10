"""The case book in PostgreSQL; skipped, with the reason, where no server is named.

    DERMASSIST_TEST_POSTGRESQL=postgresql+psycopg://USER@127.0.0.1/EMPTY_DATABASE pytest ...

The tables are dropped before and after.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from dermassist.cases import CaseBook, CaseQuery, Outcome
from dermassist.diagnosis import Diagnosis
from dermassist.errors import CaseError
from dermassist.patient import PatientDetails

from .made import assessment_of, image_bytes

URL = os.environ.get("DERMASSIST_TEST_POSTGRESQL", "")
TABLES = ("dermassist_image", "dermassist_case", "dermassist_book")
pytestmark = pytest.mark.skipif(
    not URL, reason="needs DERMASSIST_TEST_POSTGRESQL, an SQLAlchemy URL"
)


def drop_tables() -> None:
    engine = create_engine(URL)
    with engine.begin() as connection:
        for table in TABLES:
            connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
    engine.dispose()


@pytest.fixture
def book(tmp_path: Path) -> Iterator[CaseBook]:
    drop_tables()
    with CaseBook.open(tmp_path / "unused", URL) as opened:
        yield opened
    assert not (tmp_path / "unused").exists()
    drop_tables()


def test_a_case_is_kept_found_completed_and_deleted(book: CaseBook, tmp_path: Path) -> None:
    image = image_bytes()
    patient = PatientDetails(
        patient_id="4711", name="Zoë <b>Ünal</b> 山田 \u202e\u05e9\u05dc\u05d5\u05dd"
    )
    case = book.save(assessment_of(image, name="%_\\'\"<i>.jpg"), image, patient=patient)
    with CaseBook.open(tmp_path / "unused", URL) as again:
        assert again.load(case.case_id).patient == patient
        assert again.image(case.case_id) == image
        assert [found.case_id for found in again.search(CaseQuery(text="ZOË <B>ü"))] == [
            case.case_id
        ]
        assert again.count(CaseQuery(text="%x")) == 0
        assert again.count(CaseQuery(diagnosis=Diagnosis.NV, has_outcome=False)) == 1
        again.record_outcome(case.case_id, Outcome(Diagnosis.MEL, "histology", "Breslow 0.4 mm"))
    assert book.count(CaseQuery(outcome=Diagnosis.MEL)) == 1
    book.delete(case.case_id)
    with pytest.raises(CaseError, match="there is no case"):
        book.image(case.case_id)
    assert book.count() == 0


def test_many_at_once_open_and_save(tmp_path: Path) -> None:
    drop_tables()

    def save(seed: int) -> str:
        image = image_bytes(seed)
        with CaseBook.open(tmp_path / "unused", URL) as own:
            return own.save(assessment_of(image, name=f"{seed}.jpg"), image).case_id

    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(save, range(24)))
    with CaseBook.open(tmp_path / "unused", URL) as book:
        assert book.count() == len(set(kept)) == 24
        for seed, case_id in enumerate(kept):
            assert book.image(case_id) == image_bytes(seed)
    drop_tables()


@pytest.mark.parametrize("name", ["nul\x00.jpg", "\ud800.jpg", "a" * 5000, "'; DROP TABLE x; --"])
def test_hostile_names_come_back_as_they_were(book: CaseBook, name: str) -> None:
    image = image_bytes()
    case = book.save(assessment_of(image, name=name), image)
    assert book.load(case.case_id).assessment.image.name == name
    assert book.search()[0].image_name == name
