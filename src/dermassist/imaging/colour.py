"""From any kind of pixels to 8-bit RGB in the sRGB space."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_SIXTEEN_BIT_MODES = {"I", "I;16", "I;16B", "I;16L", "I;16N"}
_ABOVE_TWELVE_BITS = (1 << 12) >> 8
_GREY_MODES = {"1", "L", "LA", "La"}
#: Pillow's modes of what the profiles of these colour spaces (ICC.1:2022, table 19) describe.
_PROFILE_MODES = {"RGB ": "RGB", "GRAY": "L"}
#: How far colours may be shifted by the rounding of profiles that mean sRGB.
_ROUNDING = 2


class PixelRangeError(ValueError):
    """Pixel values whose meaning is unknown; the text says which, and what to give instead."""


def to_srgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """Return a loaded Pillow image as 8-bit RGB in the sRGB space, transparency laid on white.

    Args:
        image: of any mode; an embedded colour profile is used, without one sRGB is assumed.
        notes: receives a sentence for everything that had to be decided.

    Raises:
        PixelRangeError: integers beyond 16 bits, floats outside 0 to 1, or no pixel that can be
            seen.
    """
    opaque, alpha = _split_alpha(_to_eight_bit(image))
    # Programs that know of no transparency may leave 0 there; laid on white, nothing would be left.
    if alpha is not None and alpha.getextrema() == (0, 0):
        raise PixelRangeError("every pixel is transparent; save it without transparency")
    # The profile of a LAB image describes LAB itself, from which Pillow converts.
    profile = None if image.mode == "LAB" else image.info.get("icc_profile")
    rgb = _match_profile(opaque, profile, notes)
    if alpha is None or alpha.getextrema() == (255, 255):
        return rgb
    notes.append("Transparent parts were laid on white.")
    return Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha)


def from_array(array: NDArray[np.generic]) -> Image.Image:
    """Return a Pillow image of an array ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)``, ``(H, W, 4)``.

    Args:
        array: uint8, uint16, or float in 0..1; RGB order, then alpha.

    Raises:
        PixelRangeError: other types, or floats outside 0..1.
    """
    # A third axis of length 1 is a grey image in another notation.
    squeezed = array.reshape(array.shape[:2]) if array.shape[2:] == (1,) else array
    if squeezed.dtype == np.uint8:
        values = squeezed.astype(np.uint8, copy=False)
    elif squeezed.dtype.type is np.uint16:
        values = _high_bytes(squeezed.astype(np.uint16, copy=False))
    elif np.issubdtype(squeezed.dtype, np.floating):
        values = _unit_float_to_eight_bit(squeezed.astype(np.float64))
    else:
        raise PixelRangeError(
            f"pixels of type {squeezed.dtype}; give uint8, uint16 or float in 0..1"
        )
    return Image.fromarray(np.ascontiguousarray(values))


def _to_eight_bit(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT_MODES:
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise PixelRangeError("integer pixels beyond 16 bits; save it with 8 bits per channel")
        return from_array(values.astype(np.uint16))
    if image.mode == "F":
        return from_array(np.asarray(image))
    return image


def _high_bytes(values: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Reduce 16 bits to 8 exactly as Pillow's decoders do, so that array and file agree.

    Raises:
        PixelRangeError: no value needs more than 12 bits.
    """
    high = (values >> 8).astype(np.uint8)
    check_high_bytes(int(high.max(initial=0)))
    return high


def check_high_bytes(highest: int) -> None:
    """Refuse what cameras of 10 or 12 bits write into 16 bits: read as 16, it is nearly black.

    Raises:
        PixelRangeError: the highest of the high bytes is what 12 bits leave there, or less.
    """
    if highest < _ABOVE_TWELVE_BITS:
        raise PixelRangeError(
            "16-bit pixels that use 12 bits or fewer would be read as nearly black; scale them to "
            "0..65535, or save the image with 8 bits per channel"
        )


def _unit_float_to_eight_bit(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    if not np.isfinite(values).all() or values.min() < 0.0 or values.max() > 1.0:
        raise PixelRangeError("float pixels outside 0..1; scale them, or give uint8")
    return np.rint(values * 255.0).astype(np.uint8)


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the image as L, RGB or CMYK, and its transparency as L."""
    opaque_mode = "L" if image.mode in _GREY_MODES else "RGB"
    if image.has_transparency_data:
        with_alpha = image.convert("LA" if opaque_mode == "L" else "RGBA")
        return with_alpha.convert(opaque_mode), with_alpha.getchannel("A")
    if image.mode in {"L", "RGB", "CMYK"}:
        return image, None
    return image.convert(opaque_mode), None


def _match_profile(
    image: Image.Image, profile_bytes: bytes | None, notes: list[str]
) -> Image.Image:
    """Convert from an embedded colour profile, as phones, scanners and printers write them."""
    if not profile_bytes:
        return _to_rgb(image)
    try:
        # Converting sRGB to sRGB would cost time and shift colours by rounding.
        if _means_srgb(profile_bytes):
            return _to_rgb(image)
        profile = ImageCms.ImageCmsProfile(io.BytesIO(profile_bytes))
        converted = _from_profile(image, profile)
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        notes.append("The embedded colour profile cannot be used; the image was read as sRGB.")
        return _to_rgb(image)
    notes.append("Colours were converted from the embedded profile to sRGB.")
    return converted


@lru_cache(maxsize=8)
def _means_srgb(profile_bytes: bytes) -> bool:
    """Tell whether a profile leaves colours as they are, whatever it is called.

    A file of linear values may be named after sRGB as well.
    """
    profile = ImageCms.ImageCmsProfile(io.BytesIO(profile_bytes))
    mode = _PROFILE_MODES.get(profile.profile.xcolor_space)
    if mode is None:
        return False
    levels = np.mgrid[0:256:17, 0:256:17, 0:256:17].astype(np.uint8)
    before = Image.fromarray(levels.reshape(3, 1, -1).transpose(1, 2, 0).copy()).convert(mode)
    after = np.asarray(_from_profile(before, profile), int)
    return bool(np.abs(after - np.asarray(_to_rgb(before))).max() <= _ROUNDING)


def _from_profile(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    srgb = ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(profile, srgb, image.mode, "RGB")
    converted = ImageCms.applyTransform(image, transform)
    # Pillow's types allow for a conversion in place, which this is not.
    return image if converted is None else converted


def _to_rgb(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")
