"""Finding the images that files, folders and patterns name."""

from __future__ import annotations

import glob
import os
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
    known image endings count, and hidden files and folders do not. A file named twice is
    answered once, where it was named first. A folder below one that was named, which may not be
    looked into, stands among the images: it cannot be answered and is reported as such.

    Raises:
        DataError: a name matches nothing, a folder may not be read, or two files share the stem
            that names their row.
    """
    found: dict[str, Path] = {}
    for path in (path for pattern in patterns for path in _matches(pattern)):
        # One file may be named in two ways, such as by itself and by its folder.
        found.setdefault(os.path.abspath(path), path)  # noqa: PTH100 - pathlib keeps "..".
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
    """Return a folder's images, and the folders below it that may not be looked into."""
    images: list[Path] = []
    closed: list[Path] = []
    for place, folders, names in os.walk(
        folder, onerror=lambda error: closed.append(Path(error.filename))
    ):
        open_ones, shut = _told_apart(Path(place), folders)
        closed.extend(shut)
        folders[:] = open_ones
        images += (Path(place, name) for name in names)
    return sorted([*(path for path in images if _is_image(path, below=folder)), *closed])


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
    return not hidden and path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _check_stems(paths: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(row_name(path), path)
        # Folders get no row.
        if other is not path and not (os.path.isdir(other) or os.path.isdir(path)):  # noqa: PTH112
            raise DataError(
                f"{other} and {path} would share the row {row_name(path)!r}; "
                "predict them into different files"
            )
