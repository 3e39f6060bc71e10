"""Decoding one image file with Pillow: opened, reduced, upright, as 8-bit RGB."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from dermassist.errors import ImageError
from dermassist.imaging.colour import PixelRangeError, check_high_bytes, to_srgb

#: What to give, and the endings of such files. Errors and the uploaders of the app name these.
ADVISED = {
    "JPEG": ("jpg", "jpeg", "jfif", "jpe"),
    "PNG": ("png",),
    "TIFF": ("tif", "tiff"),
    "BMP": ("bmp",),
    "WebP": ("webp",),
    "GIF": ("gif",),
}
#: Pillow's names; its JPEG reader also opens MPO. PPM is read, though advised to nobody.
FORMATS = (*(name.upper() for name in ADVISED), "PPM")
FORMATS_TEXT = " or ".join(", ".join(ADVISED).rsplit(", ", 1))
#: Endings of the files that can be read.
IMAGE_SUFFIXES = frozenset(
    [f".{ending}" for endings in ADVISED.values() for ending in endings] + [".ppm"]
)
_JPEG = {"JPEG", "MPO"}
_END_OF_JPEG = b"\xff\xd9"
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
_BITS_TAG, _PHOTOMETRIC_TAG, _PLANES_TAG, _SEPARATE_PLANES = 258, 262, 284, 2
_WHITE_IS_ZERO = 0
#: Pillow's modes of grey TIFFs with more than 8 bits.
_DEEP_GREY_MODES = {"I;16", "F"}
#: What libjpeg makes of blocks whose data are lacking, coefficients of 0, as Pillow shows them:
#: grey, RGB, and (inverted) CMYK and YCCK.
_LACKING = {
    ((128, 128),),
    ((128, 128),) * 3,
    ((127, 127),) * 4,
    (*((128, 128),) * 3, (127, 127)),
}


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


def size_in_head(path: Path) -> tuple[int, int] | None:
    """Return the width and height that a file states, or ``None`` where it is no sound image."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.size
    except (*_DECODER_ERRORS, Image.DecompressionBombError):
        return None


def _damaged(name: str, error: Exception | str) -> ImageError:
    return ImageError(f"{name}: is damaged or cut short ({error}); export or copy it again")


def check_whole(image: ImageFile.ImageFile, encoded: bytes, name: str) -> None:
    """Look for what Pillow passes over: a PNG's checksums, and the end marker of a JPEG.

    Without the marker Pillow refuses most JPEGs, but zeros instead of the rest, as a broken-off
    copy leaves them, may happen to be data. Other formats have neither: zeros at the end of a
    BMP, WebP or plain TIFF are pixels.

    Args:
        image: as it was opened; no pixel decoded.
        encoded: its file.
        name: for messages.

    Raises:
        ImageError: a checksum is wrong, or the file has no end.
    """
    if image.format == "PNG":
        _check_sums(encoded, name)
    elif image.format in _JPEG and not ImageFile.LOAD_TRUNCATED_IMAGES:
        # Pillow stops where the pixels' data begin; before that a preview has an end of its own.
        begin = 0 if image.fp is None else image.fp.tell()
        if encoded.find(_END_OF_JPEG, begin) < 0:
            raise _damaged(name, "its data have no end")


def _check_sums(encoded: bytes, name: str) -> None:
    with open_image(encoded, name) as other:
        try:
            other.verify()
        except _DECODER_ERRORS as error:
            raise _damaged(name, error) from error


def check_planes(image: Image.Image, name: str) -> None:
    """Refuse the two kinds of TIFF whose pixels Pillow misreads without a word.

    Raises:
        ImageError: more than 8 bits, and the colours lie in separate planes or grey is not
            stated to begin at black.
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
    # Like Pillow, which takes a missing tag for this one, but inverts no more than 8 bits.
    white_is_zero = tags.get(_PHOTOMETRIC_TAG, _WHITE_IS_ZERO) == _WHITE_IS_ZERO
    if tags and image.mode in _DEEP_GREY_MODES and white_is_zero:
        raise ImageError(
            f"{name}: is a grey TIFF of more than 8 bits that does not say that 0 is black, and "
            "might be read as its negative; save it as PNG"
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
        _check_filling(image, name)
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


def _check_filling(image: Image.Image, name: str) -> None:
    """Refuse a decoded JPEG whose data end early, although its end is marked.

    libjpeg fills what is lacking with one grey, and Pillow does not pass its warning on. The last
    row of pixels shows it at every scale, before the image is turned.

    Not seen: an end within the last row of blocks; damage in the middle; a progressive file that
    ends after its first scan, which only lacks detail; arithmetic coding.
    """
    if image.format not in _JPEG:
        return
    last = image.crop((0, image.height - 1, image.width, image.height))
    if tuple(band.getextrema() for band in last.split()) in _LACKING:
        raise ImageError(
            f"{name}: is damaged: its data end early, and the rest is plain grey; export or copy "
            "it again, or save it as PNG if that grey belongs to it"
        )


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
