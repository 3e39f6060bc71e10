"""Finding cases: what is searched, and a query as conditions in SQL."""

from __future__ import annotations

import unicodedata

from sqlalchemy import ColumnElement, or_

from dermassist.cases.case import Case, CaseQuery
from dermassist.cases.schema import CaseRow
from dermassist.cases.timestamp import to_stored

#: Control and format characters (zero-width ones, marks of direction), halves of surrogate pairs.
_NOT_SEARCHED = frozenset({"Cc", "Cf", "Cs"})
#: Characters of a case's number that the pages show; fewer would also find what nobody meant.
SHORT_ID_LENGTH = 8


def searched_text(case: Case) -> str:
    """Return the text in which a query's text is looked for."""
    patient, outcome = case.patient, case.outcome
    parts = (
        case.assessment.image.name,
        patient.patient_id,
        patient.name,
        patient.body_site,
        patient.remarks,
        "" if outcome is None else outcome.remarks,
    )
    # A folded query holds no line break, so none is found across two parts.
    return "\n".join(fold(part) for part in parts)


def fold(text: str) -> str:
    """Return a text without differences of case, width, white space and invisible characters.

    A compatibility caseless match (Unicode 16, section 3.13, D146), composed: ``ﬁ``, ``FI`` and
    ``fi`` become one, ``e`` and ``é`` stay two.
    """
    spaced = " ".join(text.split())
    seen = "".join(c for c in spaced if unicodedata.category(c) not in _NOT_SEARCHED)
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFD", seen).casefold()).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())


def conditions(query: CaseQuery) -> list[ColumnElement[bool]]:
    """Return what must hold of a case's row, apart from the query's limit and offset."""
    wanted: list[ColumnElement[bool]] = []
    text = fold(query.text)
    if text:
        wanted.append(_holds(text))
    if query.diagnosis is not None:
        wanted.append(CaseRow.diagnosis == query.diagnosis.code)
    if query.referred is not None:
        wanted.append(CaseRow.referred.is_(query.referred))
    if query.has_outcome is not None:
        recorded = CaseRow.outcome.is_not(None)
        wanted.append(recorded if query.has_outcome else ~recorded)
    if query.outcome is not None:
        wanted.append(CaseRow.outcome_diagnosis == query.outcome.code)
    if query.since is not None:
        wanted.append(CaseRow.saved_at >= to_stored(query.since))
    if query.until is not None:
        wanted.append(CaseRow.saved_at < to_stored(query.until))
    return wanted


def _holds(text: str) -> ColumnElement[bool]:
    """Return that a folded text stands in what is searched, or begins the case's number."""
    searched = CaseRow.searched.contains(text, autoescape=True)
    if len(text) < SHORT_ID_LENGTH:
        return searched
    return or_(searched, CaseRow.case_id.startswith(text, autoescape=True))
