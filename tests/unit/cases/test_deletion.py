"""Whatever was done before, no byte of a deleted case is in any file."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from dermassist.cases import CaseBook, Outcome
from dermassist.diagnosis import Diagnosis
from dermassist.patient import PatientDetails

from .made import assessment_of

#: Bytes of a mark in an image: within one page of the file, in several, in very many.
LENGTHS = (2, 200, 1500, 20_000)


class Diary:
    """A case book, and the marks that each of its cases has ever held."""

    def __init__(self, book: CaseBook, seed: int) -> None:
        self.book, self.random = book, random.Random(seed)
        self.marks: dict[str, list[str]] = {}
        self.forgotten: list[str] = []
        self._numbers: Iterator[int] = iter(range(10**6))
        self._seed = seed

    def step(self) -> None:
        [action] = self.random.choices(
            [self.save, self.change, self.delete], weights=[5, 3, 4 if self.marks else 0]
        )
        action()

    def save(self) -> None:
        mark = self._mark()
        image = mark.encode() * self.random.choice(LENGTHS)
        patient = PatientDetails(name=mark, remarks=self._text(mark))
        case = self.book.save(assessment_of(image, name=f"{mark}.png"), image, patient=patient)
        self.marks[case.case_id] = [mark, case.case_id]

    def change(self) -> None:
        for case_id in self.random.sample(sorted(self.marks), min(1, len(self.marks))):
            mark = self._mark()
            self.marks[case_id].append(mark)
            self.book.record_outcome(case_id, Outcome(Diagnosis.MEL, "histology", self._text(mark)))

    def delete(self) -> None:
        case_id = self.random.choice(sorted(self.marks))
        self.book.delete(case_id)
        self.forgotten += self.marks.pop(case_id)

    def _mark(self) -> str:
        return f"<{self._seed}:{next(self._numbers)}:{self.random.randbytes(6).hex()}>"

    def _text(self, mark: str) -> str:
        return f"{mark} " * self.random.randint(1, 120)


@pytest.mark.parametrize("seed", range(3))
def test_no_byte_of_a_deleted_case_is_left(folder: Path, book: CaseBook, seed: int) -> None:
    diary = Diary(book, seed)
    for _ in range(50):
        diary.step()
    diary.save()
    diary.delete()
    left = b"".join(path.read_bytes() for path in folder.iterdir())
    assert len(diary.forgotten) > 20
    assert [mark for mark in diary.forgotten if mark.encode() in left] == []
    # The same search finds what is still kept.
    assert all(marks[0].encode() in left for marks in diary.marks.values())
    assert {summary.case_id for summary in book.search()} == set(diary.marks)


def test_an_emptied_book_is_small_again(folder: Path, book: CaseBook) -> None:
    image = b"x" * 3_000_000
    empty = sum(path.stat().st_size for path in folder.iterdir())
    case_ids = [book.save(assessment_of(image), image).case_id for _ in range(3)]
    for case_id in case_ids:
        book.delete(case_id)
    assert sum(path.stat().st_size for path in folder.iterdir()) < empty + 200_000
