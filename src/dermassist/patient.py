"""Whose lesion it is, as far as the user chose to say."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from dermassist.errors import PatientError

#: The administrative genders of HL7 FHIR R4.
SEXES = ("female", "male", "other", "unknown")
OLDEST_YEARS = 130
#: Longest text of each field, in characters.
LENGTH_LIMITS = {"patient_id": 64, "name": 200, "body_site": 100, "remarks": 4000}
_LABELS = {
    "patient_id": "Patient ID",
    "name": "Name",
    "body_site": "Body site",
    "remarks": "Remarks",
}
_REFUSED_CATEGORIES = {"Cc": "control character", "Cs": "half of a surrogate pair"}


@dataclass(frozen=True)
class PatientDetails:
    """Optional details of a patient; what was not stated is empty or ``None``.

    Texts may be in any script. They are kept in Unicode's composed form (NFC) without white space
    around them; remarks may have several lines.

    Attributes:
        patient_id: as the practice numbers its patients, at most 64 characters.
        name: at most 200 characters.
        age_years: 0 to 130.
        sex: one of ``SEXES``.
        body_site: where the lesion is, at most 100 characters.
        remarks: at most 4000 characters.

    Raises:
        PatientError: a text is too long or holds a control character, or a value is out of range.
    """

    patient_id: str = ""
    name: str = ""
    age_years: int | None = None
    sex: str | None = None
    body_site: str = ""
    remarks: str = ""

    def __post_init__(self) -> None:
        for field in LENGTH_LIMITS:
            # A frozen dataclass has no other way to keep the tidy form of what it was given.
            object.__setattr__(self, field, _tidy(getattr(self, field), field))
        if self.age_years is not None and not _is_age(self.age_years):
            raise PatientError(
                f"age must be whole years from 0 to {OLDEST_YEARS}, got {self.age_years!r}; "
                "correct it or leave it empty"
            )
        if self.sex is not None and self.sex not in SEXES:
            raise PatientError(
                f"sex must be one of {', '.join(SEXES)}, got {self.sex!r}; "
                "choose one or leave it empty"
            )

    @property
    def stated(self) -> bool:
        """Whether anything is known at all."""
        return self != PatientDetails()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from ``to_dict``'s form; missing keys are not stated.

        Raises:
            PatientError: a key is unknown or a value is refused.
        """
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise PatientError(f"unknown patient details: {', '.join(sorted(unknown))}")
        return cls(**values)


def _is_age(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= OLDEST_YEARS


def _tidy(value: object, field: str) -> str:
    label, limit = _LABELS[field], LENGTH_LIMITS[field]
    if not isinstance(value, str):
        raise PatientError(f"{label} must be text, got {value!r:.80}")
    with_lines = value.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    text = unicodedata.normalize("NFC", with_lines.strip())
    allowed = "\n" if field == "remarks" else ""
    for character in text:
        kind = _REFUSED_CATEGORIES.get(unicodedata.category(character))
        if kind is not None and character not in allowed:
            raise PatientError(f"{label} holds the {kind} U+{ord(character):04X}; remove it")
    if len(text) > limit:
        raise PatientError(f"{label} has {len(text)} characters, more than {limit}; shorten it")
    return text
