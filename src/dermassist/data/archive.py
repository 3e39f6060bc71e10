"""Safe extraction of a zip archive into one folder, which appears complete or not at all."""

from __future__ import annotations

import json
import shutil
import stat
import struct
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from dermassist.data.disk import explained_disk_errors, require_space
from dermassist.data.progress import SILENT, Progress
from dermassist.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MARKER = ".extracted.json"
_CHUNK_BYTES = 1 << 20
_KNOWN_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Everything that the zipfile module raises over bytes that are no sound archive.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError)


@dataclass(frozen=True)
class ArchiveLimits:
    """The most that an archive may hold: ``members``, and ``total_bytes`` when unpacked."""

    members: int = 20_000
    total_bytes: int = 8 * 2**30


_ROOMY = ArchiveLimits()


@dataclass(frozen=True)
class Extraction:
    """A folder with the files of an archive: how many, and their bytes in sum."""

    folder: Path
    files: int
    size_bytes: int


def extract_archive(
    archive: Path,
    folder: Path,
    *,
    fingerprint: str,
    limits: ArchiveLimits = _ROOMY,
    progress: Progress = SILENT,
) -> Extraction:
    """Unpack every file of a zip archive into ``folder``, without the archive's own folders.

    The files are written to a hidden folder beside the place, which is renamed when all of them
    passed their CRC. Hidden files and what macOS adds (``__MACOSX``) are left out.

    Args:
        archive: the zip file.
        folder: the place, which must not exist.
        fingerprint: what identifies the archive; :func:`find_extraction` asks for it later.
        limits: the most the archive may hold.
        progress: told of the unpacked bytes.

    Raises:
        DataError: the archive is damaged, encrypted, too large, or has links or unsafe names; the
            place is taken; or the disk is full or not writable. Nothing half-extracted is left.
    """
    with explained_disk_errors(folder):
        if folder.exists():
            raise DataError(f"{folder} exists already: move it away, then run the command again.")
        with _opened(archive) as unzipped, _unfinished(folder) as beside:
            members = _checked_members(unzipped, limits)
            sizes = {name: member.file_size for name, member in members.items()}
            require_space(beside, sum(sizes.values()), purpose=f"unpack {archive.name}")
            _write_members(unzipped, members, beside, progress)
            record = {"fingerprint": fingerprint, "sizes": sizes}
            (beside / _MARKER).write_text(json.dumps(record), encoding="utf-8")
            beside.rename(folder)
    return Extraction(folder, len(sizes), sum(sizes.values()))


def find_extraction(folder: Path, *, fingerprint: str) -> Extraction | None:
    """Return what an earlier extraction of the same archive left, or None if there is no folder.

    Names and sizes are compared with the record made then; the contents are not read again.

    Raises:
        DataError: the folder is not from an extraction, is from another archive, or is damaged.
    """
    if not folder.exists():
        return None
    with explained_disk_errors(folder):
        recorded, sizes = _read_marker(folder)
        changed = [
            name
            for name, size in sizes.items()
            if not (folder / name).is_file() or (folder / name).stat().st_size != size
        ]
    if recorded != fingerprint:
        raise DataError(
            f"{folder} was unpacked from another archive ({recorded}) than is published now "
            f"({fingerprint}): move it away, then run the command again."
        )
    if changed:
        raise DataError(
            f"{folder} is damaged: {len(changed)} of its {len(sizes)} files are missing or changed "
            f"(the first is {changed[0]}). Delete the folder, then run the command again."
        )
    return Extraction(folder, len(sizes), sum(sizes.values()))


def was_extracted(folder: Path) -> bool:
    """Tell whether :func:`extract_archive` made a folder."""
    return (folder / _MARKER).is_file()


def _read_marker(folder: Path) -> tuple[str, dict[str, int]]:
    try:
        record = json.loads((folder / _MARKER).read_text(encoding="utf-8"))
        return str(record["fingerprint"]), {str(k): int(v) for k, v in record["sizes"].items()}
    except (
        FileNotFoundError,
        NotADirectoryError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
    ) as error:
        raise DataError(
            f"{folder} exists but was not made by this command, so it is left alone: move it away, "
            "choose another directory, or leave this part out."
        ) from error


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive and name it in what goes wrong with its bytes."""
    try:
        with zipfile.ZipFile(archive) as unzipped:
            yield unzipped
    except _DAMAGE as error:
        raise DataError(
            f"{archive} is damaged or no zip archive ({error}): delete it, then run the command "
            "again."
        ) from error


@contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """Make a hidden folder beside ``folder`` that is gone afterwards, unless it was renamed."""
    # The name is fixed so that what a killed run left behind is found and removed by the next.
    beside = folder.with_name(f".{folder.name}.unfinished")
    if beside.exists():
        shutil.rmtree(beside)
    beside.mkdir(parents=True)
    try:
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _checked_members(
    unzipped: zipfile.ZipFile, limits: ArchiveLimits
) -> dict[str, zipfile.ZipInfo]:
    """Return the files to unpack by their final names, all checked before any is written."""
    members: dict[str, zipfile.ZipInfo] = {}
    taken: set[str] = set()
    for member in unzipped.infolist():
        path = PurePosixPath(member.filename)
        # ZipInfo.is_dir() fails on an empty name.
        if member.filename.endswith("/") or _is_hidden(path):
            continue
        _require_harmless(member, unzipped.filename)
        if path.name.casefold() in taken:
            raise DataError(f"{unzipped.filename} holds {path.name!r} twice and is not unpacked.")
        taken.add(path.name.casefold())
        members[path.name] = member
    total_bytes = sum(member.file_size for member in members.values())
    if not 0 < len(members) <= limits.members or total_bytes > limits.total_bytes:
        raise DataError(
            f"{unzipped.filename} holds {len(members):,} files of {total_bytes:,} bytes and is not "
            f"unpacked: 1 to {limits.members:,} files of together at most {limits.total_bytes:,} "
            "bytes are expected."
        )
    return members


def _is_hidden(path: PurePosixPath) -> bool:
    """Tell hidden files, and those that macOS adds, from those that pretend to be (``..``)."""
    return "__MACOSX" in path.parts or (path.name[:1] == "." and path.name[:2] != "..")


def _require_harmless(member: zipfile.ZipInfo, archive: str | None) -> None:
    """Refuse a name that leads elsewhere, a link or device, and a file that cannot be read."""
    name = member.orig_filename
    parts = PurePosixPath(name).parts
    if (
        not parts
        or name.startswith("/")
        or ".." in parts
        or any(c in name for c in "\\:")
        or not name.isprintable()
    ):
        reason = "its name leads out of the folder or is not portable"
    elif stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        reason = "it is a link or device, not a file"
    elif member.flag_bits & 0x1:
        reason = "it is encrypted"
    elif member.compress_type not in _KNOWN_COMPRESSIONS:
        reason = "its compression is not one of those known here (stored, deflated)"
    else:
        return
    raise DataError(f"{archive} is not unpacked because of its member {name!r}: {reason}.")


def _write_members(
    unzipped: zipfile.ZipFile,
    members: Mapping[str, zipfile.ZipInfo],
    folder: Path,
    progress: Progress,
) -> None:
    total_bytes = sum(member.file_size for member in members.values())
    progress.start(f"Unpacking {Path(unzipped.filename or '').name}", total_bytes=total_bytes)
    try:
        for name, member in members.items():
            try:
                _write_member(unzipped, member, folder / name, progress)
            except _DAMAGE as error:
                raise DataError(
                    f"{unzipped.filename} is damaged at its member {member.filename!r} ({error}): "
                    "delete the archive, then run the command again."
                ) from error
    finally:
        progress.finish()


def _write_member(
    unzipped: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, progress: Progress
) -> None:
    written = 0
    with unzipped.open(member) as packed, path.open("xb") as file:
        while chunk := packed.read(_CHUNK_BYTES):
            file.write(chunk)
            written += len(chunk)
            progress.advance(len(chunk))
    if written != member.file_size:
        raise EOFError(f"{written} of {member.file_size} bytes")
