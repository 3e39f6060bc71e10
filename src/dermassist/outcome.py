"""What a lesion turned out to be, and how that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from dermassist.diagnosis import Diagnosis
from dermassist.errors import CaseError, PatientError
from dermassist.patient import PatientDetails

OutcomeSource = Literal["histology", "clinician", "follow-up"]
SOURCES: tuple[OutcomeSource, ...] = get_args(OutcomeSource)
NONE_OF_THE_SEVEN = "none of the seven"


@dataclass(frozen=True)
class Outcome:
    """What the lesion turned out to be.

    Attributes:
        diagnosis: one of the seven, or ``None`` for anything else (say what in the remarks).
        source: who or what found it.
        remarks: as a patient's remarks, at most 4000 characters.

    Raises:
        CaseError: an unknown source, or remarks that are too long or hold a control character.
    """

    diagnosis: Diagnosis | None
    source: OutcomeSource
    remarks: str = ""

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise CaseError(f"the source must be one of {', '.join(SOURCES)}, got {self.source!r}")
        try:
            # One rule for all remarks.
            tidy = PatientDetails(remarks=self.remarks).remarks
        except PatientError as error:
            raise CaseError(str(error)) from None
        # A frozen dataclass has no other way to keep the tidy form of what it was given.
        object.__setattr__(self, "remarks", tidy)

    @property
    def words(self) -> str:
        """What it is and from what that is known, in one line; remarks where they say what."""
        if self.diagnosis is not None:
            return f"{self.diagnosis}, {self.source}"
        remarks = " ".join(self.remarks.split())
        said = f": {remarks}" if remarks else ""
        return f"{NONE_OF_THE_SEVEN}{said}, {self.source}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        code = None if self.diagnosis is None else self.diagnosis.code
        return {"diagnosis": code, "source": self.source, "remarks": self.remarks}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from ``to_dict``'s form."""
        code = values["diagnosis"]
        diagnosis = None if code is None else Diagnosis.from_code(code)
        return cls(diagnosis, values["source"], values["remarks"])
