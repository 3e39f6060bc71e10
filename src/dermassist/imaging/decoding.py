"""Decoding one image file with Pillow: opened, reduced, upright, as 8-bit RGB."""

from __future__ import annotations

import io
import struct
import zlib
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from dermassist.errors import ImageError
from dermassist.imaging.colour import PixelRangeError, check_high_bytes, to_srgb

#: Pillow's names; its JPEG reader also opens MPO.
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", "PPM")
FORMATS_TEXT = "JPEG, PNG, TIFF, BMP, WebP or GIF"
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"II*\0", b"MM\0*", b"BM", b"RIFF", b"GIF8")
#: Pillow's decoders are not uniform about what they raise on damaged files.
_DECODER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
_ORIENTATION_TAG = 0x0112
#: By EXIF orientation, what sets the image upright (EXIF 2.32, tag 274).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {5, 6, 7, 8}
#: In Pillow's names of the layouts that its decoders read: ``RGB;16B``, ``RGBA;16N``.
_DEEP = ";16"
#: Said of every image while another part of the process has set that switch of Pillow's.
_DAMAGE_UNSEEN = (
    "Pillow was told to fill in what damaged files lack (LOAD_TRUNCATED_IMAGES), so whether this "
    "one is whole was not seen."
)
_BITS_TAG, _PLANES_TAG, _SEPARATE_PLANES = 258, 284, 2


def open_image(encoded: bytes, name: str) -> ImageFile.ImageFile:
    """Open an encoded image without decoding its pixels.

    Raises:
        ImageError: it is no image, damaged, or of far too many pixels.
    """
    try:
        return Image.open(io.BytesIO(encoded), formats=FORMATS)
    except UnidentifiedImageError:
        if encoded.startswith(_SIGNATURES):
            raise ImageError(
                f"{name}: is damaged or of a kind that cannot be read; save it as PNG or JPEG"
            ) from None
        raise ImageError(f"{name}: is not an image; give a {FORMATS_TEXT} file") from None
    except Image.DecompressionBombError:
        raise ImageError(f"{name}: has too many pixels; save a smaller copy") from None
    except _DECODER_ERRORS as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> ImageError:
    return ImageError(f"{name}: is damaged or cut short ({error}); export or copy it again")


def check_planes(image: Image.Image, name: str) -> None:
    """Refuse the one kind of TIFF whose pixels Pillow misreads without a word.

    Raises:
        ImageError: the colours lie in separate planes of more than 8 bits.
    """
    tags = getattr(image, "tag_v2", {})
    # A single number instead of a tuple means a single plane, which is read correctly.
    bits = tags.get(_BITS_TAG)
    deep = isinstance(bits, tuple) and max(bits) > 8
    if deep and tags.get(_PLANES_TAG) == _SEPARATE_PLANES:
        raise ImageError(
            f"{name}: is a TIFF with separate colour planes of more than 8 bits, which "
            "cannot be read; save it as PNG"
        )


def reduce_decoding(image: ImageFile.ImageFile, reduce_to_px: int) -> bool:
    """Let the JPEG decoder skip detail that the short side does not need.

    Returns:
        Whether it will; other decoders cannot.
    """
    width, height = image.size
    short = min(width, height)
    if reduce_to_px >= short:
        return False
    wanted = (width * reduce_to_px // short, height * reduce_to_px // short)
    image.draft(image.mode, wanted)
    return image.size != (width, height)


def to_pixels(image: Image.Image, name: str) -> tuple[NDArray[np.uint8], int, tuple[str, ...]]:
    """Decode one frame: a file's first, or the one that a Pillow image was turned to.

    Returns:
        Read-only upright pixels ``(H, W, 3)`` uint8, the EXIF orientation they had, and what had
        to be decided, as sentences.

    Raises:
        ImageError: the file is damaged, or its pixel values have no known meaning.
    """
    notes: list[str] = []
    deep = any(_DEEP in str(tile[-1]) for tile in getattr(image, "tile", ()))
    try:
        image.load()
        # Of 16-bit colours Pillow keeps the high bytes; grey ones are reduced with their colours.
        if deep and image.mode in {"RGB", "RGBA"}:
            bands = cast("tuple[tuple[int, int], ...]", image.getextrema())
            check_high_bytes(max(high for _, high in bands[:3]))
        if getattr(image, "is_animated", False):
            notes.append(_frame_note(image))
        if ImageFile.LOAD_TRUNCATED_IMAGES:
            notes.append(_DAMAGE_UNSEEN)
        orientation = _orientation(image)
        rgb = to_srgb(image, notes)
        upright = rgb.transpose(_TURNS[orientation]) if orientation in _TURNS else rgb
    except PixelRangeError as error:
        raise ImageError(f"{name}: {error}") from None
    except (*_DECODER_ERRORS, Image.DecompressionBombError) as error:
        raise _damaged(name, error) from error
    pixels = np.array(upright, np.uint8)
    pixels.setflags(write=False)
    return pixels, orientation, tuple(notes)


def _frame_note(image: Image.Image) -> str:
    # A Pillow image may have been turned to another frame before it came here.
    frame = image.tell()
    read = "the first" if frame == 0 else f"frame {frame + 1}"
    return f"The file holds several frames; only {read} was read."


def turns_sides(orientation: int) -> bool:
    """Tell whether an EXIF orientation swaps width and height."""
    return orientation in _SIDEWAYS


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; damaged metadata counts as none.

    Asked only after loading, because Pillow turns TIFF images itself and then forgets the tag.
    """
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1
