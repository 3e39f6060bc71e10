from __future__ import annotations

import io
import shutil
import zipfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from dermassist.data.checksum import Checksum
from dermassist.data.download import Outcome
from dermassist.data.fetch import FetchReport, Part, fetch_ham10000
from dermassist.data.ham10000 import read_ham10000
from dermassist.errors import DataError, DownloadError

from .fake_dataverse import (
    FakeDataverse,
    RecordedProgress,
    broken_off,
    impatient,
    instead,
    status,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset")
ROWS = (
    ("HAM_1", "ISIC_1", "nv", "histo", "45.0", "male", "back", "vidir_modern"),
    ("HAM_2", "ISIC_2", "mel", "histo", "80.0", "female", "face", "rosendahl"),
    ("HAM_2", "ISIC_3", "mel", "histo", "80.0", "female", "face", "rosendahl"),
)
ORIGINAL = "".join(f"{','.join(row)}\n" for row in (COLUMNS, *ROWS)).encode()
CONVERTED = ORIGINAL.replace(b",", b"\t")
PLACES = {
    "HAM10000_images_part_1",
    "HAM10000_images_part_2",
    "HAM10000_metadata.csv",
    "masks",
    "downloads",
}


def picture(kind: str, shade: int) -> bytes:
    encoded = io.BytesIO()
    Image.new("L" if kind == "PNG" else "RGB", (8, 6), shade).save(encoded, kind)
    return encoded.getvalue()


def to_zip(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


IMAGES_1 = to_zip({"ISIC_1.jpg": picture("JPEG", 10), "ISIC_2.jpg": picture("JPEG", 20)})
IMAGES_2 = to_zip({"ISIC_3.jpg": picture("JPEG", 30)})
MASKS_FOLDER = "HAM10000_segmentations_lesion_tschandl"
MASKS = to_zip(
    {f"{MASKS_FOLDER}/ISIC_{i}_segmentation.png": picture("PNG", 255) for i in (1, 2, 3)}
    | {f"__MACOSX/{MASKS_FOLDER}/._ISIC_1_segmentation.png": b"junk"}
)


class Ham10000Server(FakeDataverse):
    """Publishes a tiny HAM10000 as its home does, with the test files of ISIC 2018 beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.table = self.publish_table("HAM10000_metadata.tab", ORIGINAL, CONVERTED)
        self.images_2 = self.publish("HAM10000_images_part_2.zip", IMAGES_2)
        self.images_1 = self.publish("HAM10000_images_part_1.zip", IMAGES_1)
        self.masks = self.publish(f"{MASKS_FOLDER}.zip", MASKS)
        self.publish("ISIC2018_Task3_Test_Images.zip", b"not asked for")
        self.publish("ISIC2018_Task3_Test_GroundTruth.tab", b"not asked for")

    def entry(self, label: str) -> dict[str, Any]:
        return next(entry for entry in self.entries if entry["label"] == label)

    def replace(self, label: str, content: bytes) -> None:
        """Publish a new version of a file, under a new number."""
        self.publish(label, content)
        self.entries.remove(self.entry(label))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ham10000Server]:
    monkeypatch.setenv("no_proxy", "*")
    with Ham10000Server() as fake:
        yield fake


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "new" / "ham10000"


def fetch(server: FakeDataverse, directory: Path, **settings: Any) -> FetchReport:
    settings = {"policy": impatient()} | settings
    return fetch_ham10000(directory, base_url=server.url, **settings)


def snapshot(directory: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(directory)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_data_set_arrives_as_the_reader_wants_it(server: Ham10000Server, directory: Path) -> None:
    fetch(server, directory)
    assert {path.name for path in directory.iterdir()} == PLACES
    records = read_ham10000(directory).records
    assert [record.image_id for record in records] == ["ISIC_1", "ISIC_2", "ISIC_3"]
    assert [record.path and record.path.parent.name for record in records] == [
        "HAM10000_images_part_1",
        "HAM10000_images_part_1",
        "HAM10000_images_part_2",
    ]
    assert {record.mask_path and record.mask_path.parent.name for record in records} == {"masks"}
    assert (directory / "HAM10000_metadata.csv").read_bytes() == ORIGINAL


def test_only_what_is_needed_is_asked_for(server: Ham10000Server, directory: Path) -> None:
    fetch(server, directory)
    assert server.paths() == [server.images_1, server.images_2, server.table, server.masks]


def test_report_says_what_was_verified_and_where_it_lies(
    server: Ham10000Server, directory: Path
) -> None:
    report = fetch(server, directory)
    assert (report.directory, report.base_url, report.version) == (directory, server.url, "4.0")
    assert [part.part for part in report.parts] == list(Part)
    assert {part.outcome for part in report.parts} == {Outcome.DOWNLOADED}
    images, _, table, masks = report.parts
    assert images.verification is not None
    assert images.verification.size_bytes == len(IMAGES_1)
    assert isinstance(images.verification.checksum, Checksum)
    assert images.path == directory / "HAM10000_images_part_1"
    assert (images.files, images.name) == (2, "HAM10000_images_part_1.zip")
    assert images.size_bytes == sum(file.stat().st_size for file in images.path.glob("*.jpg"))
    assert (table.name, table.files, table.size_bytes) == (
        "HAM10000_metadata.csv",
        1,
        len(ORIGINAL),
    )
    assert str(masks).endswith(f"{MASKS_FOLDER}.zip: downloaded; size and MD5 verified")


def test_licence_and_authors_are_named(server: Ham10000Server, directory: Path) -> None:
    note = fetch(server, directory, parts=[Part.METADATA]).licence_note
    for words in ("CC BY-NC 4.0", "Tschandl", "10.1038/sdata.2018.161", "10.7910/DVN/DBW86T"):
        assert words in note


def test_second_fetch_changes_and_downloads_nothing(
    server: Ham10000Server, directory: Path
) -> None:
    fetch(server, directory)
    before = snapshot(directory)
    server.requests.clear()
    report = fetch(server, directory)
    assert snapshot(directory) == before
    assert server.paths() == []
    assert {part.outcome for part in report.parts} == {Outcome.PRESENT}
    assert [part.verification is None for part in report.parts] == [True, True, False, True]
    assert str(report.parts[0]).endswith(
        "already there; names and sizes as recorded then, contents not read again"
    )


def test_interrupted_fetch_goes_on_where_it_ended(server: Ham10000Server, directory: Path) -> None:
    server.script(server.images_2, broken_off(100))
    with pytest.raises(DownloadError, match="bytes early"):
        fetch(server, directory, policy=impatient(tries=1))
    assert (directory / "downloads" / "HAM10000_images_part_2.zip.part").stat().st_size == 100
    server.requests.clear()
    report = fetch(server, directory)
    assert server.paths() == [server.images_2, server.table, server.masks]
    assert server.ranges()[1] == "bytes=100-"
    assert [part.outcome for part in report.parts[:2]] == [Outcome.PRESENT, Outcome.RESUMED]


def test_parts_can_be_chosen(server: Ham10000Server, directory: Path) -> None:
    report = fetch(server, directory, parts=(Part.MASKS, Part.METADATA))
    assert [part.part for part in report.parts] == [Part.METADATA, Part.MASKS]
    assert {path.name for path in directory.iterdir()} == {
        "HAM10000_metadata.csv",
        "masks",
        "downloads",
    }


def test_archives_are_removed_unless_they_are_wanted(
    server: Ham10000Server, directory: Path, tmp_path: Path
) -> None:
    fetch(server, directory)
    assert [path.name for path in (directory / "downloads").iterdir()] == ["HAM10000_metadata.csv"]
    kept = tmp_path / "kept"
    fetch(server, kept, keep_archives=True)
    assert (kept / "downloads" / "HAM10000_images_part_1.zip").read_bytes() == IMAGES_1
    assert len(list((kept / "downloads").iterdir())) == 4


@pytest.mark.parametrize("label", ["HAM10000_metadata.tab", "HAM10000_metadata"])
def test_table_that_was_never_converted_is_taken_as_it_is(
    server: Ham10000Server, directory: Path, label: str
) -> None:
    server.entries = server.entries[1:]
    server.publish(label, CONVERTED)
    report = fetch(server, directory, parts=[Part.METADATA])
    assert (directory / "HAM10000_metadata.csv").read_bytes() == ORIGINAL
    assert (directory / "downloads" / label).read_bytes() == CONVERTED
    assert str(report.parts[0].verification) == "size and MD5 verified"


def test_converted_table_instead_of_the_upload_is_noticed(
    server: Ham10000Server, directory: Path
) -> None:
    server.script(server.table, instead(CONVERTED.replace(b"nv", b"bkl")))
    with pytest.raises(DownloadError, match="are published"):
        fetch(server, directory, parts=[Part.METADATA])


@pytest.mark.parametrize(
    ("part", "label"),
    [
        (Part.IMAGES_1, "HAM10000_images_part_1.zip"),
        (Part.IMAGES_2, "HAM10000_images_part_2.zip"),
        (Part.METADATA, "HAM10000_metadata.tab"),
        (Part.MASKS, f"{MASKS_FOLDER}.zip"),
    ],
)
def test_missing_part_is_named_with_what_is_listed(
    server: Ham10000Server, directory: Path, part: Part, label: str
) -> None:
    server.entries.remove(server.entry(label))
    with pytest.raises(DownloadError) as refused:
        fetch(server, directory)
    assert f"should be its {part}, but 0 can be" in str(refused.value)
    assert "ISIC2018_Task3_Test_Images.zip" in str(refused.value)
    assert server.paths() == []
    assert not directory.exists()
    assert len(fetch(server, directory, parts=set(Part) - {part}).parts) == 3


def test_ambiguous_part_is_refused(server: Ham10000Server, directory: Path) -> None:
    server.publish("ham10000_images_part1.ZIP", IMAGES_1)
    with pytest.raises(DownloadError, match="images-1, but 2 can be"):
        fetch(server, directory)


def test_name_that_leads_elsewhere_is_no_part(server: Ham10000Server, directory: Path) -> None:
    server.entry(f"{MASKS_FOLDER}.zip")["label"] = f"../../{MASKS_FOLDER}.zip"
    with pytest.raises(DownloadError, match="masks, but 0 can be"):
        fetch(server, directory)


def test_restricted_part_is_told(server: Ham10000Server, directory: Path) -> None:
    server.entry(f"{MASKS_FOLDER}.zip")["restricted"] = True
    with pytest.raises(DownloadError, match="authorised accounts only"):
        fetch(server, directory)
    assert server.paths() == []


def test_folder_of_unknown_origin_is_told_before_anything_is_downloaded(
    server: Ham10000Server, directory: Path
) -> None:
    (directory / "masks").mkdir(parents=True)
    (directory / "masks" / "mine.png").write_bytes(b"mine")
    with pytest.raises(DataError, match="masks exists but was not made by this command"):
        fetch(server, directory)
    assert server.paths() == []
    assert (directory / "masks" / "mine.png").read_bytes() == b"mine"


def test_changed_table_is_not_overwritten(server: Ham10000Server, directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / "HAM10000_metadata.csv").write_bytes(b"mine")
    with pytest.raises(DataError, match="differs from the published table: move it away"):
        fetch(server, directory, parts=[Part.METADATA])
    assert (directory / "HAM10000_metadata.csv").read_bytes() == b"mine"


def test_new_version_of_an_archive_is_told(server: Ham10000Server, directory: Path) -> None:
    fetch(server, directory, parts=[Part.MASKS])
    before = snapshot(directory)
    server.replace(f"{MASKS_FOLDER}.zip", to_zip({"ISIC_1_segmentation.png": b"new"}))
    with pytest.raises(DataError, match="unpacked from another archive"):
        fetch(server, directory, parts=[Part.MASKS])
    assert snapshot(directory) == before


def test_wrong_checksum_stops_the_fetch(server: Ham10000Server, directory: Path) -> None:
    server.script(server.masks, instead(MASKS[:-1] + b"?"))
    with pytest.raises(DownloadError, match="is not the published file: its MD5"):
        fetch(server, directory, parts=[Part.MASKS])
    assert list((directory / "downloads").iterdir()) == []
    assert not (directory / "masks").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no zip archive at all", "damaged or no zip archive"),
        (MASKS[: len(MASKS) // 2], "damaged or no zip archive"),
        (to_zip({"../evil.png": b"evil"}), "leads out of the folder"),
    ],
)
def test_archive_that_was_published_damaged_is_refused(
    server: Ham10000Server, directory: Path, content: bytes, reason: str
) -> None:
    server.replace(f"{MASKS_FOLDER}.zip", content)
    with pytest.raises(DataError, match=reason):
        fetch(server, directory, parts=[Part.MASKS])
    assert [path.name for path in directory.iterdir()] == ["downloads"]
    assert not (directory.parent / "evil.png").exists()


def test_full_disk_is_told_before_anything_is_downloaded(
    server: Ham10000Server, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = [len(IMAGES_1), len(IMAGES_2), len(MASKS)]
    full = SimpleNamespace(free=sum(packed) + max(packed) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    with pytest.raises(DataError, match="To fetch and unpack HAM10000"):
        fetch(server, directory)
    assert server.paths() == []
    full.free += 1
    with pytest.raises(DataError, match="To fetch and unpack HAM10000"):
        fetch(server, directory, keep_archives=True)
    (directory / "downloads").mkdir()
    (directory / "downloads" / "HAM10000_images_part_1.zip.part").write_bytes(IMAGES_1[:100])
    (directory / "downloads" / f"{MASKS_FOLDER}.zip").write_bytes(MASKS)
    full.free -= 100 + len(MASKS)
    fetch(server, directory)
    full.free = 0
    assert {part.outcome for part in fetch(server, directory).parts} == {Outcome.PRESENT}


def test_progress_tells_every_step(server: Ham10000Server, directory: Path) -> None:
    progress = RecordedProgress()
    fetch(server, directory, parts=[Part.IMAGES_2], progress=progress)
    assert [task[0] for task in progress.tasks] == [
        "Downloading HAM10000_images_part_2.zip",
        "Verifying HAM10000_images_part_2.zip.part",
        "Unpacking HAM10000_images_part_2.zip",
    ]
    assert all(total == done + advanced for _, total, done, advanced in progress.tasks)
    assert progress.finished == 3


def test_archive_that_refuses_is_quoted(server: Ham10000Server, directory: Path) -> None:
    server.script(server.images_1, status(400, b'{"message": "Sign the guestbook"}'))
    with pytest.raises(DownloadError, match=r"400 \(Bad Request\): Sign the guestbook"):
        fetch(server, directory)
