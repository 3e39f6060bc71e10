"""Handling of hair, uneven brightness and noise, as named steps that leave clean images alone.

Section V-B of the DermAssist paper asks for mild smoothing and brightness correction "without
altering essential dermoscopic structures"; it names hair as an artifact without saying what to
do about it. Every step takes and returns an ``(H, W, 3)`` uint8 RGB field. Lengths are those of a
field whose short side is ``REFERENCE_SIDE_PX``; they grow and shrink with the field, so that they
mean the same on the skin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

REFERENCE_SIDE_PX = 224
#: Structuring element: wider than a hair (1 to 4 pixels), narrower than most dots.
HAIR_KERNEL_PX = 9
#: How much darker than its closing, in grey levels, a pixel must be to count as hair.
HAIR_CONTRAST = 18
#: A hair is long: connected pieces shorter than this are structure (dots, network) and stay.
HAIR_MIN_LENGTH_PX = 28
#: And thin: length squared over area, which is length over width for a straight line. Network,
#: furrows and globules that touch each other reach 13.
HAIR_MIN_ELONGATION = 14.0
#: Hairs that cross are one piece with less elongation, but far longer than any structure.
TANGLE_MIN_LENGTH_PX = 150
TANGLE_MIN_ELONGATION = 10.0
#: Side of the square by which a hair is widened, since its edges are only half as dark.
HAIR_RIM_PX = 3
INPAINT_RADIUS_PX = 3
SMOOTHING_DIAMETER_PX = 5
SMOOTHING_SIGMA_COLOUR = 12.0
SMOOTHING_SIGMA_PX = 1.2
#: Mean lightness (CIE L*, 0..255 scale) inside which an image is left as it is.
LIGHTNESS_RANGE = (110.0, 205.0)


def remove_hair(image: Image) -> Image:
    """Paint over long dark hairs with their surroundings.

    Black-hat transform, threshold, elongated components only, then inpainting: Lee et al.,
    "DullRazor", Comput Biol Med 27 (1997), with Telea's inpainting (J Graph Tools 9, 2004) in
    place of the original interpolation. An image without long dark lines is returned unchanged.
    """
    mask = hair_mask(image)
    if not mask.any():
        return image
    radius = INPAINT_RADIUS_PX * _scale(image)
    return np.asarray(cv2.inpaint(image, mask, radius, cv2.INPAINT_TELEA), np.uint8)


def hair_mask(image: Image) -> NDArray[np.uint8]:
    """Return ``(H, W)`` uint8, 255 where a pixel belongs to a long dark hair."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    scale = _scale(image)
    side = _odd(HAIR_KERNEL_PX * scale)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    darker = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, kernel)
    candidates = (darker >= HAIR_CONTRAST).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(candidates, connectivity=8)
    height, width = grey.shape
    hairs = [
        label
        for label in range(1, count)
        if _is_hair(stats[label], scale)
        and not _lies_on_edge(stats[label], side, width=width, height=height)
    ]
    mask = np.isin(labels, hairs).astype(np.uint8) * 255
    rim = _odd(HAIR_RIM_PX * scale)
    return np.asarray(cv2.dilate(mask, np.ones((rim, rim), np.uint8)), np.uint8)


def _scale(image: Image) -> float:
    return float(min(image.shape[:2]) / REFERENCE_SIDE_PX)


def _odd(length: float) -> int:
    """Return the odd number of pixels nearest to a length, 3 or more."""
    return max(3, 2 * round((length - 1.0) / 2.0) + 1)


def _is_hair(stats: NDArray[np.int32], scale: float) -> bool:
    """Tell whether a component is long and thin: its diagonal squared far exceeds its area."""
    width, height, area = (
        float(stats[column]) for column in (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA)
    )
    length = float(np.hypot(width, height))
    elongation = length * length / area
    if length >= TANGLE_MIN_LENGTH_PX * scale:
        return elongation >= TANGLE_MIN_ELONGATION
    return length >= HAIR_MIN_LENGTH_PX * scale and elongation >= HAIR_MIN_ELONGATION


def _lies_on_edge(stats: NDArray[np.int32], near: int, *, width: int, height: int) -> bool:
    """Tell the rim of a dark corner, which follows the image's edge, from a hair."""
    left, top = int(stats[cv2.CC_STAT_LEFT]), int(stats[cv2.CC_STAT_TOP])
    right, bottom = left + stats[cv2.CC_STAT_WIDTH], top + stats[cv2.CC_STAT_HEIGHT]
    return bool(right <= near or bottom <= near or left >= width - near or top >= height - near)


def correct_brightness(image: Image) -> Image:
    """Bring a too dark or too bright image near the closer end of the usual lightness range.

    A gamma curve on CIE L* leaves black, white and hue where they are. An image whose mean
    lightness lies within ``LIGHTNESS_RANGE`` is returned unchanged.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    mean = float(lab[..., 0].mean())
    wanted = float(np.clip(mean, *LIGHTNESS_RANGE))
    if wanted == mean or not 0.0 < mean < 255.0:
        return image
    gamma = np.log(wanted / 255.0) / np.log(mean / 255.0)
    curve = np.rint(255.0 * (np.arange(256) / 255.0) ** gamma).astype(np.uint8)
    lab[..., 0] = cv2.LUT(lab[..., 0], curve)
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)


def smooth(image: Image) -> Image:
    """Smooth noise and keep edges: a small bilateral filter (Tomasi & Manduchi, ICCV 1998)."""
    scale = _scale(image)
    filtered = cv2.bilateralFilter(
        image,
        _odd(SMOOTHING_DIAMETER_PX * scale),
        SMOOTHING_SIGMA_COLOUR,
        SMOOTHING_SIGMA_PX * scale,
    )
    return np.asarray(filtered, np.uint8)


#: Every step by the name that configurations and manifests use.
STEPS: dict[str, Callable[[Image], Image]] = {
    "hair": remove_hair,
    "brightness": correct_brightness,
    "smoothing": smooth,
}


def apply_steps(image: Image, steps: Iterable[str]) -> Image:
    """Apply the named steps in order.

    Raises:
        KeyError: a name is not in ``STEPS``; configurations check this when they are made.
    """
    for step in steps:
        image = STEPS[step](image)
    return image
