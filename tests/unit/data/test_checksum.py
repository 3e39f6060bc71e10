from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from dermassist.data.checksum import Checksum, file_checksum

from .fake_dataverse import RecordedProgress

if TYPE_CHECKING:
    from pathlib import Path

# The digests of "abc" in RFC 1321, RFC 3174 and FIPS 180-4.
ABC = {
    "MD5": "900150983cd24fb0d6963f7d28e17f72",
    "SHA-1": "a9993e364706816aba3e25717850c26c9cd0d89d",
    "SHA-256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "SHA-512": (
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    ),
}


@pytest.mark.parametrize(("kind", "value"), ABC.items())
def test_published_checksum_is_what_the_file_has(tmp_path: Path, kind: str, value: str) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    published = Checksum.from_published(kind, value.upper())
    assert published is not None
    assert published.label == kind
    assert file_checksum(path, published.algorithm) == published


@pytest.mark.parametrize("kind", ["SHA1", "sha-1", "SHA_1"])
def test_kind_may_be_spelled_otherwise(kind: str) -> None:
    assert Checksum.from_published(kind, ABC["SHA-1"]) == Checksum("sha1", ABC["SHA-1"])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("MD5", "Not available in Dataverse"),
        ("MD5", ""),
        ("MD5", None),
        ("MD5", ABC["SHA-1"]),
        ("MD5", "g" * 32),
        ("CRC-32", "352441c2"),
        ("", ""),
        (None, None),
    ],
)
def test_what_is_no_known_digest_is_none(kind: object, value: object) -> None:
    assert Checksum.from_published(kind, value) is None


def test_progress_counts_every_byte_of_a_file_longer_than_a_chunk(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    path = tmp_path / "long"
    path.write_bytes(content)
    progress = RecordedProgress()
    assert file_checksum(path, "md5", progress=progress).value == hashlib.md5(content).hexdigest()
    assert progress.tasks == [["Verifying long", len(content), 0, len(content)]]
    assert progress.finished == 1
