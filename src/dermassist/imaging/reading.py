"""Reading an image that may be anything: upright, 8-bit, RGB in the sRGB space, or refused."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dermassist.errors import ImageError
from dermassist.imaging.colour import PixelRangeError, from_array
from dermassist.imaging.decoding import (
    check_planes,
    check_whole,
    open_image,
    reduce_decoding,
    size_in_head,
    to_pixels,
    turns_sides,
)
from dermassist.imaging.silence import pillow_silenced

ImageSource = str | Path | bytes | NDArray[np.generic] | Image.Image


@dataclass(frozen=True)
class ReadingLimits:
    """What is refused before any pixel is decoded.

    Attributes:
        min_side_px: shortest side that still shows a lesion.
        max_pixels: width times height; larger files are decompression bombs or scans.
        max_bytes: size of the encoded file.
        max_aspect: long side divided by the short one; a longer strip shows no lesion, and its
            field would fill the memory.
    """

    min_side_px: int = 64
    max_pixels: int = 100_000_000
    max_bytes: int = 200_000_000
    max_aspect: float = 50.0


DEFAULT_LIMITS = ReadingLimits()


@dataclass(frozen=True, eq=False)
class RasterImage:
    """An image as it was read.

    Attributes:
        pixels: ``(H, W, 3)`` uint8 RGB, upright, read-only; decoded at a reduced scale where
            that was asked for.
        width: pixels of the upright original.
        height: pixels of the upright original.
        sha256: of the encoded file, or of the pixels where there was no file.
        name: the file's name, or ``"image"``.
        notes: what had to be decided while reading, as sentences.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    sha256: str
    name: str = "image"
    notes: tuple[str, ...] = field(default=())

    @property
    def pixel_aspect(self) -> float:
        """Width of one of ``pixels`` divided by its height: 1 but for a reduced size's rounding."""
        height, width, _ = self.pixels.shape
        return float((self.width * height) / (self.height * width))

    def aspect_before_squeezing(self, proportions: float) -> float:
        """Return the pixel aspect to answer with, if squares had these proportions, width / height.

        What is not square was not squeezed to a square: 1.
        """
        return proportions if self.width == self.height else 1.0


def read_image(
    source: ImageSource,
    *,
    name: str | None = None,
    reduce_to_px: int | None = None,
    limits: ReadingLimits = DEFAULT_LIMITS,
) -> RasterImage:
    """Read an image from a path, encoded bytes, an array or a Pillow image.

    Args:
        source: a path, the bytes of a file, an array ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)``
            (uint8, uint16, or float in 0..1; RGB order) or a Pillow image.
        name: what errors and results call it; by default its path and the file's name.
        reduce_to_px: a JPEG may be decoded at 1/2, 1/4 or 1/8 scale as long as its short side
            stays at least this long. Saves most of the decoding time.
        limits: what is refused.

    Returns:
        The upright RGB image. Only the first frame of a multi-frame file is read.

    Raises:
        ImageError: the image cannot be read or is refused; the text names it, says why and what
            to do.
    """
    if isinstance(source, np.ndarray):
        return _read_array(source, name=name or "array", limits=limits)
    if isinstance(source, Image.Image):
        return _read_pillow(source, name=name or "image", limits=limits)
    if isinstance(source, bytes | bytearray | memoryview):
        return _decode(bytes(source), name or "image", reduce_to_px, limits)
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        encoded = _read_bytes(path, limits)
        # Errors say where the file lies; results, which travel further, do not.
        raster = _decode(encoded, name or str(path), reduce_to_px, limits)
        return replace(raster, name=name or path.name)
    raise ImageError(
        f"{name or 'image'}: cannot be read from a {type(source).__name__}; "
        "give a path, the file's bytes, an array or a Pillow image"
    )


def declared_size(path: Path, limits: ReadingLimits = DEFAULT_LIMITS) -> tuple[int, int] | None:
    """Return the width and height that a file states in its head, without decoding it.

    Returns:
        ``None`` where reading the image will say what is wrong with it.
    """
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    # Opening a pipe may never end.
    if not stat.S_ISREG(status.st_mode) or status.st_size > limits.max_bytes:
        return None
    with pillow_silenced():
        return size_in_head(path)


def _read_bytes(path: Path, limits: ReadingLimits) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"{path}: is a folder, not an image; name a file in it")
        # Reading a pipe or a device may never end.
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{path}: is no ordinary file; save the image to one and name that")
        _check_bytes(status.st_size, str(path), limits)
        return path.read_bytes()
    except FileNotFoundError:
        if path.is_symlink():
            raise ImageError(f"{path}: is a link whose file is gone; mend the link") from None
        raise ImageError(f"{path}: no such file; check the name") from None
    except PermissionError:
        raise ImageError(f"{path}: no permission to read it; change its permissions") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: cannot be read ({error}); check the disk or the name") from error


def _check_bytes(count: int, name: str, limits: ReadingLimits) -> None:
    if count == 0:
        raise ImageError(f"{name}: the file is empty; export or copy it again")
    if count > limits.max_bytes:
        raise ImageError(
            f"{name}: {count:,} bytes exceed the limit of {limits.max_bytes:,}; save a smaller copy"
        )


def _decode(
    encoded: bytes, name: str, reduce_to_px: int | None, limits: ReadingLimits
) -> RasterImage:
    _check_bytes(len(encoded), name, limits)
    with pillow_silenced(), open_image(encoded, name) as image:
        _check_size(image.size, name, limits)
        check_planes(image, name)
        check_whole(image, encoded, name)
        declared = image.size
        reduced = reduce_to_px is not None and reduce_decoding(image, reduce_to_px)
        pixels, orientation, notes = to_pixels(image, name)
    height, width = pixels.shape[:2]
    if reduced:
        width, height = declared[::-1] if turns_sides(orientation) else declared
    return RasterImage(
        pixels, width, height, sha256=hashlib.sha256(encoded).hexdigest(), name=name, notes=notes
    )


def _check_size(size: tuple[int, int], name: str, limits: ReadingLimits) -> None:
    width, height = size
    stated = f"{name}: {width} x {height} pixels"
    if width * height > limits.max_pixels:
        raise ImageError(f"{stated} exceed the limit of {limits.max_pixels:,}; save a smaller copy")
    if min(size) < limits.min_side_px:
        raise ImageError(
            f"{stated} are too few; the shorter side must be at least {limits.min_side_px}, "
            "so give a larger original"
        )
    if max(size) > limits.max_aspect * min(size):
        raise ImageError(f"{stated} are a strip, not a photograph; crop it to the lesion")


def _read_pillow(image: Image.Image, *, name: str, limits: ReadingLimits) -> RasterImage:
    _check_size(image.size, name, limits)
    check_planes(image, name)
    with pillow_silenced():
        pixels, _, notes = to_pixels(image, name)
    height, width = pixels.shape[:2]
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    return RasterImage(pixels, width, height, sha256=digest, name=name, notes=notes)


def _read_array(array: NDArray[np.generic], *, name: str, limits: ReadingLimits) -> RasterImage:
    if array.ndim not in {2, 3} or (array.ndim == 3 and array.shape[-1] not in {1, 3, 4}):
        raise ImageError(
            f"{name}: an array of shape {array.shape} is no image; "
            "give (H, W), (H, W, 3) or (H, W, 4) in RGB order"
        )
    _check_size((array.shape[1], array.shape[0]), name, limits)
    try:
        image = from_array(array)
    except PixelRangeError as error:
        raise ImageError(f"{name}: {error}") from None
    return _read_pillow(image, name=name, limits=limits)
