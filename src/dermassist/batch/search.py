"""Finding the images that files, folders and patterns name."""

from __future__ import annotations

import glob
import os
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

from dermassist.batch.table import row_name
from dermassist.errors import DataError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm"}
)
#: What is said of a folder that may not be looked into.
CLOSED = "{}: no permission to look into it; change its permissions"
_GLOB_CHARACTERS = frozenset("*?[")


def find_images(patterns: Iterable[str]) -> tuple[Path, ...]:
    """Return the images that files, folders (searched through) and glob patterns name.

    A file that is named outright is taken whatever its ending; in folders and patterns only
    known image endings count, and hidden files and folders do not. Links to folders are followed.
    A file named twice is answered once, where it was named first. What cannot be answered below a
    folder stands among the images and is reported as such: a folder that may not be looked into,
    and a link with an image's name whose file is gone.

    Raises:
        DataError: a name matches nothing, a folder may not be read, or two files share the stem
            that names their row.
    """
    found: dict[Path, Path] = {}
    for path in (path for pattern in patterns for path in _matches(pattern)):
        # One file may be named in two ways, such as by itself and by a link to its folder.
        found.setdefault(Path(os.path.realpath(path.parent), path.name), path)
    paths = tuple(found.values())
    _check_stems(paths)
    return paths


def _matches(pattern: str) -> list[Path]:
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
        matches = [p for p in map(Path, named) if _is_image(p, below=p.parent)]
    else:
        # A file that is absent is reported with the unreadable ones, and stops nothing.
        return [path]
    if not matches:
        raise DataError(
            f"{pattern}: holds no images; check the name, or name files of another ending than "
            f"{', '.join(sorted(IMAGE_SUFFIXES))} outright"
        )
    return matches


def _search(folder: Path) -> list[Path]:
    """Return a folder's images, and the folders below it that may not be looked into.

    Each folder is searched once, however many links lead to it.
    """
    images: list[Path] = []
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
            images += (Path(place, name) for name in names)
    return sorted([*(path for path in images if _is_image(path, below=folder)), *closed])


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


def _is_image(path: Path, *, below: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(below).parts)
    if hidden or path.suffix.lower() not in IMAGE_SUFFIXES:
        return False
    # os.path, because pathlib's own test raises for a link into a closed folder.
    return os.path.isfile(path) or _dangles(path)  # noqa: PTH113


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
