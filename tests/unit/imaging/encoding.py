"""One picture in many containers, for tests of reading."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

#: Colourants of Display P3 adapted to D50 (columns R, G, B), from its ICC profile.
P3_TO_XYZ = np.array(
    [[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]
)
#: The same for sRGB (Lindbloom, "RGB/XYZ matrices", D50).
SRGB_TO_XYZ = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, kind, **options)
    return target.getvalue()


def sixteen_bit_tiff(pixels: NDArray[np.uint16], *, separate_planes: bool = False) -> bytes:
    """Write an uncompressed 16-bit RGB TIFF by hand (TIFF 6.0), which Pillow cannot."""
    height, width, _ = pixels.shape
    planes = [pixels[..., k] for k in range(3)] if separate_planes else [pixels]
    strips = [np.ascontiguousarray(plane, "<u2").tobytes() for plane in planes]
    tags = 10
    bits_at = 8 + 2 + 12 * tags + 4
    offsets_at, counts_at = bits_at + 6, bits_at + 6 + 12
    data_at = counts_at + 12
    starts = [data_at + sum(map(len, strips[:k])) for k in range(len(strips))]
    many = len(strips) > 1
    entries = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, 3, bits_at),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, len(strips), offsets_at if many else starts[0]),
        (277, 3, 1, 3),
        (278, 3, 1, height),
        (279, 4, len(strips), counts_at if many else len(strips[0])),
        (284, 3, 1, 2 if separate_planes else 1),
    ]
    header = b"II*\0" + struct.pack("<IH", 8, tags)
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    places = [*starts, 0, 0][:3] + [*map(len, strips), 0, 0][:3]
    extra = struct.pack("<3H", 16, 16, 16) + struct.pack("<6I", *places)
    return header + directory + struct.pack("<I", 0) + extra + b"".join(strips)


def grey_tiff(values: NDArray[Any], photometric: int | None, *, zipped: bool = False) -> bytes:
    """Write a grey TIFF by hand (TIFF 6.0): photometric 0 means white is zero, 1 black is zero."""
    height, width = values.shape
    plain = values.astype(values.dtype.newbyteorder("<")).tobytes()
    data = zlib.compress(plain) if zipped else plain
    sample_format = 3 if values.dtype.kind == "f" else 1
    entries = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, 1, 8 * values.itemsize),
        (259, 3, 1, 8 if zipped else 1),
        *([] if photometric is None else [(262, 3, 1, photometric)]),
        (273, 4, 1, 8),
        (277, 3, 1, 1),
        (278, 3, 1, height),
        (279, 4, 1, len(data)),
        (339, 3, 1, sample_format),
    ]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    header = b"II*\0" + struct.pack("<I", 8 + len(data))
    return header + data + struct.pack("<H", len(entries)) + directory + struct.pack("<I", 0)


def srgb_profile(name: str = "sRGB") -> bytearray:
    """Return the built-in sRGB profile under another name of four letters."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return bytearray(profile.replace("sRGB".encode("utf-16-be"), name.encode("utf-16-be")))


def _profile_tags(profile: bytearray) -> Iterator[tuple[bytes, int]]:
    (count,) = struct.unpack_from(">I", profile, 128)
    for k in range(count):
        signature, offset, _ = struct.unpack_from(">4sII", profile, 132 + 12 * k)
        yield signature, offset


def linear_profile() -> bytes:
    """Return the built-in sRGB profile, its name kept, with linear curves instead of its own."""
    profile = srgb_profile()
    for signature, offset in _profile_tags(profile):
        if signature in {b"rTRC", b"gTRC", b"bTRC"}:
            # A parametric curve of type 0 is y = x ** g, with g in 16.16 (ICC.1:2022, 10.18).
            struct.pack_into(">4s4xHHI", profile, offset, b"para", 0, 0, 1 << 16)
    return bytes(profile)


def to_linear(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Undo the sRGB curve by its definition (IEC 61966-2-1): 0..1."""
    encoded = pixels / 255.0
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def display_p3_profile(name: str = "wide") -> bytes:
    """Return the built-in sRGB profile with Display P3's colourants and another name."""
    profile = srgb_profile(name)
    for signature, offset in _profile_tags(profile):
        column = {b"rXYZ": 0, b"gXYZ": 1, b"bXYZ": 2}.get(signature)
        if column is not None:
            fixed = np.rint(P3_TO_XYZ[:, column] * 65536).astype(int)
            struct.pack_into(">3i", profile, offset + 8, *fixed.tolist())
    return bytes(profile)


def p3_to_srgb(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Convert by the definitions: linearise (IEC 61966-2-1), change primaries, encode, clip."""
    mixed = (to_linear(pixels) @ (np.linalg.inv(SRGB_TO_XYZ) @ P3_TO_XYZ).T).clip(0.0, 1.0)
    curved = np.where(mixed <= 0.0031308, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055)
    return np.asarray(255.0 * curved)


def stored_for_orientation(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return what a camera stores so that the EXIF orientation shows ``upright`` (tag 274)."""
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    return np.ascontiguousarray(turned)


def orientation_tag(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags
