from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import struct
import threading
import warnings
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFile

from dermassist.errors import ImageError
from dermassist.imaging import RasterImage, ReadingLimits, declared_size, read_image
from dermassist.inference.classifier import Classifier
from dermassist.sample import draw_lesion

from .encoding import (
    display_p3_profile,
    encode,
    grey_tiff,
    linear_profile,
    orientation_tag,
    p3_to_srgb,
    sixteen_bit_tiff,
    srgb_profile,
    stored_for_orientation,
    to_linear,
)

PICTURE = draw_lesion(np.random.default_rng(3), width=96, height=72)
#: The same at the size of HAM10000's originals.
LARGE = np.asarray(cv2.resize(PICTURE, (600, 450), interpolation=cv2.INTER_CUBIC), np.uint8)
WIDE = PICTURE.astype(np.uint16) * 257
RGB = Image.fromarray(PICTURE)
GREY = RGB.convert("L")
GREY_PIXELS = np.dstack([np.asarray(GREY)] * 3)


def with_opaque_alpha() -> Image.Image:
    image = RGB.copy()
    image.putalpha(255)
    return image


def cv2_encode(pixels: NDArray[Any], suffix: str) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


LOSSLESS = {
    "png": encode(RGB, "PNG"),
    "interlaced-alpha-png": encode(with_opaque_alpha(), "PNG"),
    "png-16": cv2_encode(WIDE[..., ::-1], ".png"),
    "png-16-alpha": cv2_encode(
        np.dstack([WIDE[..., ::-1], np.full_like(WIDE[..., 0], 65535)]), ".png"
    ),
    "tiff": encode(RGB, "TIFF"),
    "tiff-lzw": encode(RGB, "TIFF", compression="tiff_lzw"),
    "tiff-16": sixteen_bit_tiff(WIDE),
    "tiff-16-lzw": cv2_encode(WIDE[..., ::-1], ".tiff"),
    "tiff-frames": encode(RGB, "TIFF", save_all=True, append_images=[RGB.rotate(180)]),
    "bmp": encode(RGB, "BMP"),
    "ppm": encode(RGB, "PPM"),
    "webp": encode(RGB, "WEBP", lossless=True),
    "apng": encode(RGB, "PNG", save_all=True, append_images=[RGB.rotate(180)]),
}
ARRAYS: dict[str, Any] = {
    "uint8": PICTURE,
    "mirrored-strides": np.ascontiguousarray(PICTURE[:, ::-1])[:, ::-1],
    "uint16": WIDE,
    "big-endian": WIDE.astype(">u2"),
    "float32": (PICTURE / 255.0).astype(np.float32),
    "float64": PICTURE / 255.0,
    "opaque-alpha": np.dstack([PICTURE, np.full_like(PICTURE[..., 0], 255)]),
    "pillow": RGB,
    "bytearray": bytearray(LOSSLESS["png"]),
    "memoryview": memoryview(LOSSLESS["bmp"]),
}


# The same picture gives the same answer.


@pytest.mark.parametrize("kind", LOSSLESS)
def test_every_lossless_container_gives_the_same_pixels_and_answer(
    kind: str, classifier: Classifier
) -> None:
    raster = read_image(LOSSLESS[kind])

    np.testing.assert_array_equal(raster.pixels, PICTURE)
    assert (raster.width, raster.height) == (96, 72)
    assert classifier.predict(LOSSLESS[kind]) == classifier.predict(PICTURE)


@pytest.mark.parametrize("kind", ARRAYS)
def test_every_object_gives_the_same_pixels_and_answer(kind: str, classifier: Classifier) -> None:
    np.testing.assert_array_equal(read_image(ARRAYS[kind]).pixels, PICTURE)
    assert classifier.predict(ARRAYS[kind]) == classifier.predict(PICTURE)


def test_a_path_a_string_and_bytes_are_the_same_image(tmp_path: Path) -> None:
    path = tmp_path / "lesion.png"
    path.write_bytes(LOSSLESS["png"])
    from_path, from_text, from_bytes = (
        read_image(path),
        read_image(str(path)),
        read_image(LOSSLESS["png"]),
    )

    for raster in (from_path, from_text, from_bytes):
        np.testing.assert_array_equal(raster.pixels, PICTURE)
        assert raster.sha256 == hashlib.sha256(LOSSLESS["png"]).hexdigest()
    assert (from_path.name, from_text.name, from_bytes.name) == (
        "lesion.png",
        "lesion.png",
        "image",
    )
    assert read_image(path, name="another").name == "another"


@pytest.mark.parametrize("quality", [90, 95, 100])
def test_a_jpeg_of_good_quality_moves_no_probability_by_more_than_a_hundredth(
    quality: int, classifier: Classifier
) -> None:
    jpeg = classifier.predict(encode(Image.fromarray(LARGE), "JPEG", quality=quality))

    np.testing.assert_allclose(
        jpeg.probabilities, classifier.predict(LARGE).probabilities, atol=0.01
    )


@pytest.mark.parametrize(
    "encoded",
    [
        encode(GREY, "PNG"),
        encode(GREY, "TIFF"),
        encode(GREY.convert("LA"), "PNG"),
        cv2_encode(np.asarray(GREY).astype(np.uint16) * 257, ".png"),
        cv2_encode(np.asarray(GREY).astype(np.uint16) * 257, ".tiff"),
        encode(Image.fromarray(np.asarray(GREY).astype(">u2") * 257), "TIFF"),
        encode(GREY, "PPM"),
    ],
    ids=["png", "tiff", "alpha", "png-16", "tiff-16", "tiff-16-big-endian", "pgm"],
)
def test_a_grey_image_has_three_equal_channels(encoded: bytes) -> None:
    np.testing.assert_array_equal(read_image(encoded).pixels, GREY_PIXELS)


@pytest.mark.parametrize("pixels", [np.asarray(GREY), np.asarray(GREY)[..., None]])
def test_a_grey_array_may_have_two_axes_or_three(pixels: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(read_image(pixels).pixels, GREY_PIXELS)


def test_a_file_with_sixteen_bits_and_an_array_with_sixteen_bits_agree() -> None:
    noise = np.random.default_rng(0).integers(0, 65536, (70, 80, 3), np.uint16)
    from_array = read_image(noise).pixels

    np.testing.assert_array_equal(
        read_image(cv2_encode(noise[..., ::-1], ".png")).pixels, from_array
    )
    np.testing.assert_array_equal(read_image(sixteen_bit_tiff(noise)).pixels, from_array)
    assert np.abs(from_array - noise / 257.0).max() <= 1.0


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("colours", [True, False])
def test_twelve_bits_in_sixteen_are_refused_instead_of_read_as_black(
    suffix: str, colours: bool
) -> None:
    shape = (70, 80, 3) if colours else (70, 80)
    noise = np.random.default_rng(0).integers(0, 4096, shape, np.uint16)
    for source in (cv2_encode(noise, suffix), noise):
        with pytest.raises(ImageError, match="use 12 bits or fewer would be read as nearly black"):
            read_image(source)
    # The same picture, scaled as the sentence asks.
    assert read_image(cv2_encode(noise * 16, suffix)).pixels.max() == 255


def test_a_tiff_that_would_be_misread_is_refused() -> None:
    with pytest.raises(ImageError, match=r"separate colour planes.*save it as PNG"):
        read_image(sixteen_bit_tiff(WIDE, separate_planes=True))
    opened = Image.open(io.BytesIO(sixteen_bit_tiff(WIDE, separate_planes=True)))
    with pytest.raises(ImageError, match=r"separate colour planes.*save it as PNG"):
        read_image(opened)


@pytest.mark.parametrize("zipped", [False, True])
def test_grey_that_begins_at_white_is_turned_round(zipped: bool) -> None:
    encoded = grey_tiff(255 - np.asarray(GREY), photometric=0, zipped=zipped)
    np.testing.assert_array_equal(read_image(encoded).pixels, GREY_PIXELS)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    "values",
    [np.asarray(GREY).astype(np.uint16) * 257, (np.asarray(GREY) / 255.0).astype(np.float32)],
    ids=["16-bit", "float"],
)
def test_deep_grey_that_would_be_read_as_its_negative_is_refused(
    values: NDArray[Any], zipped: bool
) -> None:
    for photometric in (0, None):
        encoded = grey_tiff(values, photometric, zipped=zipped)
        for source in (encoded, Image.open(io.BytesIO(encoded))):
            with pytest.raises(ImageError, match=r"not say that 0 is black.*; save it as PNG"):
                read_image(source)
    black_is_zero = grey_tiff(values, 1, zipped=zipped)
    np.testing.assert_array_equal(read_image(black_is_zero).pixels, GREY_PIXELS)


# Palettes, alpha, colour spaces.


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "BMP"])
def test_a_palette_is_looked_up(kind: str) -> None:
    indexed = RGB.quantize(64)
    wanted = np.asarray(indexed.getpalette(), np.uint8).reshape(-1, 3)[np.asarray(indexed)]

    np.testing.assert_array_equal(read_image(encode(indexed, kind)).pixels, wanted)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_becomes_white(kind: str) -> None:
    indexed = RGB.quantize(16)
    palette = np.asarray(indexed.getpalette(), np.uint8).reshape(-1, 3)[:16].copy()
    palette[5] = 255
    raster = read_image(encode(indexed, kind, transparency=5))

    np.testing.assert_array_equal(raster.pixels, palette[np.asarray(indexed)])
    assert raster.notes == ("Transparent parts were laid on white.",)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_mixes_with_white(kind: str) -> None:
    alpha = np.linspace(0, 255, 72 * 96).reshape(72, 96).round().astype(np.uint8)
    image = Image.fromarray(np.dstack([PICTURE, alpha]))
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    raster = read_image(encode(image, kind, **options))

    share = alpha[..., None] / 255.0
    wanted = PICTURE * share + 255.0 * (1.0 - share)
    assert np.abs(raster.pixels - wanted).max() <= 1.0
    assert raster.notes == ("Transparent parts were laid on white.",)


def test_grey_with_alpha_mixes_with_white() -> None:
    image = GREY.convert("LA")
    image.putalpha(51)

    wanted = GREY_PIXELS * 0.2 + 255.0 * 0.8
    assert np.abs(read_image(encode(image, "PNG")).pixels - wanted).max() <= 1.0


def transparent(mode: str) -> Image.Image:
    image = RGB.convert(mode)
    image.putalpha(0)
    return image


INVISIBLE: dict[str, Any] = {
    "png": encode(transparent("RGBA"), "PNG"),
    "grey-png": encode(transparent("LA"), "PNG"),
    "tiff": encode(transparent("RGBA"), "TIFF"),
    "webp": encode(transparent("RGBA"), "WEBP", lossless=True, exact=True),
    "palette": encode(Image.new("RGB", (96, 72), "red").quantize(4), "PNG", transparency=0),
    "array": np.asarray(transparent("RGBA")),
    "pillow": transparent("RGBA"),
}


@pytest.mark.parametrize("kind", INVISIBLE)
def test_an_image_without_a_visible_pixel_is_refused(kind: str) -> None:
    with pytest.raises(
        ImageError, match=r"^it: every pixel is transparent; save it without transparency$"
    ):
        read_image(INVISIBLE[kind], name="it")


def test_one_visible_pixel_makes_an_image() -> None:
    image = transparent("RGBA")
    image.putpixel((5, 6), (10, 20, 30, 255))
    raster = read_image(image)
    assert raster.notes == ("Transparent parts were laid on white.",)
    assert raster.pixels[6, 5].tolist() == [10, 20, 30]
    assert (raster.pixels.sum(axis=2) < 765).sum() == 1


def test_opaque_alpha_is_no_remark() -> None:
    assert read_image(encode(with_opaque_alpha(), "PNG")).notes == ()


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_becomes_the_colours_that_the_inks_leave(kind: str) -> None:
    ramps = np.mgrid[0:256:4, 0:256:4].astype(np.uint8)
    inks = np.dstack([ramps[0], ramps[1], 255 - ramps[0], ramps[1] // 2])
    options = {"quality": 100} if kind == "JPEG" else {}
    raster = read_image(encode(Image.fromarray(inks, "CMYK"), kind, **options))

    colours, black = inks[..., :3].astype(float), inks[..., 3:].astype(float)
    wanted = (255.0 - colours) * (255.0 - black) / 255.0
    assert np.abs(raster.pixels - wanted).max() <= (1.0 if kind == "TIFF" else 8.0)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_wide_gamut_profile_is_converted_to_srgb(kind: str, mode: str) -> None:
    raster = read_image(encode(RGB.convert(mode), kind, icc_profile=display_p3_profile()))

    difference = np.abs(raster.pixels - p3_to_srgb(PICTURE))
    assert difference.max() <= 2.0
    assert np.abs(PICTURE - p3_to_srgb(PICTURE)).max() > 5.0  # the conversion matters
    assert raster.notes == ("Colours were converted from the embedded profile to sRGB.",)


@pytest.mark.parametrize("name", ["sRGB", "odd "])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_an_srgb_profile_changes_nothing_whatever_its_name(name: str, mode: str) -> None:
    profile = bytes(srgb_profile(name))
    raster = read_image(encode(RGB.convert(mode), "PNG", icc_profile=profile))

    np.testing.assert_array_equal(raster.pixels, PICTURE if mode == "RGB" else GREY_PIXELS)
    assert raster.notes == ()


def test_another_profile_with_the_name_of_srgb_is_converted() -> None:
    wide = read_image(encode(RGB, "PNG", icc_profile=display_p3_profile("sRGB")))
    assert np.abs(wide.pixels - p3_to_srgb(PICTURE)).max() <= 2.0

    stored = np.rint(255.0 * to_linear(PICTURE)).astype(np.uint8)
    linear = read_image(encode(Image.fromarray(stored), "PNG", icc_profile=linear_profile()))
    bright = PICTURE > 64  # below, one of the 256 linear levels spans several of sRGB
    assert np.abs(linear.pixels.astype(int) - PICTURE)[bright].max() <= 2
    assert np.abs(stored.astype(int) - PICTURE)[bright].max() > 50  # the conversion matters
    for raster in (wide, linear):
        assert raster.notes == ("Colours were converted from the embedded profile to sRGB.",)


@pytest.mark.parametrize("profile", [b"no profile", display_p3_profile()[:200]])
def test_a_damaged_profile_is_said_and_left_out(profile: bytes) -> None:
    raster = read_image(encode(RGB, "PNG", icc_profile=profile))

    np.testing.assert_array_equal(raster.pixels, PICTURE)
    assert raster.notes == (
        "The embedded colour profile cannot be used; the image was read as sRGB.",
    )


def test_a_profile_for_other_channels_is_said_and_left_out() -> None:
    raster = read_image(encode(GREY, "PNG", icc_profile=display_p3_profile()))

    np.testing.assert_array_equal(raster.pixels, GREY_PIXELS)
    assert "cannot be used" in raster.notes[0]


# Orientation and frames.


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_every_orientation_is_set_upright(kind: str, orientation: int) -> None:
    stored = Image.fromarray(stored_for_orientation(PICTURE, orientation))
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0}
    encoded = encode(stored, kind, exif=orientation_tag(orientation), **options)
    raster = read_image(encoded)

    assert (raster.width, raster.height) == (96, 72)
    assert raster.pixels.shape == (72, 96, 3)
    assert np.abs(raster.pixels.astype(int) - PICTURE).max() <= (4 if kind == "JPEG" else 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_jpeg_is_upright_and_states_its_full_size(orientation: int) -> None:
    stored = Image.fromarray(stored_for_orientation(LARGE, orientation))
    encoded = encode(stored, "JPEG", quality=95, exif=orientation_tag(orientation))
    raster = read_image(encoded, reduce_to_px=224)

    assert (raster.width, raster.height) == (600, 450)
    assert raster.pixels.shape == (225, 300, 3)
    halved = cv2.resize(LARGE, (300, 225), interpolation=cv2.INTER_AREA)
    assert np.abs(raster.pixels.astype(int) - halved).mean() < 2.0


def test_a_pillow_image_is_set_upright_too() -> None:
    stored = Image.fromarray(stored_for_orientation(PICTURE, 6))
    encoded = encode(stored, "PNG", exif=orientation_tag(6))

    np.testing.assert_array_equal(read_image(Image.open(io.BytesIO(encoded))).pixels, PICTURE)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0broken", b"Exif\0\0II*\0\xff\xff\xff\xff", b"\xff" * 40]
)
def test_damaged_metadata_does_not_keep_the_picture_from_being_read(exif: bytes) -> None:
    for encoded in (
        encode(RGB, "PNG", exif=exif),
        encode(RGB, "WEBP", exif=exif, lossless=True),
    ):
        np.testing.assert_array_equal(read_image(encoded).pixels, PICTURE)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG", "MPO"])
def test_only_the_first_frame_is_read_and_that_is_said(kind: str) -> None:
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
    first, second = RGB.quantize(32).convert("RGB"), RGB.rotate(180)
    alone = encode(first, "JPEG" if kind == "MPO" else kind, **options)
    both = read_image(encode(first, kind, save_all=True, append_images=[second], **options))

    np.testing.assert_array_equal(both.pixels, read_image(alone).pixels)
    assert both.notes == ("The file holds several frames; only the first was read.",)


def test_the_frame_that_a_pillow_image_was_turned_to_is_named() -> None:
    first, second = RGB.quantize(32).convert("RGB"), RGB.rotate(180).quantize(32).convert("RGB")
    opened = Image.open(io.BytesIO(encode(first, "GIF", save_all=True, append_images=[second])))
    opened.seek(1)
    read = read_image(opened)
    np.testing.assert_array_equal(read.pixels, np.asarray(opened.convert("RGB")))
    assert read.notes == ("The file holds several frames; only frame 2 was read.",)


def test_it_is_said_where_damage_would_not_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = encode(RGB, "JPEG")[:-20]  # within the last row of blocks
    with pytest.raises(ImageError, match="is damaged or cut short"):
        read_image(cut)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    (note,) = read_image(cut).notes
    assert "LOAD_TRUNCATED_IMAGES" in note
    assert read_image(RGB).notes == (note,)
    with pytest.raises(ImageError, match="its data end early"):
        read_image(encode(RGB, "JPEG")[:-200])  # what can be seen is still refused


# Reduced decoding.


@settings(max_examples=25)
@given(
    width=st.integers(64, 1200),
    height=st.integers(64, 1200),
    reduce_to_px=st.sampled_from([32, 64, 128, 224]),
)
def test_reduced_decoding_keeps_the_short_side(width: int, height: int, reduce_to_px: int) -> None:
    raster = read_image(
        encode(Image.new("RGB", (width, height), "tan"), "JPEG"), reduce_to_px=reduce_to_px
    )
    short = min(raster.pixels.shape[:2])

    assert short >= min(reduce_to_px, width, height)
    # No decoder goes below an eighth.
    assert short <= max(2 * reduce_to_px, -(-min(width, height) // 8))
    assert (raster.width, raster.height) == (width, height)


def test_reduced_decoding_gives_nearly_the_same_answer(classifier: Classifier) -> None:
    encoded = encode(Image.fromarray(LARGE), "JPEG", quality=95)
    full, reduced = read_image(encoded), read_image(encoded, reduce_to_px=224)

    assert full.pixels.shape[0] == 450
    assert reduced.pixels.shape[0] == 225
    assert full.sha256 == reduced.sha256
    np.testing.assert_allclose(
        classifier.predict(full).probabilities, classifier.predict(reduced).probabilities, atol=0.02
    )


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_reduced_decoding_keeps_the_colour_space(mode: str) -> None:
    encoded = encode(Image.fromarray(LARGE).convert(mode), "JPEG", quality=95)
    full, reduced = read_image(encoded).pixels, read_image(encoded, reduce_to_px=64).pixels

    assert reduced.shape == (113, 150, 3)
    shrunk = cv2.resize(full, (150, 113), interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.astype(int) - shrunk).mean() < 2.0


# What is refused, with name, reason and remedy.


@pytest.mark.parametrize("kind", sorted(LOSSLESS.keys() - {"tiff-frames", "apng"}))
@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5, 0.8])
def test_a_truncated_file_is_refused(kind: str, share: float) -> None:
    encoded = LOSSLESS[kind]
    with pytest.raises(ImageError, match=r"^lesion: is (damaged|not an image).*; .+"):
        read_image(encoded[: max(1, int(len(encoded) * share))], name="lesion")


def ended_early(encoded: bytes, share: float) -> bytes:
    return encoded[: int(len(encoded) * share)] + b"\xff\xd9"


@pytest.mark.parametrize("reduce_to_px", [None, 224, 112, 56])
@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"restart_marker_rows": 2}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_whose_data_end_before_its_end_marker_is_refused(
    mode: str, options: dict[str, Any], reduce_to_px: int | None
) -> None:
    whole = encode(Image.fromarray(LARGE).convert(mode), "JPEG", quality=95, **options)
    assert read_image(whole, reduce_to_px=reduce_to_px).width == 600
    for share in (0.4, 0.6, 0.8):
        with pytest.raises(ImageError, match=r"^it: is damaged: its data end early.*; export"):
            read_image(ended_early(whole, share), name="it", reduce_to_px=reduce_to_px)


def as_ycck(cmyk: bytes) -> bytes:
    """State in Adobe's marker, whose last byte it is, that the colours are YCCK."""
    at = cmyk.index(b"Adobe") + 11
    return cmyk[:at] + b"\2" + cmyk[at + 1 :]


def first_scan(progressive: bytes) -> bytes:
    start = progressive.index(b"\xff\xda")
    return progressive[: progressive.index(b"\xff\xda", start + 2)]


EARLY = {
    "turned": encode(Image.fromarray(LARGE), "JPEG", exif=orientation_tag(6)),
    "ycck": as_ycck(encode(Image.fromarray(LARGE).convert("CMYK"), "JPEG")),
    "mpo": encode(Image.fromarray(LARGE), "MPO", save_all=True, append_images=[RGB]),
    "progressive": first_scan(encode(Image.fromarray(LARGE), "JPEG", progressive=True)),
}


@pytest.mark.parametrize("kind", EARLY)
def test_other_kinds_of_jpeg_that_end_early_are_refused(kind: str) -> None:
    early = ended_early(EARLY[kind], 0.7)
    for source in (early, Image.open(io.BytesIO(early))):
        with pytest.raises(ImageError, match="its data end early"):
            read_image(source)


@pytest.mark.parametrize("kind", ["plain", "preview", "mpo"])
def test_a_jpeg_that_was_copied_in_part_onto_zeros_is_refused(kind: str) -> None:
    # Fine grain: of its zeros libjpeg makes a whole image, without a warning.
    grain = np.random.default_rng(0).integers(0, 256, LARGE.shape, dtype=np.uint8)
    image = Image.fromarray(grain)
    exif = b"Exif\0\0" + Image.Exif().tobytes() + encode(RGB, "JPEG")
    kinds = {
        "plain": encode(image, "JPEG"),
        "preview": encode(image, "JPEG", exif=exif),
        "mpo": encode(image, "MPO", save_all=True, append_images=[RGB]),
    }
    whole = kinds[kind]
    assert read_image(whole).width == 600
    # Of the whole file's data, so that in an MPO the first frame is cut.
    own = len(kinds["plain"])
    for length in range(own // 2, own * 9 // 10, own // 50):
        with pytest.raises(ImageError, match=r"^it: is damaged.*; export or copy it again"):
            read_image(whole[:length] + bytes(len(whole) - length), name="it")


def test_what_a_camera_appends_to_a_jpeg_is_passed_over() -> None:
    whole = encode(Image.fromarray(LARGE), "JPEG")
    appended = read_image(whole + b"\xff\xda" + bytes(1000))
    np.testing.assert_array_equal(appended.pixels, read_image(whole).pixels)


def test_a_jpeg_that_ends_in_nearly_the_same_grey_is_read() -> None:
    pixels = LARGE.copy()
    pixels[400:] = 127
    assert read_image(encode(Image.fromarray(pixels), "JPEG", quality=95)).pixels[-1, 0, 0] == 127


@pytest.mark.parametrize("start", [0.3, 0.9])
def test_a_png_with_wrong_checksums_is_refused(start: float) -> None:
    whole = encode(Image.fromarray(LARGE), "PNG")
    at, end = int(len(whole) * start), len(whole) - 12  # what ends a PNG has 12 bytes
    for damaged in (
        whole[:at] + bytes(end - at) + whole[end:],
        whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :],
    ):
        with pytest.raises(
            ImageError, match=r"^it: is damaged or cut short \(.*checksum.*; export"
        ):
            read_image(damaged, name="it")


JPEG = encode(RGB, "JPEG", exif=orientation_tag(6), icc_profile=display_p3_profile())
GIF = encode(RGB.quantize(32), "GIF", save_all=True, append_images=[GREY])


@pytest.mark.parametrize("encoded", [JPEG, GIF], ids=["jpeg", "gif"])
def test_a_file_cut_anywhere_is_read_or_refused(encoded: bytes) -> None:
    for length in range(1, len(encoded), 97):
        try:
            pixels = read_image(encoded[:length]).pixels
        except ImageError as error:
            assert re.match(r"^image: is .+; .+", str(error))  # noqa: PT017 - both ends are right
        else:
            assert pixels.shape[2] == 3


SEEDS = [*LOSSLESS.values(), JPEG, GIF, encode(RGB.convert("CMYK"), "JPEG")]


@settings(max_examples=60)
@given(
    encoded=st.sampled_from(SEEDS),
    changes=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    encoded: bytes, changes: list[tuple[int, int]]
) -> None:
    damaged = bytearray(encoded)
    for position, value in changes:
        damaged[position % len(damaged)] = value
    try:
        assert isinstance(read_image(bytes(damaged)), RasterImage)
    except ImageError as error:
        assert re.match(r"^image: .+; .+", str(error))  # noqa: PT017 - both ends are right


@settings(max_examples=60)
@given(
    start=st.sampled_from(
        [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"BM", b"GIF89a", b"P6 "]
    ),
    rest=st.binary(max_size=300),
)
def test_random_bytes_are_refused(start: bytes, rest: bytes) -> None:
    with pytest.raises(ImageError, match=r"image: .+; .+"):
        read_image(start + rest)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.jpg"
    path.touch()
    for source in (path, b""):
        with pytest.raises(ImageError, match=r"is empty; export or copy it again"):
            read_image(source)


def test_something_else_is_refused() -> None:
    with pytest.raises(ImageError, match=r"^notes: is not an image; give a JPEG, PNG"):
        read_image(b"Dear doctor,", name="notes")


def test_a_known_format_of_an_unknown_kind_is_not_called_no_image() -> None:
    floats = cv2_encode((PICTURE / 255.0).astype(np.float32), ".tiff")
    with pytest.raises(ImageError, match=r"of a kind that cannot be read; save it as PNG"):
        read_image(floats)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=rf"^{re.escape(str(tmp_path))}: is a folder.*name a file"):
        read_image(tmp_path)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"absent.jpg: no such file; check the name"):
        read_image(tmp_path / "absent.jpg")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WebP", "GIF", "PPM"])
def test_the_size_that_a_file_states_is_read_from_its_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / "image"
    RGB.save(path, kind)
    # As of a file of hundreds of megabytes: the whole of it is read once, to decode it.
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read whole"))
    assert declared_size(path) == (96, 72)


def test_what_states_no_size_or_is_not_read_has_none(tmp_path: Path) -> None:
    contents = {
        "empty": b"",
        "text": b"no image",
        "head": encode(RGB, "PNG")[:12],
        "bomb": declared_png(60_000, 60_000),
        "other": encode(RGB, "PCX"),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    names = [*contents, "folder", "absent", "n" * 300, "null\0"]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        names.append("pipe")
    assert {name: declared_size(tmp_path / name) for name in names} == dict.fromkeys(names)
    RGB.save(tmp_path / "large", "PNG")
    assert declared_size(tmp_path / "large", ReadingLimits(max_bytes=100)) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageError, match=r"is no ordinary file; save the image"):
        read_image(tmp_path / "pipe")


def test_a_file_without_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "locked.png"
    path.write_bytes(LOSSLESS["png"])

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    # An administrator may read everything, so the refusal is played.
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(ImageError, match=r"locked.png: no permission to read it; change its perm"):
        read_image(path)


@pytest.mark.parametrize("path", ["null\0byte.png", "long" * 2000 + ".png"])
def test_a_name_that_no_file_can_have_is_refused(path: str) -> None:
    with pytest.raises(ImageError, match=r"cannot be read .*; check the disk or the name"):
        read_image(path)


@pytest.mark.parametrize("source", [None, 7, [1, 2], io.BytesIO(LOSSLESS["png"])])
def test_another_object_is_refused(source: Any) -> None:
    with pytest.raises(ImageError, match=r"cannot be read from a .*; give a path"):
        read_image(source)


def declared_png(width: int, height: int) -> bytes:
    """A small PNG whose header claims another size, with a right checksum."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return LOSSLESS["png"][:8] + chunk + LOSSLESS["png"][33:]


@pytest.mark.parametrize("size", [(50_000, 50_000), (12_000, 9_000), (11_000, 10_000)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=r"^image: .*pixels.*; "):
        read_image(declared_png(*size))


def test_a_strip_is_refused() -> None:
    with pytest.raises(ImageError, match=r"3201 x 64 pixels are a strip.*; crop it"):
        read_image(np.zeros((64, 3201, 3), np.uint8))
    assert read_image(np.zeros((64, 3200, 3), np.uint8)).width == 3200


@pytest.mark.parametrize("size", [(63, 200), (200, 63), (1, 1)])
def test_a_small_image_is_refused(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size)
    for source in (encode(image, "PNG"), image, np.asarray(image)):
        with pytest.raises(ImageError, match=rf"{size[0]} x {size[1]} pixels are too few"):
            read_image(source)
    assert read_image(Image.new("RGB", (64, 64))).width == 64


def test_a_long_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "long.png"
    path.write_bytes(LOSSLESS["png"])
    limits = ReadingLimits(max_bytes=len(LOSSLESS["png"]) - 1)
    for source in (path, LOSSLESS["png"]):
        with pytest.raises(ImageError, match=r"bytes exceed the limit of .*; save a smaller copy"):
            read_image(source, limits=limits)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros(100, np.uint8), "shape"),
        (np.zeros((80, 80, 2), np.uint8), "shape"),
        (np.zeros((2, 80, 80, 3), np.uint8), "shape"),
        (np.zeros((0, 0, 3), np.uint8), "too few"),
        (np.zeros((80, 80, 3), np.int64), "int64"),
        (np.zeros((80, 80, 3), bool), "bool"),
        (np.zeros((80, 80, 3), object), "object"),
        (np.full((80, 80, 3), np.nan), r"0\.\.1"),
        (np.full((80, 80, 3), 2.0), r"0\.\.1"),
        (np.full((80, 80), -0.1, np.float32), r"0\.\.1"),
    ],
)
def test_an_array_that_is_no_image_is_refused(array: NDArray[Any], reason: str) -> None:
    with pytest.raises(ImageError, match=f"^array: .*{reason}.*"):
        read_image(array)


def test_integers_beyond_sixteen_bits_are_refused_for_what_they_are() -> None:
    image = Image.fromarray(np.full((80, 80), 70_000, np.int32))
    with pytest.raises(ImageError, match=r"integer pixels beyond 16 bits; save it with 8 bits"):
        read_image(encode(image, "TIFF"))


# What reading leaves behind.


def test_pixels_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        read_image(RGB).pixels[0, 0, 0] = 1


def test_a_pillow_image_stays_as_it_was() -> None:
    image = RGB.copy()
    read_image(image)
    np.testing.assert_array_equal(np.asarray(image), PICTURE)


def test_warnings_of_pillow_stay_inside() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_image(encode(RGB, "TIFF", exif=orientation_tag(300)))
        with pytest.raises(ImageError):
            read_image(declared_png(10_000, 9_500))  # Pillow warns of a possible bomb
    assert caught == []


def test_readers_in_many_threads_leave_the_warning_filters_as_they_were() -> None:
    before = list(warnings.filters)
    threads = [
        threading.Thread(target=lambda: [read_image(JPEG) for _ in range(5)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def test_reading_a_file_does_not_change_it(tmp_path: Path) -> None:
    path = tmp_path / "lesion.png"
    path.write_bytes(LOSSLESS["png"])
    path.chmod(stat.S_IRUSR)
    read_image(path)
    assert path.read_bytes() == LOSSLESS["png"]
