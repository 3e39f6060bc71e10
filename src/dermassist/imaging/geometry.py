"""How an image of any shape reaches the square that the network sees.

Two stages. The *field* is the whole image in true proportions with its short side at
``size_px``. The *view* is the square cut from it. Training augments fields; serving takes the
centred view; both go through the functions below. The network may look at an enlargement of the
view (``network_px``): it was trained on windows that also show parts larger, and answers better
when more of its positions fall on the lesion (Touvron et al., "Fixing the train-test resolution
discrepancy", NeurIPS 2019). The enlarging is part of the network's graph, so that what is read,
remarked on and drawn keeps the view's size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dermassist.errors import ConfigError
from dermassist.imaging.artifact import STEPS, apply_steps

Fill = Literal["reflect", "replicate", "black"]

#: Border modes of OpenCV for pixels outside the image.
BORDER_MODES: dict[str, int] = {
    "reflect": cv2.BORDER_REFLECT_101,
    "replicate": cv2.BORDER_REPLICATE,
    "black": cv2.BORDER_CONSTANT,
}
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
FEATURE_STRIDE_PX = 32
#: Reductions below this need no averaging; cubic curves keep the sharpness.
_SLIGHT_REDUCTION = 1.25
#: Pillow first averages whole blocks, down to no less than this many times the wanted size.
_BLOCK_GAP = 2.0
#: Pixels four times as wide as high, or as high as wide, are no photograph's.
PIXEL_ASPECT_RANGE = (0.25, 4.0)
#: What rounding the sides of a reduced decoding may add to an aspect.
_ASPECT_ROUNDING = 1.01


@dataclass(frozen=True)
class Preprocessing:
    """Everything that turns an upright RGB image into the network's input.

    Attributes:
        size_px: side of the square view, a multiple of 32.
        fit: 0 takes the largest centred square (centre crop), 1 the smallest square that holds
            the whole image (letterbox); between them the side is ``short^(1-fit) * long^fit``.
        fill: what stands outside the image where the square is larger than it.
        steps: artifact handling, by name and in order; see ``dermassist.imaging.STEPS``.
        mean: subtracted from RGB scaled to 0..1.
        std: divides what is left.
        network_px: side to which the view is enlarged before the first convolution when serving,
            a multiple of 32 not below ``size_px``; 0 for not at all.
        flips: answer with the mean over the view and its three mirrored copies, at four times the
            cost (test-time augmentation).

    Raises:
        ConfigError: a value is out of its range.
    """

    size_px: int = 224
    fit: float = 0.0
    fill: Fill = "reflect"
    steps: tuple[str, ...] = ()
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    network_px: int = 0
    flips: bool = False

    def __post_init__(self) -> None:
        if self.size_px < FEATURE_STRIDE_PX or self.size_px % FEATURE_STRIDE_PX:
            raise ConfigError(f"size_px must be a multiple of 32, got {self.size_px}")
        if self.network_px and (
            self.network_px < self.size_px or self.network_px % FEATURE_STRIDE_PX
        ):
            raise ConfigError(
                f"network_px must be 0 or a multiple of 32 not below size_px, got {self.network_px}"
            )
        if not 0.0 <= self.fit <= 1.0:
            raise ConfigError(f"fit must be 0 (centre crop) to 1 (letterbox), got {self.fit}")
        if self.fill not in BORDER_MODES:
            raise ConfigError(f"fill must be one of {', '.join(BORDER_MODES)}, got {self.fill!r}")
        for step in self.steps:
            if step not in STEPS:
                raise ConfigError(f"steps must be among {', '.join(STEPS)}, got {step!r}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != 3 or not all(map(math.isfinite, values)):
                raise ConfigError(f"{name} must hold three finite values, got {values}")
        if not all(std > 0.0 for std in self.std):
            raise ConfigError(f"std must be above 0 for every channel, got {self.std}")

    @property
    def seen_px(self) -> int:
        """Side of the square that the first convolution sees."""
        return self.network_px or self.size_px

    @property
    def grid(self) -> int:
        """Rows, and columns, of the last feature map."""
        return self.seen_px // FEATURE_STRIDE_PX


@dataclass(frozen=True, eq=False)
class View:
    """The square that the network sees, and where it lies in the image.

    Attributes:
        pixels: ``(size, size, 3)`` uint8 RGB.
        to_image: ``(2, 3)`` float64, maps pixel centres ``(x, y, 1)`` of the view to pixel
            centres of the image it was cut from.
    """

    pixels: NDArray[np.uint8]
    to_image: NDArray[np.float64]


def check_pixel_aspect(pixel_aspect: float, *, rounding: float = 1.0) -> None:
    """Refuse a pixel that no photograph has.

    Args:
        pixel_aspect: width of a pixel divided by its height.
        rounding: by how much it may lie outside the range, as a factor of at least 1.

    Raises:
        ConfigError: it is no number, or outside ``PIXEL_ASPECT_RANGE``.
    """
    low, high = PIXEL_ASPECT_RANGE
    is_number = isinstance(pixel_aspect, int | float | np.integer | np.floating)
    # Written so that nan is refused as well.
    if not (is_number and low / rounding <= pixel_aspect <= high * rounding):
        raise ConfigError(f"pixel_aspect must be from {low} to {high}, got {pixel_aspect}")


def to_field(
    image: NDArray[np.uint8], size_px: int, *, pixel_aspect: float = 1.0
) -> NDArray[np.uint8]:
    """Return the whole image in true proportions, its short side ``size_px`` long.

    Args:
        image: ``(H, W, 3)`` uint8.
        size_px: wanted length of the short side.
        pixel_aspect: width of a pixel divided by its height: 1 for any ordinary image, 4/3 where
            a 4:3 image was squeezed to a square.

    Raises:
        ConfigError: ``pixel_aspect`` is outside ``PIXEL_ASPECT_RANGE``.
    """
    check_pixel_aspect(pixel_aspect, rounding=_ASPECT_ROUNDING)
    height, width = image.shape[:2]
    true_width = width * pixel_aspect
    scale = size_px / min(true_width, height)
    target = (max(size_px, round(true_width * scale)), max(size_px, round(height * scale)))
    return _resize(image, target)


def to_view(field: NDArray[np.uint8], preprocessing: Preprocessing) -> View:
    """Return the centred square of a field, artifact steps applied.

    Args:
        field: ``(H, W, 3)`` uint8 from ``to_field``.
        preprocessing: shape of the square and the steps.

    Returns:
        The view; its ``to_image`` maps to pixels of ``field``.
    """
    cleaned = apply_steps(field, preprocessing.steps)
    height, width = cleaned.shape[:2]
    scale = preprocessing.size_px / side_of_square((height, width), preprocessing.fit)
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized = _resize(cleaned, target)
    border = BORDER_MODES[preprocessing.fill]
    pixels, offset_x, offset_y = _centre(resized, preprocessing.size_px, border)
    to_field_px = np.array(
        [
            _axis_map(width / target[0], offset_x, column=0),
            _axis_map(height / target[1], offset_y, column=1),
        ]
    )
    return View(pixels=pixels, to_image=to_field_px)


def side_of_square(shape: tuple[int, ...], fit: float) -> float:
    """Return the side, in pixels of a field ``(H, W, ...)``, of the square that is served.

    Args:
        shape: of the field.
        fit: as ``Preprocessing.fit``, 0 to 1.
    """
    short, long = sorted(shape[:2])
    side: float = short ** (1.0 - fit) * long**fit
    return side


def rescale_map(
    to_image: NDArray[np.float64], *, scale_x: float, scale_y: float
) -> NDArray[np.float64]:
    """Return an affine map whose target is enlarged by the given factors, pixel centres kept."""
    scaled = np.asarray(to_image * np.array([[scale_x], [scale_y]]))
    scaled[:, 2] += 0.5 * np.array([scale_x, scale_y]) - 0.5
    return scaled


def _axis_map(scale: float, offset: int, *, column: int) -> list[float]:
    """Return one row of an affine map: ``(u + offset + 1/2) * scale - 1/2``."""
    row = [0.0, 0.0, (offset + 0.5) * scale - 0.5]
    row[column] = scale
    return row


def _centre(image: NDArray[np.uint8], size: int, border: int) -> tuple[NDArray[np.uint8], int, int]:
    """Crop or pad both axes to ``size`` about the centre; return also the offset into the image."""
    height, width = image.shape[:2]
    left, top = (width - size) // 2, (height - size) // 2
    cropped = image[max(top, 0) : max(top, 0) + size, max(left, 0) : max(left, 0) + size]
    pad_top, pad_left = max(-top, 0), max(-left, 0)
    pad_bottom = size - pad_top - cropped.shape[0]
    pad_right = size - pad_left - cropped.shape[1]
    if pad_top or pad_left or pad_bottom or pad_right:
        padded = cv2.copyMakeBorder(cropped, pad_top, pad_bottom, pad_left, pad_right, border)
        return np.asarray(padded, np.uint8), left, top
    return np.ascontiguousarray(cropped), left, top


def _resize(image: NDArray[np.uint8], target: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize to ``(width, height)`` and keep the sharpness alike, however large the image was.

    Answers follow sharpness. Area averaging, the usual way, blurs by an amount that depends on the
    factor and is worst just above 1, where a JPEG decoded at half scale lies: the same picture as
    PNG was answered otherwise. Cubic curves serve for enlarging and slight reductions, and for
    others a sinc as wide as the reduction, windowed (Lanczos, J SIAM B 1, 1964).
    """
    height, width = image.shape[:2]
    if (width, height) == target:
        return image
    if max(width / target[0], height / target[1]) < _SLIGHT_REDUCTION:
        return _interpolate(image, target)
    reduced = Image.fromarray(image).resize(
        target, Image.Resampling.LANCZOS, reducing_gap=_BLOCK_GAP
    )
    return np.asarray(reduced, np.uint8)


def _interpolate(image: NDArray[np.uint8], target: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize with cubic curves, to the same pixels on every processor.

    Left to itself OpenCV calls Intel's IPP, whose bytes differ between processors of one kind, and
    where there is no IPP its own fixed-point arithmetic, which differs from both: probabilities
    moved by up to .04. In float32 and without IPP the same steps are taken everywhere, and rounded
    once.
    """
    # OpenCV keeps this switch for each thread, so that no other thread's work is touched.
    allowed = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(False)
    try:
        resized = cv2.resize(image.astype(np.float32), target, interpolation=cv2.INTER_CUBIC)
    finally:
        cv2.ipp.setUseIPP(allowed)
    # In place, for fresh memory of this size costs more than the arithmetic.
    np.rint(resized, out=resized)
    np.clip(resized, 0, 255, out=resized)
    return resized.astype(np.uint8)
