"""One file from the network to its place: resumed where it broke off, verified before it counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING

from dermassist.data.checksum import Checksum, file_checksum
from dermassist.data.disk import explained_disk_errors, require_space
from dermassist.data.progress import SILENT, Progress
from dermassist.data.transport import (
    PATIENT,
    RangeRefusedError,
    RetryPolicy,
    TemporaryDownloadError,
    open_url,
    read_chunk,
    retry,
)
from dermassist.errors import DownloadError

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from pathlib import Path

# A file whose size nobody announced is a table, never an archive.
_LONGEST_UNANNOUNCED_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Source:
    """Where a file comes from and what its publisher says about it; None = nothing is said."""

    url: str
    size_bytes: int | None
    checksum: Checksum | None


class Outcome(StrEnum):
    """How a file came to its place; a resumed one was interrupted at least once."""

    DOWNLOADED = "downloaded"
    RESUMED = "downloaded, after an interruption"
    PRESENT = "already there"


@dataclass(frozen=True)
class Verification:
    """What was compared with the publisher's word, and agreed; whatever disagrees is never kept.

    ``size_checked`` is False and ``checksum`` None where the publisher names none to compare with.
    """

    size_bytes: int
    size_checked: bool
    checksum: Checksum | None

    def __str__(self) -> str:
        checked = ["size"] if self.size_checked else []
        checked += [self.checksum.label] if self.checksum else []
        if not checked:
            return "not verified, since neither a size nor a checksum is published"
        missing = "" if self.checksum else "; no checksum is published"
        return f"{' and '.join(checked)} verified{missing}"


@dataclass(frozen=True)
class Download:
    """A file that is in its place, how it came there, and what was verified just now."""

    path: Path
    outcome: Outcome
    verification: Verification


def part_path(path: Path) -> Path:
    """Return where the beginning of a file lies until it is complete."""
    return path.with_name(f"{path.name}.part")


def download(
    source: Source, path: Path, *, policy: RetryPolicy = PATIENT, progress: Progress = SILENT
) -> Download:
    """Bring a file to ``path``, unless it is there and still agrees with ``source``.

    What has arrived lies in ``NAME.part`` beside ``path`` until it is complete and verified. An
    interruption, Ctrl-C included, leaves it there, and the next call continues from it.

    Args:
        source: address, and what the file must agree with.
        path: the place; its folder is made. A file there that disagrees is replaced once the new
            one is verified.
        policy: patience with the server.
        progress: told of each transfer and each verification.

    Raises:
        DownloadError: the server refuses, sends something else than is published, or keeps
            failing.
        DataError: the disk is full or not writable.
    """
    part = part_path(path)
    with explained_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and _disagreement(path, source, progress) is None:
            return Download(path, Outcome.PRESENT, _verification(path, source))
        transfer = _Transfer(source, part, policy.timeout_s, progress)
        resumed_at = retry(transfer.run, policy=policy, reached=lambda: _bytes_at(part))
        _require_agreement(part, source, progress)
        part.replace(path)
        outcome = Outcome.RESUMED if resumed_at else Outcome.DOWNLOADED
        return Download(path, outcome, _verification(path, source))


@dataclass(frozen=True)
class _Transfer:
    """One try after another at filling a part file from the network."""

    source: Source
    part: Path
    timeout_s: float
    progress: Progress

    def run(self) -> int:
        """Fetch what is missing, or raise TemporaryDownloadError if another try may help.

        Returns:
            How many bytes lay there already and were kept.
        """
        have = self._usable_bytes()
        if self.part.exists() and have == self.source.size_bytes:
            return have
        try:
            with open_url(self.source.url, timeout_s=self.timeout_s, first_byte=have) as response:
                start = self._body_start(response, have)
                self._receive(response, start=start)
        except RangeRefusedError:
            self.part.unlink(missing_ok=True)
            raise
        return start

    def _usable_bytes(self) -> int:
        have = _bytes_at(self.part)
        if self.source.size_bytes is not None and have > self.source.size_bytes:
            self.part.unlink()
            return 0
        return have

    def _body_start(self, response: HTTPResponse, have: int) -> int:
        """Return the offset of the body's first byte in the file: ``have``, or 0 to begin anew."""
        if response.status == HTTPStatus.OK:
            return 0
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            raise DownloadError(
                f"{self.source.url} answered {response.status} instead of a file: try again later."
            )
        content_range = response.headers.get("Content-Range", "")
        if not content_range.startswith(f"bytes {have}-"):
            raise RangeRefusedError(
                f"{self.source.url} sent {content_range!r} when asked for all from byte {have} on."
            )
        return have

    def _receive(self, response: HTTPResponse, *, start: int) -> None:
        total_bytes = self._total_bytes(response)
        if total_bytes is not None:
            purpose = f"download {self.part.name.removesuffix('.part')}"
            require_space(self.part.parent, total_bytes - start, purpose=purpose)
        task = f"Downloading {self.part.name.removesuffix('.part')}"
        self.progress.start(task, total_bytes=total_bytes, done_bytes=start)
        try:
            end = self._write_body(response, start)
        finally:
            self.progress.finish()
        if total_bytes is not None and end < total_bytes:
            raise TemporaryDownloadError(
                f"The connection to {self.source.url} ended after {end:,} of {total_bytes:,} bytes."
            )

    def _total_bytes(self, response: HTTPResponse) -> int | None:
        """Return the file's whole size, refusing a server that contradicts the published one."""
        published, announced = self.source.size_bytes, _announced_bytes(response)
        if None not in (published, announced) and published != announced:
            raise DownloadError(
                f"{self.source.url} offers {announced:,} bytes where {published:,} are published: "
                "it is not that file. Try again later, or from another address."
            )
        return announced if published is None else published

    def _write_body(self, response: HTTPResponse, start: int) -> int:
        """Write the body from offset ``start`` on and return the offset of its end."""
        limit = self.source.size_bytes
        limit = _LONGEST_UNANNOUNCED_BYTES if limit is None else limit
        end = start
        with self.part.open("ab" if start else "wb") as file:
            while chunk := read_chunk(response, self.source.url):
                end += len(chunk)
                if end > limit:
                    break
                file.write(chunk)
                self.progress.advance(len(chunk))
        if end > limit:
            self.part.unlink()
            raise DownloadError(
                f"{self.source.url} sends more than {limit:,} bytes, the most this file may have: "
                "what had arrived is deleted. Try again later, or from another address."
            )
        return end


def _announced_bytes(response: HTTPResponse) -> int | None:
    """Return the size of the whole file by the response's own headers, if they tell."""
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        match = re.search(r"/(\d+)$", response.headers.get("Content-Range", ""))
        return int(match[1]) if match else None
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _bytes_at(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _verification(path: Path, source: Source) -> Verification:
    return Verification(path.stat().st_size, source.size_bytes is not None, source.checksum)


def _require_agreement(part: Path, source: Source, progress: Progress) -> None:
    disagreement = _disagreement(part, source, progress)
    if disagreement is not None:
        part.unlink()
        raise DownloadError(
            f"What {source.url} sent is not the published file: {disagreement}. It is deleted; run "
            "the command again, and if that does not help, try another address."
        )


def _disagreement(path: Path, source: Source, progress: Progress) -> str | None:
    """Say how a file differs from what is published, or None if it does not."""
    size_bytes = path.stat().st_size
    if source.size_bytes is not None and size_bytes != source.size_bytes:
        return f"it has {size_bytes:,} bytes instead of {source.size_bytes:,}"
    if source.checksum is None:
        return None
    computed = file_checksum(path, source.checksum.algorithm, progress=progress)
    if computed != source.checksum:
        return f"its {computed.label} is {computed.value} instead of {source.checksum.value}"
    return None
