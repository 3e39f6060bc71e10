"""Random views of a field: one affine warp, one colour table.

Sections VI-A and VI-B of the DermAssist paper: flips, rotation, random resized crop, zoom,
colour jitter, gamma. Everything geometric is composed into a single warp, and everything that
acts on a channel's value into a single look-up table, which costs about a millisecond an image.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from dermassist.config import AugmentationSection
from dermassist.imaging.geometry import BORDER_MODES, Fill, side_of_square

Image = NDArray[np.uint8]
#: Weights of red, green and blue in luma (ITU-R BT.601), for saturation and hue.
LUMA = np.array([0.299, 0.587, 0.114])
_RESIZED_CROP_LOG_ASPECT = math.log(4.0 / 3.0)
_ERASED_SHARE = (0.02, 0.15)
#: Below it a neighbour's weight is less than a grey level in 256.
_LEAST_SIGMA_PX = 0.3


def augment(
    field: Image,
    size_px: int,
    settings: AugmentationSection,
    *,
    fill: Fill,
    fit: float,
    random: np.random.Generator,
) -> Image:
    """Return a random view ``(size, size, 3)`` uint8 of a field ``(H, W, 3)`` uint8.

    Args:
        field: the whole image in true proportions.
        size_px: side of the view.
        settings: what is drawn, and how far it goes.
        fill: what stands outside the image.
        fit: of the preprocessing, 0 to 1: the window varies about the square that serving takes.
            A random resized crop is a share of the area and has no such square.
        random: all chance comes from it.
    """
    served = side_of_square(field.shape, fit if settings.framing == "window" else 0.0)
    reduced = _reduce(field, size_px / served)
    matrix = _view_to_field(reduced.shape, size_px, settings, random, fit=fit)
    view = cv2.warpAffine(
        reduced,
        matrix,
        (size_px, size_px),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=BORDER_MODES[fill],
    )
    coloured = _jitter(np.asarray(view, np.uint8), settings, random)
    if settings.blur:  # drawn only then, so that recipes without it show the views they always did
        coloured = _soften(coloured, settings.blur * size_px * random.random())
    return _erase(coloured, random) if random.random() < settings.erasing else coloured


def _reduce(field: Image, scale: float) -> Image:
    """Shrink a field by area where the view needs less detail, so that the warp does not alias."""
    height, width = field.shape[:2]
    if scale >= 1.0:
        return field
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(field, target, interpolation=cv2.INTER_AREA), np.uint8)


def _view_to_field(
    shape: tuple[int, ...],
    size_px: int,
    settings: AugmentationSection,
    random: np.random.Generator,
    *,
    fit: float,
) -> NDArray[np.float64]:
    """Draw the affine map from pixels of the view to pixels of the field, ``(2, 3)``."""
    side_x, side_y, centre_x, centre_y = _draw_window(shape, settings, random, fit=fit)
    angle = math.radians(random.uniform(-settings.rotation_degrees, settings.rotation_degrees))
    flip_x, flip_y = random.choice((-1.0, 1.0), 2) if settings.flips else (1.0, 1.0)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = turn @ np.diag([flip_x * side_x / size_px, flip_y * side_y / size_px])
    middle = (size_px - 1) / 2.0
    offset = np.array([centre_x, centre_y]) - linear @ np.array([middle, middle])
    return np.column_stack([linear, offset])


def _draw_window(
    shape: tuple[int, ...],
    settings: AugmentationSection,
    random: np.random.Generator,
    *,
    fit: float,
) -> tuple[float, float, float, float]:
    """Draw sides and centre of the window, in pixels of the field."""
    height, width = shape[0], shape[1]
    zoom = 1.0 + random.uniform(-settings.zoom, settings.zoom)
    if settings.framing == "random_resized_crop":
        return _draw_resized_crop(height, width, settings, zoom, random)
    low, high = settings.scale
    side = (
        side_of_square(shape, fit) * zoom * math.exp(random.uniform(math.log(low), math.log(high)))
    )
    stretch = math.exp(random.uniform(-1.0, 1.0) * math.log1p(settings.stretch) / 2.0)
    shift_x, shift_y = random.uniform(-settings.shift, settings.shift, 2) * side
    centre_x, centre_y = (width - 1) / 2.0 + shift_x, (height - 1) / 2.0 + shift_y
    return side * stretch, side / stretch, centre_x, centre_y


def _draw_resized_crop(
    height: int,
    width: int,
    settings: AugmentationSection,
    zoom: float,
    random: np.random.Generator,
) -> tuple[float, float, float, float]:
    area = height * width * random.uniform(*settings.scale)
    aspect = math.exp(random.uniform(-_RESIZED_CROP_LOG_ASPECT, _RESIZED_CROP_LOG_ASPECT))
    crop_width = min(math.sqrt(area * aspect), float(width))
    crop_height = min(math.sqrt(area / aspect), float(height))
    left = random.uniform(0.0, width - crop_width)
    top = random.uniform(0.0, height - crop_height)
    centre_x, centre_y = left + (crop_width - 1) / 2.0, top + (crop_height - 1) / 2.0
    return crop_width * zoom, crop_height * zoom, centre_x, centre_y


def _jitter(image: Image, settings: AugmentationSection, random: np.random.Generator) -> Image:
    mixed = _mix_channels(image, settings, random)
    brightness, contrast, exponent = (
        1.0 + random.uniform(-amount, amount)
        for amount in (settings.brightness, settings.contrast, settings.gamma)
    )
    values = np.arange(256) / 255.0
    curved = ((values * brightness - 0.5) * contrast + 0.5).clip(0.0, 1.0) ** exponent
    return np.asarray(cv2.LUT(mixed, np.rint(255.0 * curved).astype(np.uint8)), np.uint8)


def _mix_channels(
    image: Image, settings: AugmentationSection, random: np.random.Generator
) -> Image:
    """Change saturation and hue: a scaled turn about the grey axis that keeps luma."""
    saturation = 1.0 + random.uniform(-settings.saturation, settings.saturation)
    angle = math.radians(random.uniform(-settings.hue_degrees, settings.hue_degrees))
    if saturation == 1.0 and angle == 0.0:
        return image
    grey = np.tile(LUMA, (3, 1))
    cross = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3.0)
    chroma = np.eye(3) - grey
    turn = math.cos(angle) * np.eye(3) + math.sin(angle) * cross
    matrix = grey + saturation * (chroma @ turn @ chroma)
    return np.asarray(cv2.transform(image, matrix), np.uint8)


def _soften(image: Image, sigma_px: float) -> Image:
    if sigma_px < _LEAST_SIGMA_PX:
        return image
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), np.uint8)


def _erase(image: Image, random: np.random.Generator) -> Image:
    """Replace a random rectangle by the image's mean colour."""
    size = image.shape[0]
    area = size * size * random.uniform(*_ERASED_SHARE)
    aspect = math.exp(random.uniform(-1.0, 1.0))
    height = min(size, round(math.sqrt(area / aspect)))
    width = min(size, round(math.sqrt(area * aspect)))
    top, left = random.integers(0, size - height + 1), random.integers(0, size - width + 1)
    erased = image.copy()
    erased[top : top + height, left : left + width] = image.mean((0, 1))
    return erased
