"""Finding the images that files, folders and patterns name."""

from __future__ import annotations

import glob
import os
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dermassist.batch.table import row_name
from dermassist.errors import DataError
from dermassist.imaging.decoding import IMAGE_SUFFIXES

_TABLE_SUFFIXES = {".csv", ".tsv", ".json", ".xml", ".xls", ".xlsx", ".ods"}
_TEXT_SUFFIXES = {".txt", ".md", ".html", ".pdf", ".doc", ".docx", ".odt"}
#: What lies beside images and is plainly none, Windows' own files too: nobody misses it.
COMPANION_SUFFIXES = frozenset(_TABLE_SUFFIXES | _TEXT_SUFFIXES | {".ini", ".db"})
#: What is said of a folder that may not be looked into.
CLOSED = "{}: no permission to look into it; change its permissions"
_GLOB_CHARACTERS = frozenset("*?[")


@dataclass(frozen=True)
class Found:
    """What files, folders and patterns name.

    Attributes:
        images: to answer, in order.
        passed_over: files in folders and patterns whose ending is no image's; not what is hidden
            or has an ending of ``COMPANION_SUFFIXES``.
    """

    images: tuple[Path, ...]
    passed_over: tuple[Path, ...]


def find_images(patterns: Iterable[str]) -> Found:
    """Return the images that files, folders (searched through) and glob patterns name.

    A file that is named outright is taken whatever its ending; in folders and patterns only
    known image endings count, and hidden files and folders do not. Links to folders are followed.
    A file named twice is answered once, where it was named first. What cannot be answered below a
    folder stands among the images and is reported as such: a folder that may not be looked into,
    and a link with an image's name whose file is gone.

    Raises:
        DataError: a name is empty or matches nothing, a folder may not be read, or two files share
            the stem that names their row.
    """
    found: dict[Path, Path] = {}
    others: dict[Path, Path] = {}
    for matches in map(_matches, patterns):
        for known, paths in ((found, matches.images), (others, matches.passed_over)):
            for path in paths:
                known.setdefault(_place(path), path)
    images = tuple(found.values())
    _check_stems(images)
    # What is passed over in a folder may be named outright beside it.
    return Found(images, tuple(path for place, path in others.items() if place not in found))


def _place(path: Path) -> Path:
    # One file may be named in two ways, such as by itself and by a link to its folder.
    return Path(os.path.realpath(path.parent), path.name)


def _matches(pattern: str) -> Found:
    if not pattern:
        # To a path it would be the current folder; mostly it is a shell's variable that is not set.
        raise DataError("a name is empty; name images or folders, or  .  for the current folder")
    path = Path(pattern)
    # os.path, because pathlib's own tests raise for names that are too long.
    if os.path.isdir(path):  # noqa: PTH112
        # A search passes over what it may not look into.
        if not is_open(path):
            raise DataError(CLOSED.format(pattern))
        matches = _search(path)
    elif not os.path.lexists(path) and _GLOB_CHARACTERS & set(pattern):
        # pathlib's own glob takes no absolute patterns.
        named = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
        matches = _told_images(p for p in map(Path, named) if not _is_hidden(p, below=p.parent))
    else:
        # A file that is absent is reported with the unreadable ones, and stops nothing.
        return Found((path,), ())
    if not matches.images:
        raise DataError(
            f"{pattern}: holds no images; check the name, or name files of another ending than "
            f"{', '.join(sorted(IMAGE_SUFFIXES))} outright"
        )
    return matches


def _search(folder: Path) -> Found:
    """Return a folder's files, with the folders below it that may not be looked into as images.

    Each folder is searched once, however many links lead to it.
    """
    files: list[Path] = []
    closed: list[Path] = []
    seen: set[tuple[int, int]] = set()
    # Links have their turn last: what lies in the folder itself is named by its own place.
    waiting = deque([folder])
    while waiting:
        for place, folders, names in os.walk(
            waiting.popleft(), onerror=lambda error: closed.append(Path(error.filename))
        ):
            if _was_seen(place, seen):
                folders.clear()
                continue
            open_ones, shut = _told_apart(Path(place), folders)
            closed.extend(shut)
            # A walk passes over links by itself.
            folders[:] = open_ones
            waiting.extend(path for name in open_ones if (path := Path(place, name)).is_symlink())
            files += (Path(place, name) for name in names)
    found = _told_images(path for path in files if not _is_hidden(path, below=folder))
    return Found(tuple(sorted([*found.images, *closed])), tuple(sorted(found.passed_over)))


def _was_seen(folder: str, seen: set[tuple[int, int]]) -> bool:
    """Tell whether a folder was seen under any name, and remember it."""
    try:
        status = Path(folder).stat()
    except OSError:
        # It has vanished since it was listed, so no link can lead to it again.
        return False
    identity = (status.st_dev, status.st_ino)
    known = identity in seen
    seen.add(identity)
    return known


def _told_apart(place: Path, folders: Iterable[str]) -> tuple[list[str], list[Path]]:
    """Return which folders to look into, and those that may not be; hidden ones are neither."""
    shown = [name for name in folders if not name.startswith(".")]
    shut = [place / name for name in shown if not is_open(place / name)]
    return [name for name in shown if place / name not in shut], shut


def is_open(folder: Path) -> bool:
    """Tell whether a folder may be looked into."""
    return os.access(folder, os.R_OK | os.X_OK)


def _told_images(paths: Iterable[Path]) -> Found:
    """Tell images from other files by their endings; folders are neither."""
    images: list[Path] = []
    others: list[Path] = []
    for path in paths:
        ending = path.suffix.lower()
        # os.path, because pathlib's own test raises for a link into a closed folder.
        is_file = os.path.isfile(path)  # noqa: PTH113
        if ending in IMAGE_SUFFIXES and (is_file or _dangles(path)):
            images.append(path)
        elif ending not in IMAGE_SUFFIXES | COMPANION_SUFFIXES and is_file:
            others.append(path)
    return Found(tuple(images), tuple(others))


def _is_hidden(path: Path, *, below: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(below).parts)


def _dangles(path: Path) -> bool:
    """Tell whether a path is a link whose file is gone or out of reach."""
    # os.path, as above and for names that are too long.
    return os.path.islink(path) and not os.path.exists(path)  # noqa: PTH110, PTH114


def _check_stems(paths: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in filter(_gets_row, paths):
        other = seen.setdefault(row_name(path), path)
        if other is not path:
            raise DataError(
                f"{other} and {path} would share the row {row_name(path)!r}; "
                "predict them into different files"
            )


def _gets_row(path: Path) -> bool:
    # What the search found and nobody can answer must not keep others from being answered.
    return not os.path.isdir(path) and not _dangles(path)  # noqa: PTH112 - as above
