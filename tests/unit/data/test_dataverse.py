from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dermassist.data import dataverse as module
from dermassist.data.checksum import Checksum
from dermassist.data.dataverse import Listing, RemoteFile, read_listing
from dermassist.data.download import Source
from dermassist.errors import DownloadError

from .fake_dataverse import (
    LISTING_PATH,
    FakeDataverse,
    Waits,
    broken_off,
    impatient,
    reset,
    silence,
    status,
    unmeasured,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

DOI = "doi:10.7910/DVN/DBW86T"
MD5 = "900150983cd24fb0d6963f7d28e17f72"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDataverse]:
    monkeypatch.setenv("no_proxy", "*")
    with FakeDataverse() as fake:
        yield fake


def listing(server: FakeDataverse, **policy: Any) -> Listing:
    return read_listing(DOI, base_url=server.url, policy=impatient(**policy))


def entry(**data_file: object) -> dict[str, Any]:
    return {"label": "a.zip", "dataFile": {"id": 7} | data_file}


def list_files(server: FakeDataverse, *entries: object) -> None:
    server.listing = json.dumps({"data": {"files": entries}}).encode()


def source_of(server: FakeDataverse, **data_file: object) -> Source:
    list_files(server, entry(**data_file))
    (file,) = listing(server).files
    return file.source


# As the native API answers; shortened, with numbers made up.
PUBLISHED = {
    "status": "OK",
    "data": {
        "id": 1,
        "datasetPersistentId": DOI,
        "versionNumber": 4,
        "versionMinorNumber": 2,
        "versionState": "RELEASED",
        "license": {"name": "CC BY-NC 4.0"},
        "files": [
            {
                "description": "Images, second half",
                "label": "images_2.zip",
                "restricted": False,
                "version": 1,
                "datasetVersionId": 1,
                "dataFile": {
                    "id": 42,
                    "persistentId": "",
                    "filename": "images_2-1.zip",
                    "contentType": "application/zip",
                    "filesize": 1403,
                    "storageIdentifier": "s3://x:y",
                    "rootDataFileId": -1,
                    "md5": MD5,
                    "checksum": {"type": "MD5", "value": MD5},
                    "tabularData": False,
                },
            },
            {
                "label": "metadata.tab",
                "restricted": True,
                "dataFile": {
                    "id": 43,
                    "filename": "metadata.tab",
                    "contentType": "text/tab-separated-values",
                    "filesize": 820,
                    "originalFileFormat": "text/csv",
                    "originalFormatLabel": "Comma Separated Values",
                    "originalFileSize": 690,
                    "originalFileName": "metadata.csv",
                    "UNF": "UNF:6:abc==",
                    "checksum": {"type": "SHA-1", "value": "a" * 40},
                    "tabularData": True,
                },
            },
        ],
    },
}


def test_published_version_is_read(server: FakeDataverse) -> None:
    server.listing = json.dumps(PUBLISHED).encode()
    access = f"{server.url}/api/access/datafile"
    assert listing(server) == Listing(
        DOI,
        "4.2",
        (
            RemoteFile(("images_2.zip",), Source(f"{access}/42", 1403, Checksum("md5", MD5))),
            RemoteFile(
                ("metadata.csv", "metadata.tab"),
                Source(f"{access}/43?format=original", 690, Checksum("sha1", "a" * 40)),
                restricted=True,
            ),
        ),
    )
    assert server.asked_persistent_id() == DOI
    assert [path.partition("?")[0] for path, _ in server.requests] == [LISTING_PATH]


def test_address_may_end_with_a_slash_and_have_a_path(server: FakeDataverse) -> None:
    list_files(server, entry())
    assert read_listing(DOI, base_url=f"{server.url}/", policy=impatient()) == listing(server)
    with pytest.raises(DownloadError, match=r"/dataverse/api/datasets/.* answered 404"):
        read_listing(DOI, base_url=f"{server.url}/dataverse/", policy=impatient())


@pytest.mark.parametrize("data_file", [{}, {"filesize": None, "checksum": None, "md5": ""}])
def test_what_is_not_published_is_none(server: FakeDataverse, data_file: dict[str, object]) -> None:
    source = source_of(server, **data_file)
    assert (source.size_bytes, source.checksum) == (None, None)


def test_older_listing_names_the_checksum_otherwise(server: FakeDataverse) -> None:
    assert source_of(server, md5=MD5).checksum == Checksum("md5", MD5)


def test_checksum_of_an_unknown_kind_is_not_used(server: FakeDataverse) -> None:
    assert source_of(server, checksum={"type": "CRC-32", "value": "0"}, md5=MD5).checksum is None


def test_size_of_the_converted_table_is_not_taken_for_the_upload(server: FakeDataverse) -> None:
    source = source_of(server, filesize=820, originalFileFormat="text/csv", md5=MD5)
    assert source.size_bytes is None
    assert source.url.endswith("/7?format=original")


def test_file_without_label_has_its_own_name(server: FakeDataverse) -> None:
    list_files(server, {"dataFile": {"id": 7, "filename": "b.zip"}})
    assert listing(server).files[0].names == ("b.zip",)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "Expecting value"),
        (b"<html>log in</html>", "Expecting value"),
        (b'{"data": {"files": [', "Expecting value"),
        (b"\xff", "codec can't decode"),
        (b"[" * 100_000, "recursion"),
        (b"[]", "'data' is missing"),
        (b"{}", "'data' is missing"),
        (b'{"data": []}', r"'data' is \[\]"),
        (b'{"data": {}}', "'files' is missing"),
        (b'{"data": {"files": {}}}', "'files' is {}"),
        (b'{"data": {"files": [3]}}', "'dataFile' is missing"),
        (b'{"data": {"files": [{"dataFile": {}}]}}', "'id' is missing"),
        (b'{"data": {"files": [{"dataFile": {"id": "7"}}]}}', "'id' is '7'"),
        (b'{"data": {"files": [{"dataFile": {"id": true}}]}}', "'id' is True"),
        (b'{"data": {"files": [{"dataFile": {"id": 7}}]}}', "'filename' is missing"),
        (b'{"data": {"files": [{"dataFile": {"id": 7, "filename": 3}}]}}', "'filename' is 3"),
    ],
)
def test_what_is_no_list_of_files_is_refused(
    server: FakeDataverse, answer: bytes, reason: str
) -> None:
    server.listing = answer
    with pytest.raises(DownloadError, match=f"(?s)did not answer with a Dataverse.*{reason}"):
        listing(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize("size", [-1, "5", 1.5, True])
def test_impossible_size_is_refused(server: FakeDataverse, size: object) -> None:
    list_files(server, entry(filesize=size))
    with pytest.raises(DownloadError, match="'filesize' is"):
        listing(server)


def test_unknown_data_set_is_told_in_the_words_of_the_archive(server: FakeDataverse) -> None:
    answer = b'{"status":"ERROR","message":"Dataset with Persistent ID doi:x not found."}'
    server.script(LISTING_PATH, status(404, answer))
    with pytest.raises(
        DownloadError, match=r"404 \(Not Found\): Dataset with .* not found\. Check"
    ):
        listing(server)


def test_passing_troubles_are_waited_for(server: FakeDataverse) -> None:
    server.listing = json.dumps(PUBLISHED).encode()
    server.script(LISTING_PATH, status(503), reset, silence, broken_off(20), unmeasured)
    waits = Waits()
    assert len(listing(server, tries=20, timeout_s=0.2, sleep=waits).files) == 2
    # A busy machine may fall silent once more.
    assert waits.seconds[:4] == [1, 2, 4, 8]


def test_lasting_trouble_is_given_up(server: FakeDataverse) -> None:
    server.script(LISTING_PATH, *[status(503)] * 9)
    with pytest.raises(DownloadError, match=r"503 .* Gave up after 4 tries"):
        listing(server)


def test_endless_answer_is_refused(server: FakeDataverse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_LISTING_BYTES", 1000)
    server.listing = b" " * 1001
    with pytest.raises(DownloadError, match="more than a file list can hold"):
        listing(server)


@pytest.mark.parametrize("base_url", ["", "dataverse.harvard.edu", "file:///data"])
def test_address_that_is_not_http_is_refused(base_url: str) -> None:
    with pytest.raises(DownloadError, match="is not an address to download from"):
        read_listing(DOI, base_url=base_url, policy=impatient())
