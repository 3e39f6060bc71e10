"""HAM10000 from its official home to a folder that the reader accepts."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from dermassist.data.archive import Extraction, extract_archive, find_extraction
from dermassist.data.dataverse import HARVARD_DATAVERSE, Listing, RemoteFile, read_listing
from dermassist.data.disk import explained_disk_errors, require_space
from dermassist.data.download import (
    Download,
    Outcome,
    Source,
    Verification,
    download,
    part_path,
)
from dermassist.data.metadata_table import to_comma_separated
from dermassist.data.progress import SILENT, Progress
from dermassist.data.transport import PATIENT, RetryPolicy
from dermassist.errors import DataError, DownloadError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

HAM10000_DOI = "doi:10.7910/DVN/DBW86T"

LICENCE_NOTE = """\
HAM10000 is licensed CC BY-NC 4.0 (https://creativecommons.org/licenses/by-nc/4.0/): use it for
non-commercial purposes and name its authors. What is trained on it keeps both conditions.
Images and metadata: Tschandl, P., Rosendahl, C., Kittler, H. The HAM10000 dataset, a large
collection of multi-source dermatoscopic images of common pigmented skin lesions.
Sci Data 5, 180161 (2018). doi:10.1038/sdata.2018.161
Lesion masks: Tschandl, P. et al. Human-computer collaboration for skin cancer recognition.
Nat Med 26 (2020). doi:10.1038/s41591-020-0942-0
Source: Harvard Dataverse, doi:10.7910/DVN/DBW86T
"""


class Part(StrEnum):
    """What the data set consists of; the images come in two archives."""

    IMAGES_1 = "images-1"
    IMAGES_2 = "images-2"
    METADATA = "metadata"
    MASKS = "masks"


ALL_PARTS = tuple(Part)

# How each part is called in the list of files. They allow nothing but letters, digits, underscores
# and one suffix, so a name that matches in full is also safe as the name of a file here.
_NAMES = {
    Part.IMAGES_1: re.compile(r"HAM10000_images_part_?1\.zip", re.IGNORECASE),
    Part.IMAGES_2: re.compile(r"HAM10000_images_part_?2\.zip", re.IGNORECASE),
    Part.METADATA: re.compile(r"HAM10000_metadata(\.(tab|tsv|csv|txt))?", re.IGNORECASE),
    Part.MASKS: re.compile(r"HAM10000_segmentations?_lesion_\w+\.zip", re.IGNORECASE),
}
_PLACES = {
    Part.IMAGES_1: "HAM10000_images_part_1",
    Part.IMAGES_2: "HAM10000_images_part_2",
    Part.METADATA: "HAM10000_metadata.csv",
    Part.MASKS: "masks",
}


@dataclass(frozen=True)
class FetchedPart:
    """One part in its place.

    ``name`` is the published file's, ``path`` the folder or table made of it: ``files`` files,
    ``size_bytes`` in sum. ``verification`` is what of the published file was verified in this run.
    It is None where the part was unpacked by an earlier run: names and sizes were then compared
    with that run's record, and the contents were not read again.
    """

    part: Part
    name: str
    path: Path
    outcome: Outcome
    verification: Verification | None
    files: int
    size_bytes: int

    def __str__(self) -> str:
        verified = self.verification or "names and sizes as recorded then, contents not read again"
        return (
            f"{self.part}: {self.path} ({self.files:,} files, {self.size_bytes:,} bytes) "
            f"from {self.name}: {self.outcome}; {verified}"
        )


@dataclass(frozen=True)
class FetchReport:
    """What a fetch brought; ``version`` is the data set's, ``parts`` are in the order of Part."""

    directory: Path
    base_url: str
    version: str
    parts: tuple[FetchedPart, ...]
    licence_note: str = LICENCE_NOTE


def fetch_ham10000(
    directory: Path,
    *,
    base_url: str = HARVARD_DATAVERSE,
    parts: Collection[Part] = ALL_PARTS,
    keep_archives: bool = False,
    policy: RetryPolicy = PATIENT,
    progress: Progress = SILENT,
) -> FetchReport:
    """Download, verify and unpack HAM10000 into ``directory``.

    The result is ``HAM10000_images_part_1/*.jpg``, ``HAM10000_images_part_2/*.jpg``,
    ``HAM10000_metadata.csv`` and ``masks/*_segmentation.png``. File names, sizes and checksums come
    from the archive's own list at run time. Downloads lie in ``downloads/`` meanwhile: a fetch that
    was interrupted goes on from there when called again, and what is complete is not fetched twice.
    Nothing else that was there before is overwritten.

    Args:
        directory: made if absent.
        base_url: the Dataverse to ask, http(s): the official home or a mirror.
        parts: which parts to bring.
        keep_archives: keep the zip files in ``downloads/`` after unpacking.
        policy: patience with the server.
        progress: told of every transfer, verification and unpacking.

    Raises:
        DownloadError: the server cannot be reached, lacks a part, restricts it, or sends something
            else than it publishes.
        DataError: a place is taken by something else, an archive is damaged or unsafe, or the disk
            is full or not writable.
    """
    listing = read_listing(HAM10000_DOI, base_url=base_url, policy=policy)
    jobs = [_plan(part, listing, directory) for part in ALL_PARTS if part in parts]
    with explained_disk_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        run = _Run(directory / "downloads", keep_archives, policy, progress)
        run.require_room(jobs)
    return FetchReport(directory, base_url, listing.version, tuple(map(run.bring, jobs)))


@dataclass(frozen=True)
class _Job:
    """One part to bring: its published file, its place, and what an earlier run left there."""

    part: Part
    name: str
    source: Source
    path: Path
    extracted: Extraction | None = None

    @property
    def fingerprint(self) -> str:
        return f"{self.name} {self.source.checksum or self.source.size_bytes}"


def _plan(part: Part, listing: Listing, directory: Path) -> _Job:
    name, remote = _choose(part, listing)
    if remote.restricted:
        raise DownloadError(
            f"The archive gives {name} to authorised accounts only: ask for access on its page, "
            f"https://doi.org/{HAM10000_DOI.removeprefix('doi:')}, and download it with a browser."
        )
    job = _Job(part, name, remote.source, directory / _PLACES[part])
    if part is Part.METADATA:
        return job
    return replace(job, extracted=find_extraction(job.path, fingerprint=job.fingerprint))


def _choose(part: Part, listing: Listing) -> tuple[str, RemoteFile]:
    """Find the one published file that is this part, and the name it is known by."""
    found = []
    for file in listing.files:
        matching = [name for name in file.names if _NAMES[part].fullmatch(name)]
        found += [(matching[0], file)] if matching else []
    if len(found) == 1:
        return found[0]
    listed = ", ".join(sorted(file.names[0] for file in listing.files)) or "nothing"
    raise DownloadError(
        f"One file of {listing.persistent_id} should be its {part}, but {len(found)} can be by "
        f"their names; the list holds: {listed}. Leave this part out, or try another address."
    )


@dataclass(frozen=True)
class _Run:
    """What all parts of one fetch share."""

    downloads: Path
    keep_archives: bool
    policy: RetryPolicy
    progress: Progress

    def require_room(self, jobs: Sequence[_Job]) -> None:
        """Refuse early what would fail late; unpacked images take as much as packed ones."""
        # The table is too small to count, and is checked when its turn comes.
        missing = [job for job in jobs if job.part is not Part.METADATA and job.extracted is None]
        sizes = [job.source.size_bytes or 0 for job in missing]
        packed_bytes = sum(sizes) if self.keep_archives else max(sizes, default=0)
        places = [self.downloads / job.name for job in missing]
        here = [path for place in places for path in (place, part_path(place)) if path.exists()]
        here_bytes = sum(path.stat().st_size for path in here)
        needed_bytes = max(sum(sizes) + packed_bytes - here_bytes, 0)
        require_space(self.downloads.parent, needed_bytes, purpose="fetch and unpack HAM10000")

    def bring(self, job: _Job) -> FetchedPart:
        if job.part is Part.METADATA:
            return self._bring_table(job)
        if job.extracted is not None:
            return _fetched(job, job.extracted, Outcome.PRESENT, None)
        loaded = self._download(job)
        extracted = extract_archive(
            loaded.path, job.path, fingerprint=job.fingerprint, progress=self.progress
        )
        if not self.keep_archives:
            with explained_disk_errors(loaded.path):
                loaded.path.unlink()
        return _fetched(job, extracted, loaded.outcome, loaded.verification)

    def _bring_table(self, job: _Job) -> FetchedPart:
        # Its download stays: the published checksum can be compared with it again, and it is small.
        loaded = self._download(job)
        with explained_disk_errors(job.path):
            table = to_comma_separated(loaded.path.read_bytes())
            _write_once(job.path, table)
        written = Extraction(job.path, 1, len(table))
        return _fetched(job, written, loaded.outcome, loaded.verification)

    def _download(self, job: _Job) -> Download:
        path = self.downloads / job.name
        return download(job.source, path, policy=self.policy, progress=self.progress)


def _fetched(
    job: _Job, made: Extraction, outcome: Outcome, verification: Verification | None
) -> FetchedPart:
    return FetchedPart(
        job.part, job.name, made.folder, outcome, verification, made.files, made.size_bytes
    )


def _write_once(path: Path, content: bytes) -> None:
    """Write a file, unless it is there with the same content; refuse to overwrite any other."""
    if not path.exists():
        beside = path.with_name(f".{path.name}.unfinished")
        beside.write_bytes(content)
        beside.replace(path)
    elif path.read_bytes() != content:
        raise DataError(
            f"{path} exists and differs from the published table: move it away, then run the "
            "command again."
        )
