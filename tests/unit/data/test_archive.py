from __future__ import annotations

import io
import json
import shutil
import stat
import zipfile
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dermassist.data.archive import (
    ArchiveLimits,
    Extraction,
    extract_archive,
    find_extraction,
)
from dermassist.errors import DataError

from .fake_dataverse import RecordedProgress

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"ISIC_1.jpg": b"one" * 500, "ISIC_2.jpg": b"two" * 700}
TOTAL_BYTES = 3600


def to_zip(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def with_member(name: str, *, mode: int = 0, content: bytes = b"evil") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("ISIC_1.jpg", b"good")
        member = zipfile.ZipInfo("placeholder")
        # Set afterwards: the constructor would tidy the name up.
        member.filename = name
        member.external_attr = mode << 16
        archive.writestr(member, content)
    return packed.getvalue()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "images.zip"
    path.write_bytes(to_zip(FILES))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "images"


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name[0] != "."}


def assert_nothing_left(tmp_path: Path) -> None:
    left = {path.name for path in tmp_path.rglob("*")}
    assert left <= {"images.zip", "data"}


def refuse(archive: Path, folder: Path, match: str, limits: ArchiveLimits | None = None) -> None:
    with pytest.raises(DataError, match=match):
        extract_archive(archive, folder, fingerprint="f", limits=limits or ArchiveLimits())
    assert_nothing_left(archive.parent)


def test_files_appear_in_the_folder(archive: Path, folder: Path) -> None:
    progress = RecordedProgress()
    done = extract_archive(archive, folder, fingerprint="f", progress=progress)
    assert done == Extraction(folder, 2, TOTAL_BYTES)
    assert contents(folder) == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["images"]
    assert progress.tasks == [["Unpacking images.zip", TOTAL_BYTES, 0, TOTAL_BYTES]]
    assert progress.finished == 1


def test_folder_is_as_readable_as_any_other(archive: Path, folder: Path, tmp_path: Path) -> None:
    extract_archive(archive, folder, fingerprint="f")
    (tmp_path / "other").mkdir()
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_folders_of_the_archive_and_what_macos_adds_are_left_out(
    archive: Path, folder: Path
) -> None:
    archive.write_bytes(
        to_zip(
            {
                "top/": b"",
                "top/ISIC_1_segmentation.png": b"mask",
                "top/.DS_Store": b"junk",
                "top/._ISIC_1_segmentation.png": b"junk",
                "__MACOSX/top/._ISIC_1_segmentation.png": b"junk",
                "__MACOSX/ISIC_9_segmentation.png": b"junk",
                "top/.extracted.json": b"junk",
                "__MACOSX/top/._Icon\r": b"junk",
            }
        )
    )
    assert extract_archive(archive, folder, fingerprint="f") == Extraction(folder, 1, 4)
    assert contents(folder) == {"ISIC_1_segmentation.png": b"mask"}


@pytest.mark.parametrize(
    "name",
    [
        "../evil.jpg",
        "a/../../evil.jpg",
        "/tmp/evil.jpg",
        "..\\evil.jpg",
        "C:\\evil.jpg",
        "C:evil.jpg",
        "a/..",
        "evil\n.jpg",
        "evil\x1b[2J.jpg",
    ],
)
def test_name_that_leads_elsewhere_is_refused(archive: Path, folder: Path, name: str) -> None:
    archive.write_bytes(with_member(name))
    refuse(archive, folder, "leads out of the folder or is not portable")


def test_member_without_a_name_is_refused(archive: Path, folder: Path) -> None:
    packed = bytearray(to_zip(FILES))
    directory = packed.index(b"PK\x01\x02")
    name_length, comment_length = directory + 28, directory + 32
    packed[comment_length] = packed[name_length]
    packed[name_length] = 0
    archive.write_bytes(packed)
    refuse(archive, folder, "member '': its name leads out of the folder or is not portable")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_link_or_device_is_refused(archive: Path, folder: Path, kind: int) -> None:
    archive.write_bytes(with_member("ISIC_2.jpg", mode=kind | 0o777, content=b"/etc/passwd"))
    refuse(archive, folder, r"'ISIC_2.jpg': it is a link or device")


def test_encrypted_member_is_refused(archive: Path, folder: Path) -> None:
    packed = bytearray(to_zip({"ISIC_1.jpg": b"good"}))
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(packed)
    refuse(archive, folder, "it is encrypted")


def test_rare_compression_is_refused(archive: Path, folder: Path) -> None:
    archive.write_bytes(to_zip(FILES, zipfile.ZIP_LZMA))
    refuse(archive, folder, "its compression is not one of those known here")


@pytest.mark.parametrize("second", ["b/ISIC_1.jpg", "b/isic_1.JPG"])
def test_two_members_for_one_place_are_refused(archive: Path, folder: Path, second: str) -> None:
    archive.write_bytes(to_zip({"a/ISIC_1.jpg": b"one", second: b"two"}))
    refuse(archive, folder, "twice")


@pytest.mark.parametrize(
    "limits", [ArchiveLimits(members=1), ArchiveLimits(total_bytes=TOTAL_BYTES - 1)]
)
def test_archive_beyond_the_limits_is_refused(
    archive: Path, folder: Path, limits: ArchiveLimits
) -> None:
    refuse(archive, folder, "holds 2 files of 3,600 bytes and is not unpacked", limits)


def test_archive_at_the_limits_is_unpacked(archive: Path, folder: Path) -> None:
    limits = ArchiveLimits(members=2, total_bytes=TOTAL_BYTES)
    extract_archive(archive, folder, fingerprint="f", limits=limits)
    assert contents(folder) == FILES


@pytest.mark.parametrize("files", [{}, {"__MACOSX/a": b"junk"}, {"top/": b""}])
def test_archive_without_files_is_refused(
    archive: Path, folder: Path, files: dict[str, bytes]
) -> None:
    archive.write_bytes(to_zip(files))
    refuse(archive, folder, "holds 0 files")


@pytest.mark.parametrize("content", [b"", b"PK", b"<html>log in</html>", bytes(1000)])
def test_what_is_no_zip_is_refused(archive: Path, folder: Path, content: bytes) -> None:
    archive.write_bytes(content)
    refuse(archive, folder, "damaged or no zip archive")


def test_truncated_archive_is_refused(archive: Path, folder: Path) -> None:
    archive.write_bytes(to_zip(FILES)[:-30])
    refuse(archive, folder, "damaged or no zip archive")


def test_missing_archive_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Cannot read or write .*absent\.zip"):
        extract_archive(tmp_path / "absent.zip", folder, fingerprint="f")


def test_wrong_crc_names_the_member(archive: Path, folder: Path) -> None:
    packed = bytearray(to_zip(FILES, zipfile.ZIP_STORED))
    packed[packed.index(b"two") + 5] ^= 1
    archive.write_bytes(packed)
    refuse(archive, folder, r"damaged at its member 'ISIC_2\.jpg' \(Bad CRC-32")


def test_damaged_compression_names_the_member(archive: Path, folder: Path) -> None:
    packed = bytearray(to_zip(FILES))
    start = packed.index(b"ISIC_2.jpg") + len("ISIC_2.jpg")
    packed[start : start + 4] = b"\xff" * 4
    archive.write_bytes(packed)
    refuse(archive, folder, r"damaged at its member 'ISIC_2\.jpg'")


def test_member_shorter_than_it_claims_is_refused(archive: Path, folder: Path) -> None:
    packed = bytearray(to_zip({"ISIC_1.jpg": b"one" * 500}))
    directory = packed.index(b"PK\x01\x02")
    packed[directory + 24 : directory + 28] = (5000).to_bytes(4, "little")
    archive.write_bytes(packed)
    refuse(archive, folder, r"'ISIC_1\.jpg' \(1500 of 5000 bytes\)")


def test_full_disk_is_told_before_anything_is_unpacked(
    archive: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(free=TOTAL_BYTES - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    refuse(archive, folder, r"To unpack images\.zip, 3,600 bytes are needed")


def test_folder_that_exists_is_left_alone(archive: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_bytes(b"mine")
    with pytest.raises(DataError, match="exists already"):
        extract_archive(archive, folder, fingerprint="f")
    assert contents(folder) == {"mine.txt": b"mine"}


def test_interruption_leaves_nothing(archive: Path, folder: Path, tmp_path: Path) -> None:
    class Interrupting(RecordedProgress):
        def advance(self, count_bytes: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_archive(archive, folder, fingerprint="f", progress=Interrupting())
    assert_nothing_left(tmp_path)


def test_what_a_killed_run_left_is_removed(archive: Path, folder: Path) -> None:
    killed = folder.with_name(".images.unfinished")
    killed.mkdir(parents=True)
    (killed / "ISIC_0.jpg").write_bytes(b"half")
    extract_archive(archive, folder, fingerprint="f")
    assert contents(folder) == FILES
    assert not killed.exists()


def test_place_that_cannot_be_written_is_named(archive: Path, folder: Path) -> None:
    folder.parent.write_bytes(b"not a folder")
    with pytest.raises(DataError, match=r"Cannot read or write .*images\.unfinished"):
        extract_archive(archive, folder, fingerprint="f")


def test_extraction_is_found_again(archive: Path, folder: Path) -> None:
    assert find_extraction(folder, fingerprint="f") is None
    done = extract_archive(archive, folder, fingerprint="f")
    (folder / "note.txt").write_text("added by its owner")
    assert find_extraction(folder, fingerprint="f") == done


def test_extraction_of_another_archive_is_told(archive: Path, folder: Path) -> None:
    extract_archive(archive, folder, fingerprint="version 1")
    with pytest.raises(DataError, match=r"another archive \(version 1\) .* \(version 2\)"):
        find_extraction(folder, fingerprint="version 2")


def test_lost_and_changed_files_are_told(archive: Path, folder: Path) -> None:
    extract_archive(archive, folder, fingerprint="f")
    (folder / "ISIC_2.jpg").write_bytes(b"shorter")
    with pytest.raises(DataError, match=r"1 of its 2 files .* \(the first is ISIC_2\.jpg\)"):
        find_extraction(folder, fingerprint="f")
    (folder / "ISIC_1.jpg").unlink()
    with pytest.raises(DataError, match="2 of its 2 files"):
        find_extraction(folder, fingerprint="f")


@pytest.mark.parametrize(
    "marker", [None, "", "[]", "{}", '{"fingerprint": "f", "sizes": {"a": "b"}}', '{"sizes": 3}']
)
def test_folder_of_unknown_origin_is_left_alone(folder: Path, marker: str | None) -> None:
    folder.mkdir(parents=True)
    if marker is not None:
        (folder / ".extracted.json").write_text(marker)
    with pytest.raises(DataError, match="was not made by this command"):
        find_extraction(folder, fingerprint="f")


def test_file_in_the_place_of_the_folder_is_left_alone(folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_bytes(b"mine")
    with pytest.raises(DataError, match="was not made by this command"):
        find_extraction(folder, fingerprint="f")


def test_record_tells_names_and_sizes(archive: Path, folder: Path) -> None:
    extract_archive(archive, folder, fingerprint="f")
    assert json.loads((folder / ".extracted.json").read_text()) == {
        "fingerprint": "f",
        "sizes": {name: len(content) for name, content in FILES.items()},
    }


SOUND = to_zip(FILES)
NAME_IN_DIRECTORY = SOUND.index(b"ISIC", SOUND.index(b"PK\x01\x02"))


@example(changes=[(NAME_IN_DIRECTORY, 0)], length=0)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), max_size=4),
    st.integers(0, len(SOUND)),
)
def test_damaged_bytes_are_refused_or_harmless(
    archive: Path, folder: Path, changes: list[tuple[int, int]], length: int
) -> None:
    damaged = bytearray(SOUND)
    for position, value in changes:
        damaged[position] = value
    archive.write_bytes(damaged[: max(length, 50)] if length % 2 else damaged)
    shutil.rmtree(folder.parent, ignore_errors=True)
    try:
        extract_archive(archive, folder, fingerprint="f")
    except DataError:
        assert_nothing_left(archive.parent)
    else:
        # A damaged name is a name like any other; the contents have their CRC.
        assert set(contents(folder).values()) <= set(FILES.values())
