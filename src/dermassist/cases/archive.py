"""Cases as one ZIP that any program can open."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from dermassist.cases.book import CaseBook
from dermassist.cases.case import Case
from dermassist.errors import CaseError
from dermassist.imaging.decoding import IMAGE_SUFFIXES
from dermassist.storage import replacing

#: Of the entry in a ZIP of cases, or of their reports, that names those that are missing.
NOT_INCLUDED_NAME = "not_included.txt"
#: ZIP knows no earlier year; a computer whose clock has stopped may be in one.
_FIRST_TIME = (1980, 1, 1, 0, 0, 0)


def export_cases(
    book: CaseBook, case_ids: Iterable[str], target: str | os.PathLike[str] | BinaryIO
) -> int:
    """Write cases into a ZIP: one folder each with image, assessment, patient and outcome.

    The same cases make the same bytes. A case that is gone or damaged keeps no other from being
    written: ``not_included.txt`` in the ZIP names it and says why.

    Args:
        book: that holds them.
        case_ids: which; one named twice is written once.
        target: a path, written whole or not at all and for its owner alone, or a stream.

    Returns:
        How many cases were written.

    Raises:
        CaseError: none of the cases can be written; says why of the first.
        OSError: the file cannot be written.
    """
    if isinstance(target, str | os.PathLike):
        with replacing(Path(target), private=True) as temporary, temporary.open("wb") as file:
            return export_cases(book, case_ids, file)
    chosen = tuple(dict.fromkeys(case_ids))
    refused: dict[str, CaseError] = {}
    with zipfile.ZipFile(target, "w") as archive:
        for case_id in chosen:
            try:
                case, image = book.load(case_id), book.image(case_id)
            except CaseError as error:
                refused[case_id] = error
            else:
                _write_case(archive, case, image)
        if chosen and len(refused) == len(chosen):
            raise refused[chosen[0]]
        if refused:
            _write_refused(archive, refused)
    return len(chosen) - len(refused)


def _write_case(archive: zipfile.ZipFile, case: Case, image: bytes) -> None:
    documents = {
        f"{name}.json": (json.dumps(values, indent=1) + "\n").encode()
        for name, values in _documents(case).items()
    }
    saved_at = datetime.fromisoformat(case.saved_at).timetuple()[:6]
    for name, content in {f"image{_suffix(case)}": image, **documents}.items():
        entry = zipfile.ZipInfo(f"{case.case_id}/{name}", max(saved_at, _FIRST_TIME))
        archive.writestr(entry, content)


def _write_refused(archive: zipfile.ZipFile, refused: Mapping[str, CaseError]) -> None:
    said = "".join(f"{case_id}: {error}\n" for case_id, error in refused.items())
    archive.writestr(zipfile.ZipInfo(NOT_INCLUDED_NAME, _FIRST_TIME), said)


def _documents(case: Case) -> dict[str, object]:
    return {
        "assessment": case.assessment.to_dict(),
        "patient": case.patient.to_dict(),
        "case": {
            "case_id": case.case_id,
            "saved_at": case.saved_at,
            "outcome": None if case.outcome is None else case.outcome.to_dict(),
        },
    }


def _suffix(case: Case) -> str:
    """Return the image's ending if it is a known one; nothing else of its name is used."""
    suffix = Path(case.assessment.image.name).suffix.lower()
    return suffix if suffix in IMAGE_SUFFIXES else ".bin"
