"""What the case book keeps, and how it is asked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime

from dermassist.diagnosis import Diagnosis
from dermassist.errors import CaseError
from dermassist.outcome import Outcome
from dermassist.patient import PatientDetails
from dermassist.results import Assessment

LONGEST_TEXT = 200
_LARGEST_NUMBER = 2**31 - 1


class CaseChangedError(CaseError):
    """A case that somebody else changed after it was shown; nothing was written."""


@dataclass(frozen=True, eq=False)
class Case:
    """One kept assessment.

    Attributes:
        case_id: a random UUID.
        saved_at: ISO 8601 time with its offset.
        assessment: as it was answered.
        patient: as far as stated.
        outcome: ``None`` while nothing was recorded.
    """

    case_id: str
    saved_at: str
    assessment: Assessment
    patient: PatientDetails = field(default_factory=PatientDetails)
    outcome: Outcome | None = None


@dataclass(frozen=True)
class CaseSummary:
    """What a list of cases shows of one.

    ``confidence`` and ``malignancy`` are probabilities, 0 to 1; ``referred`` is ``None`` where the
    model had no threshold. Where the record cannot be read, ``damage`` says why, and all but the
    case's number and time is left as it is here; ``saved_at`` is empty if the time is damaged.
    """

    case_id: str
    saved_at: str
    image_name: str = ""
    diagnosis: Diagnosis | None = None
    confidence: float = math.nan
    malignancy: float = math.nan
    referred: bool | None = None
    patient_id: str = ""
    patient_name: str = ""
    outcome: Outcome | None = None
    damage: str = ""


@dataclass(frozen=True)
class CaseQuery:
    """Which cases to list, the newest first.

    Attributes:
        text: stands anywhere in the image's name, the patient's details or the remarks, in
            whatever case, or begins the case's number with 8 characters or more; at most 200
            characters.
        diagnosis: predicted.
        has_outcome: only cases with, or without, a recorded outcome.
        outcome: recorded as what the lesion turned out to be.
        referred: only cases with, or without, the advice to refer.
        since: saved then or later; with a time zone.
        until: saved before then; with a time zone.
        limit: cases at most, 1 or more.
        offset: cases to pass over, 0 or more.

    Raises:
        CaseError: a text that is too long, a time without a zone, a number out of range.
    """

    text: str = ""
    diagnosis: Diagnosis | None = None
    has_outcome: bool | None = None
    outcome: Diagnosis | None = None
    referred: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100
    offset: int = 0

    def __post_init__(self) -> None:
        if len(self.text) > LONGEST_TEXT:
            raise CaseError(
                f"the text to search has {len(self.text)} characters, more than {LONGEST_TEXT}; "
                "shorten it"
            )
        for name, time in (("since", self.since), ("until", self.until)):
            if time is not None and time.utcoffset() is None:
                raise CaseError(f"{name} must be a time with its zone, got {time}")
        for name, number, least in (("limit", self.limit, 1), ("offset", self.offset, 0)):
            if not least <= number <= _LARGEST_NUMBER:
                raise CaseError(
                    f"{name} must be from {least} to {_LARGEST_NUMBER}, got {number:.80g}"
                )
