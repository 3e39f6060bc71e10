"""Answering many files: batches side by side on every core, one bad file stops none."""

from __future__ import annotations

import csv
import glob
import io
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from dermassist.diagnosis import ISIC_2018_ORDER, Diagnosis
from dermassist.errors import DataError, ImageError
from dermassist.imaging import View
from dermassist.inference.classifier import Classifier
from dermassist.results import Prediction

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm"}
)
#: Images in one forward pass; on one core larger batches were slower.
BATCH_SIZE = 2
#: Each holds a batch's activations, about 7 MB an image.
_MOST_WORKERS = 8
_GLOB_CHARACTERS = frozenset("*?[")


@dataclass(frozen=True)
class FileOutcome:
    """What became of one file: a prediction, or the sentence that says why there is none."""

    path: Path
    prediction: Prediction | None
    error: str | None


def find_images(patterns: Iterable[str]) -> tuple[Path, ...]:
    """Return the images that files, folders (searched through) and glob patterns name.

    A file that is named outright is taken whatever its ending; in folders and patterns only
    known image endings count, and hidden files and folders do not. A file named twice is
    answered once, where it was named first.

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

    Args:
        paths: of images.
        classifier: a loaded model; ``threads=1`` is fastest here, because whole batches side by
            side keep the cores busier than one forward pass that they share.
        batch_size: images in one forward pass.
        pixel_aspect: width of a pixel divided by its height, for all of them.
    """
    # Two at least: while one reads a slow disk the other answers.
    workers = min(max(os.cpu_count() or 1, 2), _MOST_WORKERS)
    answer = partial(_answer, classifier=classifier, pixel_aspect=pixel_aspect)
    batches = (paths[start : start + batch_size] for start in range(0, len(paths), batch_size))
    with ThreadPoolExecutor(workers) as pool:
        # Two batches a worker, so that none waits; no more lie in memory at a time.
        ahead = deque(pool.submit(answer, batch) for batch in islice(batches, 2 * workers))
        while ahead:
            answered = ahead.popleft().result()
            ahead.extend(pool.submit(answer, batch) for batch in islice(batches, 1))
            yield from answered


def render_isic_csv(outcomes: Iterable[FileOutcome]) -> str:
    """Return the ISIC 2018 challenge form: ``image`` is the file's stem, then probabilities."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", *(code.upper() for code in ISIC_2018_ORDER)])
    for outcome in outcomes:
        if outcome.prediction is not None:
            writer.writerow([outcome.path.stem, *_isic_values(outcome.prediction)])
    return text.getvalue()


def _isic_values(prediction: Prediction) -> list[str]:
    ordered = (prediction.probability(Diagnosis.from_code(code)) for code in ISIC_2018_ORDER)
    return [f"{probability:.6f}" for probability in ordered]


def _answer(
    paths: Sequence[Path], *, classifier: Classifier, pixel_aspect: float
) -> list[FileOutcome]:
    views = [_view(path, classifier, pixel_aspect) for path in paths]
    readable = [view.pixels for view in views if isinstance(view, View)]
    logits = iter(classifier.run(np.stack(readable))[0] if readable else ())
    return [
        FileOutcome(path, None, str(view))
        if isinstance(view, ImageError)
        else FileOutcome(path, classifier.to_prediction(next(logits)), None)
        for path, view in zip(paths, views, strict=True)
    ]


def _view(path: Path, classifier: Classifier, pixel_aspect: float) -> View | ImageError:
    try:
        return classifier.view(path, pixel_aspect=pixel_aspect)
    except ImageError as error:
        return error


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern)
    # os.path, because pathlib's own tests raise for names that are too long.
    if os.path.isdir(path):  # noqa: PTH112
        # A search passes over what it may not look into.
        if not os.access(path, os.R_OK | os.X_OK):
            raise DataError(f"{pattern}: no permission to look into it; change its permissions")
        matches = [p for p in sorted(path.rglob("*")) if _is_image(p, below=path)]
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


def _is_image(path: Path, *, below: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(below).parts)
    return not hidden and path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _check_stems(paths: Sequence[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(path.stem, path)
        if other is not path:
            raise DataError(
                f"{other} and {path} would share the row {path.stem!r}; "
                "predict them into different files"
            )
