"""An export is the same bytes for the same cases, private, and whole or not there."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest

from dermassist.cases import CaseBook, export_cases
from dermassist.imaging.decoding import IMAGE_SUFFIXES

from .made import assessment_of, image_bytes


@pytest.mark.parametrize(
    ("saved_at", "shown"),
    [
        (datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC), (2026, 5, 6, 7, 8, 8)),
        (datetime(1970, 1, 1, tzinfo=UTC), (1980, 1, 1, 0, 0, 0)),
    ],
)
def test_the_same_cases_make_the_same_bytes(
    folder: Path, saved_at: datetime, shown: tuple[int, ...]
) -> None:
    with CaseBook.open(folder, clock=lambda: saved_at) as book:
        image = image_bytes()
        case_id = book.save(assessment_of(image, name="スキン.PNG"), image).case_id
        one, two = BytesIO(), BytesIO()
        assert export_cases(book, [case_id, case_id], one) == 1
        assert export_cases(book, iter([case_id]), two) == 1
    assert one.getvalue() == two.getvalue()
    with zipfile.ZipFile(one) as archive:
        assert archive.testzip() is None
        assert {entry.date_time for entry in archive.infolist()} == {shown}
        assert archive.read(f"{case_id}/image.png") == image


@pytest.mark.parametrize("kind", [Path, str])
def test_an_export_is_its_owners_alone_and_replaces_the_last(
    book: CaseBook, tmp_path: Path, kind: type[Path] | type[str]
) -> None:
    image, target = image_bytes(), tmp_path / "cases.zip"
    case_id = book.save(assessment_of(image), image).case_id
    target.write_bytes(b"the last export")
    export_cases(book, [case_id], kind(target))
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert zipfile.is_zipfile(target)


@pytest.mark.parametrize("kind", [Path, str])
def test_a_failed_export_keeps_the_last(
    book: CaseBook, tmp_path: Path, kind: type[Path] | type[str]
) -> None:
    def until_the_disk_is_full() -> Iterator[str]:
        image = image_bytes()
        yield book.save(assessment_of(image), image).case_id
        raise OSError("no more space")

    target = tmp_path / "cases.zip"
    target.write_bytes(b"the last export")
    with pytest.raises(OSError, match="no more space"):
        export_cases(book, until_the_disk_is_full(), kind(target))
    assert target.read_bytes() == b"the last export"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["book", "cases.zip"]


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_an_image_keeps_every_known_ending(book: CaseBook, suffix: str) -> None:
    image, packed = image_bytes(), BytesIO()
    case_id = book.save(assessment_of(image, name=f"lesion{suffix.upper()}"), image).case_id
    export_cases(book, [case_id], packed)
    with zipfile.ZipFile(packed) as archive:
        assert archive.read(f"{case_id}/image{suffix}") == image
