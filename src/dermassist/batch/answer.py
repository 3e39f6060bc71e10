"""Answering files: batches side by side on every core, one bad file stops none."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from dermassist.batch.search import CLOSED, is_open
from dermassist.errors import ImageError
from dermassist.imaging import RasterImage, ReadingLimits, View, declared_size
from dermassist.imaging.geometry import check_pixel_aspect
from dermassist.inference.classifier import Classifier, check_batch_size
from dermassist.results import Prediction

#: Images in one forward pass; on one core larger batches were slower.
BATCH_SIZE = 2
#: Each holds a batch's activations, about 7 MB an image.
_MOST_WORKERS = 8
#: Of images that are decoded at the same time, as their files declare; one is allowed as many.
#: Decoding takes up to 12 bytes a pixel.
_MOST_PIXELS = ReadingLimits().max_pixels


@dataclass(frozen=True)
class FileOutcome:
    """What became of one file: a prediction, or the sentence that says why there is none.

    ``note`` says where the file was answered otherwise than was asked for.
    """

    path: Path
    prediction: Prediction | None
    error: str | None
    note: str | None = None


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

    Raises:
        ConfigError: ``batch_size`` is no whole number of at least 1, or ``pixel_aspect`` is not
            from 1/4 to 4.
    """
    check_batch_size(batch_size)
    check_pixel_aspect(pixel_aspect)
    # A generator of its own, because one begins only when its first answer is asked for.
    return _outcomes(paths, classifier, batch_size, pixel_aspect)


def _outcomes(
    paths: Sequence[Path], classifier: Classifier, batch_size: int, pixel_aspect: float
) -> Iterator[FileOutcome]:
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
    # os.path, because pathlib's own test raises for names that are too long.
    if os.path.isdir(path) and not is_open(path):  # noqa: PTH112
        return ImageError(CLOSED.format(path))
    try:
        with room.taken(_declared_pixels(path)):
            raster = classifier.read(path)
            aspect = raster.aspect_before_squeezing(pixel_aspect)
            view = classifier.view(raster, pixel_aspect=aspect)
    except ImageError as error:
        return error
    return _Seen(view, None if aspect == pixel_aspect else _left_alone(path, raster))


def _left_alone(path: Path, raster: RasterImage) -> str:
    return f"not stretched: {path} has {raster.width} x {raster.height} pixels, so it is no square"


def _declared_pixels(path: Path) -> int:
    width, height = declared_size(path) or (0, 0)
    return width * height
