"""Answering many files: batches side by side on every core, one bad file stops none."""

from __future__ import annotations

import csv
import glob
import io
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from dermassist.diagnosis import ISIC_2018_ORDER, Diagnosis
from dermassist.errors import ConfigError, DataError, ImageError
from dermassist.imaging import RasterImage, ReadingLimits, View
from dermassist.imaging.decoding import open_image
from dermassist.imaging.silence import pillow_silenced
from dermassist.inference.classifier import Classifier
from dermassist.results import Prediction

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm"}
)
#: Images in one forward pass; on one core larger batches were slower.
BATCH_SIZE = 2
#: Each holds a batch's activations, about 7 MB an image.
_MOST_WORKERS = 8
#: Of images that are decoded at the same time, as their files declare; one is allowed as many.
#: Decoding takes up to 12 bytes a pixel.
_MOST_PIXELS = ReadingLimits().max_pixels
_GLOB_CHARACTERS = frozenset("*?[")
_HEADER = ("image", *(code.upper() for code in ISIC_2018_ORDER))
_CLOSED = "{}: no permission to look into it; change its permissions"
#: What makes a cell a formula in a spreadsheet (OWASP, "CSV Injection"), full-width forms too.
_FORMULA_STARTS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


@dataclass(frozen=True)
class FileOutcome:
    """What became of one file: a prediction, or the sentence that says why there is none.

    ``note`` says where the file was answered otherwise than was asked for.
    """

    path: Path
    prediction: Prediction | None
    error: str | None
    note: str | None = None


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


def predict_files(
    paths: Sequence[Path],
    classifier: Classifier,
    *,
    batch_size: int = BATCH_SIZE,
    pixel_aspect: float = 1.0,
) -> Iterator[FileOutcome]:
    """Answer files in order; every core reads and answers batches of its own.

    Whatever goes wrong with one file is its own outcome and stops none.

    Args:
        paths: of images.
        classifier: a loaded model; ``threads=1`` is fastest here, because whole batches side by
            side keep the cores busier than one forward pass that they share.
        batch_size: images in one forward pass.
        pixel_aspect: width of a pixel divided by its height, for those that are square: others
            were not squeezed to squares.
    """
    # Two at least: while one reads a slow disk the other answers.
    workers = min(max(os.cpu_count() or 1, 2), _MOST_WORKERS)
    room = _Room(_MOST_PIXELS)
    see = partial(_see, classifier=classifier, pixel_aspect=pixel_aspect, room=room)
    answer = partial(_answer, classifier=classifier, see=see)
    batches = (paths[start : start + batch_size] for start in range(0, len(paths), batch_size))
    with ThreadPoolExecutor(workers) as pool:
        # Two batches a worker, so that none waits; no more lie in memory at a time.
        ahead = deque(pool.submit(answer, batch) for batch in islice(batches, 2 * workers))
        try:
            while ahead:
                answered = ahead.popleft().result()
                ahead.extend(pool.submit(answer, batch) for batch in islice(batches, 1))
                yield from answered
        finally:
            # Who interrupts must not wait for batches that nobody will take.
            pool.shutdown(cancel_futures=True)


def render_isic_csv(outcomes: Iterable[FileOutcome]) -> str:
    """Return the ISIC 2018 challenge form: ``row_name`` of the file, then probabilities."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    for outcome in outcomes:
        if outcome.prediction is not None:
            writer.writerow([row_name(outcome.path), *_isic_values(outcome.prediction)])
    return text.getvalue()


def row_name(path: Path) -> str:
    """Return what names a file's row: its stem, made inert where a spreadsheet would run it.

    An apostrophe before it makes a formula a text.
    """
    return f"'{path.stem}" if path.stem.startswith(_FORMULA_STARTS) else path.stem


def check_table_place(path: Path, images: Iterable[Path]) -> None:
    """Refuse to write a table where that would destroy something else than an earlier table.

    Raises:
        ConfigError: one of the images stands there, or a file that does not begin as such a table.
        OSError: the file cannot be read.
    """
    # The shell may have put an image's name behind the option.
    remedy = "name another file for the table"
    place = os.path.realpath(path)
    if any(os.path.realpath(image) == place for image in images):
        raise ConfigError(f"{path}: is one of the images; {remedy}")
    if not path.is_file():
        return
    wanted = ",".join(_HEADER).encode()
    with path.open("rb") as file:
        start = file.read(len(wanted))
    if start not in {b"", wanted}:
        raise ConfigError(f"{path}: exists and is no table of answers; {remedy}, or remove it")


def _isic_values(prediction: Prediction) -> list[str]:
    ordered = (prediction.probability(Diagnosis.from_code(code)) for code in ISIC_2018_ORDER)
    return [f"{probability:.6f}" for probability in ordered]


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the network will see of a file, and what there is to say of it."""

    view: View
    note: str | None


class _Room:
    """Lets work begin only while all that goes on fits into a number of pixels."""

    def __init__(self, pixels: int) -> None:
        self._pixels = self._free = pixels
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        """Wait until there is room for so many; more than there are takes all."""
        wanted = min(pixels, self._pixels)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()


def _answer(
    paths: Sequence[Path], *, classifier: Classifier, see: Callable[[Path], _Seen | ImageError]
) -> list[FileOutcome]:
    try:
        return _answer_together(paths, classifier, see)
    except Exception as error:  # noqa: BLE001 - thousands of answers must not be lost for one file
        if len(paths) == 1:
            reason = f"{paths[0]}: unexpected {type(error).__name__}: {error}"
            return [FileOutcome(paths[0], None, reason)]
    alone = (_answer([path], classifier=classifier, see=see) for path in paths)
    return [outcome for (outcome,) in alone]


def _answer_together(
    paths: Sequence[Path], classifier: Classifier, see: Callable[[Path], _Seen | ImageError]
) -> list[FileOutcome]:
    seen = [see(path) for path in paths]
    readable = [one.view.pixels for one in seen if isinstance(one, _Seen)]
    logits = iter(classifier.run(np.stack(readable))[0] if readable else ())
    return [
        FileOutcome(path, classifier.to_prediction(next(logits)), None, one.note)
        if isinstance(one, _Seen)
        else FileOutcome(path, None, str(one))
        for path, one in zip(paths, seen, strict=True)
    ]


def _see(
    path: Path, *, classifier: Classifier, pixel_aspect: float, room: _Room
) -> _Seen | ImageError:
    if path.is_dir() and not _is_open(path):
        return ImageError(_CLOSED.format(path))
    try:
        with room.taken(_declared_pixels(path)):
            raster = classifier.read(path)
            square = raster.width == raster.height
            view = classifier.view(raster, pixel_aspect=pixel_aspect if square else 1.0)
    except ImageError as error:
        return error
    return _Seen(view, None if square or pixel_aspect == 1.0 else _left_alone(path, raster))


def _left_alone(path: Path, raster: RasterImage) -> str:
    return f"not stretched: {path} has {raster.width} x {raster.height} pixels, so it is no square"


def _declared_pixels(path: Path) -> int:
    """Return how many pixels a file says it has; none where reading it will say what is wrong."""
    try:
        # Reading a pipe may never end.
        if not path.is_file() or path.stat().st_size > ReadingLimits().max_bytes:
            return 0
        with pillow_silenced(), open_image(path.read_bytes(), str(path)) as image:
            return image.width * image.height
    except (ImageError, OSError, ValueError):
        return 0


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern)
    # os.path, because pathlib's own tests raise for names that are too long.
    if os.path.isdir(path):  # noqa: PTH112
        # A search passes over what it may not look into.
        if not _is_open(path):
            raise DataError(_CLOSED.format(pattern))
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
    shut = [place / name for name in shown if not _is_open(place / name)]
    return [name for name in shown if place / name not in shut], shut


def _is_open(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.X_OK)


def _is_image(path: Path, *, below: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(below).parts)
    return not hidden and path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _check_stems(paths: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(row_name(path), path)
        # Folders get no row.
        if other is not path and not (other.is_dir() or path.is_dir()):
            raise DataError(
                f"{other} and {path} would share the row {row_name(path)!r}; "
                "predict them into different files"
            )
