"""A case as a row of the table, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from dermassist.cases.case import Case, CaseSummary
from dermassist.cases.schema import CaseRow
from dermassist.cases.search import searched_text
from dermassist.cases.timestamp import to_iso, to_stored
from dermassist.diagnosis import Diagnosis
from dermassist.errors import CaseError, DermAssistError
from dermassist.outcome import Outcome
from dermassist.patient import PatientDetails
from dermassist.results import Assessment
from dermassist.stated import number, only_value_errors, text


def to_row(case: Case) -> CaseRow:
    """Return the row that keeps a case."""
    prediction = case.assessment.prediction
    return CaseRow(
        case_id=case.case_id,
        saved_at=to_stored(datetime.fromisoformat(case.saved_at)),
        diagnosis=prediction.diagnosis.code,
        referred=None if prediction.referral is None else prediction.referral.advised,
        assessment=json.dumps(case.assessment.to_dict()),
        **_changeable(case),
    )


def update_row(row: CaseRow, case: Case) -> None:
    """Bring a row up to date with its case's patient and outcome."""
    for column, value in _changeable(case).items():
        setattr(row, column, value)


def to_case(row: CaseRow) -> Case:
    """Return the case of a row.

    Raises:
        CaseError: the row was changed by another program, or is of another version.
    """
    with _intact(row.case_id):
        return Case(
            case_id=row.case_id,
            saved_at=to_iso(row.saved_at),
            assessment=Assessment.from_dict(json.loads(row.assessment)),
            patient=PatientDetails.from_dict(json.loads(row.patient)),
            outcome=_outcome(row.outcome),
        )


def to_summary(
    case_id: str,
    saved_at: datetime | None,
    diagnosis: str,
    referred: bool | None,
    outcome: str | None,
    summary: str,
) -> CaseSummary:
    """Return the summary that these columns of a row make.

    A row that was changed by another program hides no other: its summary says so.
    """
    try:
        with _intact(case_id), only_value_errors():
            values = json.loads(summary)
            return CaseSummary(
                case_id=case_id,
                saved_at=to_iso(saved_at),
                image_name=text(values["image_name"], "image_name"),
                diagnosis=Diagnosis.from_code(diagnosis),
                confidence=number(values["confidence"], "confidence", high=1.0),
                malignancy=number(values["malignancy"], "malignancy"),
                referred=referred,
                patient_id=text(values["patient_id"], "patient_id"),
                patient_name=text(values["patient_name"], "patient_name"),
                outcome=_outcome(outcome),
            )
    except CaseError as error:
        when = "" if saved_at is None else to_iso(saved_at)
        return CaseSummary(case_id, when, damage=str(error))


def _changeable(case: Case) -> dict[str, Any]:
    """Return the columns that follow from the patient and the outcome, which can be changed."""
    prediction, outcome, patient = case.assessment.prediction, case.outcome, case.patient
    found = None if outcome is None else outcome.diagnosis
    summary = {
        "image_name": case.assessment.image.name,
        "confidence": prediction.confidence,
        "malignancy": prediction.malignancy,
        "patient_id": patient.patient_id,
        "patient_name": patient.name,
    }
    return {
        "patient": json.dumps(patient.to_dict()),
        "outcome": None if outcome is None else json.dumps(outcome.to_dict()),
        "outcome_diagnosis": None if found is None else found.code,
        "summary": json.dumps(summary),
        "searched": searched_text(case),
    }


def _outcome(text: str | None) -> Outcome | None:
    return None if text is None else Outcome.from_dict(json.loads(text))


@contextmanager
def _intact(case_id: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, DermAssistError) as error:
        raise CaseError(
            f"the record of case {case_id} was changed outside this program or is of another "
            f"version of it ({error!r:.200})"
        ) from error
