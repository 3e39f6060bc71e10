"""Decoded fields on disk, so that training never waits for JPEG decoding.

One flat memory-mapped array of uint8 pixels and an index. Every field is what ``to_field`` and
the artifact steps make of an image, exactly as in serving, so augmentation starts from the same
pixels that the runtime would see.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermassist.data.ham10000 import Record
from dermassist.errors import DataError
from dermassist.imaging import Preprocessing, apply_steps, read_image, to_field
from dermassist.storage import replacing, write_text

SCHEMA_VERSION = 4
PIXELS_NAME = "fields.uint8"
INDEX_NAME = "fields.json"


@dataclass(frozen=True, eq=False)
class FieldCache:
    """Decoded fields by image name.

    Attributes:
        pixels: flat uint8, memory-mapped, read-only.
        offsets: where each field starts.
        shapes: ``(height, width)`` of each field.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    offsets: dict[str, int]
    shapes: dict[str, tuple[int, int]]

    def __reduce__(self) -> tuple[Callable[..., FieldCache], tuple[object, ...]]:
        """Let processes that do not share memory map the file again instead of receiving it."""
        pixels = self.pixels
        if isinstance(pixels, np.memmap) and pixels.filename is not None:
            return _mapped, (Path(pixels.filename), self.offsets, self.shapes)
        return FieldCache, (pixels, self.offsets, self.shapes)

    def field(self, image_id: str) -> NDArray[np.uint8]:
        """Return the field ``(H, W, 3)`` uint8 of an image, without copying."""
        height, width = self.shapes[image_id]
        start = self.offsets[image_id]
        return self.pixels[start : start + height * width * 3].reshape(height, width, 3)


def cache_name(
    records: Sequence[Record], preprocessing: Preprocessing, *, pixel_aspect: float
) -> str:
    """Return a folder name that changes with anything that changes the pixels."""
    described = [
        SCHEMA_VERSION,
        preprocessing.size_px,
        list(preprocessing.steps),
        round(pixel_aspect, 6),
        [_fingerprint(record) for record in records],
    ]
    digest = hashlib.sha256(json.dumps(described).encode()).hexdigest()
    return f"fields-{preprocessing.size_px}-{digest[:16]}"


def open_cache(
    records: Sequence[Record],
    preprocessing: Preprocessing,
    directory: Path,
    *,
    pixel_aspect: float,
    progress: Callable[[int, int], None] | None = None,
) -> FieldCache:
    """Open the cache of these records, making it first where it does not exist.

    Args:
        records: all must have an image file.
        preprocessing: gives the field's size and the artifact steps.
        directory: caches live here, each in a folder of its own name.
        pixel_aspect: of the data set.
        progress: called with the number of decoded images and their total.

    Raises:
        DataError: there are no records, or one has no image.
        ImageError: an image cannot be read.
    """
    if not records:
        raise DataError("there are no images to decode; see  dermassist data check")
    place = directory / cache_name(records, preprocessing, pixel_aspect=pixel_aspect)
    found = _read(place)
    if found is not None:
        return found
    _build(records, preprocessing, place, pixel_aspect=pixel_aspect, progress=progress)
    made = _read(place)
    if made is None:
        raise DataError(f"{place}: was changed while it was written; run it again")
    return made


def _mapped(path: Path, offsets: dict[str, int], shapes: dict[str, tuple[int, int]]) -> FieldCache:
    return FieldCache(np.memmap(path, np.uint8, mode="r"), offsets, shapes)


def _read(place: Path) -> FieldCache | None:
    """Open a cache, or return ``None`` where it is missing or its pixels are incomplete."""
    try:
        index = json.loads((place / INDEX_NAME).read_text(encoding="utf-8"))
        pixels = np.memmap(place / PIXELS_NAME, np.uint8, mode="r")
    except (FileNotFoundError, ValueError):
        return None
    shapes = {image_id: (shape[0], shape[1]) for image_id, shape in index["shapes"].items()}
    if pixels.size != sum(height * width * 3 for height, width in shapes.values()):
        return None
    return FieldCache(pixels=pixels, offsets=index["offsets"], shapes=shapes)


def _build(
    records: Sequence[Record],
    preprocessing: Preprocessing,
    place: Path,
    *,
    pixel_aspect: float,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Write pixels, then the index: a cache without an index counts as absent."""
    offsets: dict[str, int] = {}
    shapes: dict[str, tuple[int, int]] = {}
    position = 0
    with replacing(place / PIXELS_NAME) as temporary, temporary.open("wb") as file:
        for done, record in enumerate(records, start=1):
            field = _decode(record, preprocessing, pixel_aspect=pixel_aspect)
            file.write(field.tobytes())
            offsets[record.image_id] = position
            shapes[record.image_id] = (field.shape[0], field.shape[1])
            position += field.size
            if progress is not None:
                progress(done, len(records))
    write_text(place / INDEX_NAME, json.dumps({"offsets": offsets, "shapes": shapes}))


def _decode(
    record: Record, preprocessing: Preprocessing, *, pixel_aspect: float
) -> NDArray[np.uint8]:
    image = read_image(_path(record), reduce_to_px=preprocessing.size_px)
    aspect = pixel_aspect * image.pixel_aspect
    field = to_field(image.pixels, preprocessing.size_px, pixel_aspect=aspect)
    return apply_steps(field, preprocessing.steps)


def _fingerprint(record: Record) -> list[str | int]:
    # Uncompressed images of one shape are all of one size, so the time of writing counts as well.
    status = _path(record).stat()
    return [record.image_id, status.st_size, status.st_mtime_ns]


def _path(record: Record) -> Path:
    if record.path is None:
        raise DataError(
            f"image {record.image_id} is missing; see  dermassist data check  for what is there"
        )
    return record.path
