"""Whose an answer is, and that it is not somebody else's."""

from __future__ import annotations

from dataclasses import replace

from dermassist.interfaces.web.patient_form import patient_line
from dermassist.interfaces.web.text import escaped
from dermassist.patient import PatientDetails


def person_of(patient: PatientDetails) -> PatientDetails:
    """Return the details that are the patient's, without those of one lesion."""
    return replace(patient, body_site="", remarks="")


def who(patient_id: str, name: str) -> str:
    """Return ID and name as far as stated, as plain text of one line."""
    return " · ".join(part for part in (patient_id, name) if part)


def belonging_line(patient: PatientDetails, image_name: str) -> str:
    """Return in one line of Markdown whose answer this is, and to which image."""
    parts = [] if person_of(patient).stated else ["not stated"]
    if patient.stated:
        parts.append(patient_line(patient))
    return f"**Patient:** {' · '.join([*parts, f'image {escaped(image_name)}'])}"


def mismatch_words(shown: PatientDetails, stated: PatientDetails) -> str | None:
    """Say that an answer is another patient's than the one that is stated now.

    Args:
        shown: whose answer is shown.
        stated: whose the next images are; what is not stated differs from nothing.

    Returns:
        Plain text, or ``None`` where neither ID nor name differs.
    """
    pairs = ((shown.patient_id, stated.patient_id), (shown.name, stated.name))
    if all(now in {"", then} for then, now in pairs):
        return None
    owner, other = who(shown.patient_id, shown.name), who(stated.patient_id, stated.name)
    if owner:
        return f"This answer belongs to {owner}, not to {other}."
    return (
        f"This answer belongs to a patient who was not stated, not to {other}. Details of kept "
        "answers can be filled in under Cases."
    )
