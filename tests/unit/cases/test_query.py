"""What is searched for is found, whatever its script; what cannot be asked is refused."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermassist.cases import CaseBook, CaseQuery, Outcome
from dermassist.cases.search import fold
from dermassist.diagnosis import Diagnosis
from dermassist.errors import CaseError
from dermassist.patient import PatientDetails

from .made import assessment_of, image_bytes

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("Ωμέγα ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("Straße", "STRASSE"),
        ("ﬁnger", "FINGER"),
        ("Zoe\u0308", "zoë"),
        ("ﻣﺤﻤﺪ", "محمد"),
        ("\uff14\uff17\uff11\uff11", "4711"),
        ("A\u200bn\u200dna", "anna"),
        ("\u202eanna\u202c", "ANNA"),
        ("left\nshoulder", "LEFT   shoulder"),
        ("left shoulder", " left\tshoulder\n"),
        ("a\udcffb", "ab"),
        ("50 % _of_ /all\\", "% _OF_ /ALL\\"),
    ],
)
def test_writing_in_another_way_finds_the_same(book: CaseBook, stored: str, asked: str) -> None:
    image = image_bytes()
    book.save(assessment_of(image, name=f"before {stored} after"), image)
    book.save(assessment_of(image, name="another"), image)
    [found] = book.search(CaseQuery(text=asked))
    assert found.image_name == f"before {stored} after"
    assert book.count(CaseQuery(text=asked)) == 1


def test_a_text_is_not_found_across_two_fields(book: CaseBook) -> None:
    image = image_bytes()
    patient = PatientDetails(name="Anna", body_site="back")
    book.save(assessment_of(image), image, patient=patient)
    assert book.count(CaseQuery(text="anna")) == book.count(CaseQuery(text="back")) == 1
    assert book.count(CaseQuery(text="anna back")) == book.count(CaseQuery(text="annaback")) == 0


def test_a_case_is_found_by_the_number_that_the_pages_show(book: CaseBook) -> None:
    image = image_bytes()
    case_id, _ = (book.save(assessment_of(image), image).case_id for _ in range(2))
    for text in (case_id, case_id[:8], f" {case_id[:8].upper()} ", case_id[:13]):
        assert [found.case_id for found in book.search(CaseQuery(text=text))] == [case_id]
        assert book.count(CaseQuery(text=text)) == 1
    # Fewer characters would find what happens to hold them; so would its end.
    for text in (case_id[:7], case_id[-12:], "%" * 8, "_" * 8):
        assert book.count(CaseQuery(text=text)) == 0


@given(TEXTS)
def test_folding_forgets_case_and_form_and_stands_still(text: str) -> None:
    folded = fold(text)
    assert fold(folded) == folded
    assert fold(text.casefold()) == folded
    for form in ("NFC", "NFD"):
        assert fold(unicodedata.normalize(form, text)) == folded
    assert not {unicodedata.category(c) for c in folded} & {"Cc", "Cf", "Cs"}


@given(TEXTS, TEXTS)
def test_folding_keeps_what_differs(one: str, other: str) -> None:
    """Two texts are one only if Python's own caseless comparison of their words says so."""

    def words(text: str) -> str:
        seen = "".join(
            c for c in text if unicodedata.category(c) not in {"Cc", "Cf"} or c.isspace()
        )
        kept = unicodedata.normalize("NFKD", seen).casefold()
        return "".join(unicodedata.normalize("NFKD", kept).casefold().split())

    if words(one) != words(other):
        assert fold(one) != fold(other)


def test_every_filter_agrees_with_looking_at_each_case(folder: Path) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    ticks = iter(range(1000))
    with CaseBook.open(folder, clock=lambda: start + timedelta(hours=next(ticks))) as book:
        kinds = [*Diagnosis] * 3
        for k, kind in enumerate(kinds):
            image = image_bytes(k, size=50)
            threshold = (None, 0.3, 0.9)[k % 3]
            case = book.save(
                assessment_of(image, diagnosis=kind, threshold=threshold),
                image,
                patient=PatientDetails(name=f"Patient {k % 4}"),
            )
            if k % 2:
                found = kinds[k // 2] if k % 5 else None
                book.record_outcome(case.case_id, Outcome(found, "histology"))
        everything = book.search()
        assert len(everything) == len(kinds)
        moments = (None, start + timedelta(hours=6), start + timedelta(hours=15))
        asked = 0
        for diagnosis in (None, Diagnosis.MEL, Diagnosis.NV):
            for referred in (None, True, False):
                for has_outcome in (None, True, False):
                    for since in moments:
                        for text in ("", "patient 2"):
                            query = CaseQuery(
                                text, diagnosis, has_outcome, None, referred, since, moments[2]
                            )
                            expected = [
                                s
                                for s in everything
                                if text in s.patient_name.lower()
                                and diagnosis in (None, s.diagnosis)
                                and referred in (None, s.referred)
                                and has_outcome in (None, s.outcome is not None)
                                and (since is None or datetime.fromisoformat(s.saved_at) >= since)
                                and datetime.fromisoformat(s.saved_at) < start + timedelta(hours=15)
                            ]
                            assert book.search(query) == expected
                            assert book.count(query) == len(expected)
                            asked += bool(expected)
        assert asked > 30
        for final in Diagnosis:
            assert book.search(CaseQuery(outcome=final)) == [
                s for s in everything if s.outcome is not None and s.outcome.diagnosis is final
            ]


def test_pages_together_are_the_whole(folder: Path) -> None:
    same_moment = datetime(2026, 3, 1, tzinfo=UTC)
    with CaseBook.open(folder, clock=lambda: same_moment) as book:
        image = image_bytes()
        saved = {book.save(assessment_of(image), image).case_id for _ in range(11)}
        pages = [book.search(CaseQuery(limit=4, offset=k)) for k in (0, 4, 8, 12)]
        listed = [summary.case_id for page in pages for summary in page]
        assert [len(page) for page in pages] == [4, 4, 3, 0]
        assert len(listed) == len(set(listed))
        assert set(listed) == saved


def test_periods_are_the_same_in_every_zone(folder: Path) -> None:
    tokyo = timezone(timedelta(hours=9))
    with CaseBook.open(folder, clock=lambda: datetime(2026, 3, 2, 8, tzinfo=tokyo)) as book:
        image = image_bytes()
        case = book.save(assessment_of(image), image)
        assert case.saved_at == book.load(case.case_id).saved_at == "2026-03-01T23:00:00+00:00"
        day = datetime(2026, 3, 1, tzinfo=UTC)
        assert book.count(CaseQuery(since=day, until=day + timedelta(days=1))) == 1
        assert book.count(CaseQuery(since=datetime(2026, 3, 2, tzinfo=tokyo))) == 1
        assert book.count(CaseQuery(since=day + timedelta(days=1))) == 0


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"text": "x" * 201}, "has 201 characters, more than 200"),
        ({"since": datetime(2026, 1, 1)}, "since must be a time with its zone"),  # noqa: DTZ001
        ({"until": datetime(2026, 1, 1)}, "until must be a time with its zone"),  # noqa: DTZ001
        ({"limit": 0}, "limit must be from 1"),
        ({"offset": -1}, "offset must be from 0"),
        ({"offset": 2**70}, "offset must be from 0"),
    ],
)
def test_what_cannot_be_asked_is_refused(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(CaseError, match=complaint):
        CaseQuery(**wrong)


def test_the_longest_text_can_be_asked(book: CaseBook) -> None:
    # Each of these becomes 18 characters, and a wildcard becomes two.
    assert book.count(CaseQuery(text="\ufdfa" * 200)) == book.count(CaseQuery(text="%" * 200)) == 0


@pytest.mark.parametrize("remarks", ["\x00", "a\x1bb", "\udcff"])
def test_remarks_of_an_outcome_follow_the_rule_for_a_patients(remarks: str) -> None:
    with pytest.raises(CaseError, match="Remarks holds the"):
        Outcome(None, "clinician", remarks)
    tidy = replace(Outcome(None, "clinician"), remarks=" two\r\nlines ")
    assert tidy.remarks == "two\nlines"
