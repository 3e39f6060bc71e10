"""Drawing evidence: one colour scale for every image, so that "no evidence" looks like none."""

from __future__ import annotations

import io
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dermassist.diagnosis import Diagnosis
from dermassist.errors import ConfigError, ImageError
from dermassist.explain.activation_map import signed_heatmap
from dermassist.imaging import RasterImage
from dermassist.imaging.geometry import rescale_map
from dermassist.results import Explanation, ImageInfo

#: Longest side of a drawn picture in px; larger originals are shown reduced.
MAX_SIDE_PX = 1600
#: Shortest side that leaves room for a readable scale; smaller originals are shown enlarged.
MIN_SIDE_PX = 300
OPACITY = 0.6
#: How much darker the part of the image is drawn that the network did not see.
UNSEEN_DIM = 0.45
BAR_HEIGHT_SHARE = 0.13
#: Of a title that must fit above the scale.
_SMALLEST_FONT = 6.0
_FOR, _AGAINST = "evidence for", "evidence against"


def colours(evidence: NDArray[np.float32], scale: float, *, signed: bool) -> NDArray[np.uint8]:
    """Return colours ``(..., 3)`` uint8 of evidence in logits.

    Args:
        evidence: any shape; NaN is drawn as no evidence.
        scale: evidence at which colours saturate; the same for every image.
        signed: True for blue (against) over white to orange (for); False for the perceptually
            even, colour-blind-safe "inferno" from none to ``scale``.
    """
    level = np.nan_to_num(evidence, nan=0.0) / scale
    if signed:
        return _diverging(np.clip(level, -1.0, 1.0))
    indices = np.rint(255.0 * np.clip(level, 0.0, 1.0)).astype(np.uint8)
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_INFERNO)
    return np.asarray(table.reshape(256, 3)[:, ::-1][indices], np.uint8)


def render_heatmap(
    explanation: Explanation,
    diagnosis: Diagnosis,
    *,
    width: int,
    height: int,
    signed: bool = False,
) -> bytes:
    """Draw the evidence for one diagnosis in the image's geometry, with its scale, as PNG."""
    size = (width, height)
    evidence = drawn_evidence(explanation, diagnosis, full=size, drawn=drawn_size(*size))
    picture = colours(evidence, explanation.scale, signed=signed)
    picture[np.isnan(evidence)] = 128
    return _with_bar(picture, explanation.scale, diagnosis, signed=signed)


def render_overlay(
    image: NDArray[np.uint8],
    explanation: Explanation,
    diagnosis: Diagnosis,
    *,
    info: ImageInfo | RasterImage,
    signed: bool = False,
    opacity: float = OPACITY,
) -> bytes:
    """Draw the evidence for one diagnosis over the image, with its scale, as PNG.

    Args:
        image: ``(H, W, 3)`` uint8, the upright original or a smaller copy of it.
        explanation: of this image.
        diagnosis: which of the seven maps.
        info: the image's full size, which the explanation refers to: what was assessed or read.
        signed: show evidence against the diagnosis as well.
        opacity: of the strongest evidence, 0 to 1; weaker evidence is more transparent.

    Returns:
        A PNG of the image's proportions with the colour scale below; what the network did not
        see is dimmed.

    Raises:
        ImageError: the image has other proportions than ``info``.
        ConfigError: the opacity is out of its range.
    """
    blended = blend(image, explanation, diagnosis, info=info, signed=signed, opacity=opacity)
    return _with_bar(blended, explanation.scale, diagnosis, signed=signed)


def blend(
    image: NDArray[np.uint8],
    explanation: Explanation,
    diagnosis: Diagnosis,
    *,
    info: ImageInfo | RasterImage,
    signed: bool = False,
    opacity: float = OPACITY,
) -> NDArray[np.uint8]:
    """Return the overlay without its scale, ``(h, w, 3)`` uint8; arguments as there."""
    if not 0.0 <= opacity <= 1.0:
        raise ConfigError(f"opacity must be from 0 to 1, got {opacity}")
    height, width = image.shape[:2]
    _check_proportions(width, height, info)
    size = drawn_size(width, height)
    base = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    evidence = drawn_evidence(explanation, diagnosis, full=(info.width, info.height), drawn=size)
    level = np.nan_to_num(evidence, nan=0.0) / explanation.scale
    strength = np.clip(np.abs(level) if signed else level, 0.0, 1.0)[..., None] * opacity
    painted = colours(evidence, explanation.scale, signed=signed)
    mixed = base * (1.0 - strength) + painted * strength
    mixed[np.isnan(evidence)] *= UNSEEN_DIM
    return np.asarray(np.rint(mixed), np.uint8)


def drawn_size(width: int, height: int) -> tuple[int, int]:
    """Return ``(width, height)`` at which an image is drawn, in its own proportions."""
    scale = min(1.0, MAX_SIDE_PX / max(width, height))
    scale = max(scale, min(MIN_SIDE_PX / min(width, height), MAX_SIDE_PX / max(width, height)))
    return max(1, round(width * scale)), max(1, round(height * scale))


def drawn_evidence(
    explanation: Explanation, diagnosis: Diagnosis, *, full: tuple[int, int], drawn: tuple[int, int]
) -> NDArray[np.float32]:
    """Return the signed heatmap of an image that is drawn at another size.

    Args:
        explanation: of the image at its full size.
        diagnosis: which of the seven maps.
        full: ``(width, height)`` of the image in px.
        drawn: ``(width, height)`` of the picture in px.

    Returns:
        ``(height, width)`` of the picture, float32, as ``signed_heatmap``.
    """
    width, height = drawn
    to_drawn = rescale_map(explanation.to_image, scale_x=width / full[0], scale_y=height / full[1])
    resized = replace(explanation, to_image=to_drawn)
    return signed_heatmap(resized, diagnosis, width=width, height=height)


def _check_proportions(width: int, height: int, info: ImageInfo | RasterImage) -> None:
    # Whoever makes a smaller copy rounds each side to whole pixels, up or down.
    rounding = max(info.width, info.height)
    if abs(width * info.height - height * info.width) > rounding:
        raise ImageError(
            f"{info.name}: pixels of {width} x {height} are no picture of {info.width} x "
            f"{info.height}; give the pixels of this image"
        )


def _diverging(level: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Blue over white to orange (ColorBrewer PuOr's ends), linear in the level from -1 to 1."""
    white = np.array([247.0, 247.0, 247.0])
    positive, negative = np.array([179.0, 88.0, 6.0]), np.array([33.0, 102.0, 172.0])
    end = np.where(level[..., None] >= 0.0, positive, negative)
    weight = np.abs(level)[..., None]
    return np.asarray(np.rint(white * (1.0 - weight) + end * weight), np.uint8)


def _with_bar(
    picture: NDArray[np.uint8], scale: float, diagnosis: Diagnosis, *, signed: bool
) -> bytes:
    """Add the colour scale below the picture and encode it."""
    height, width = picture.shape[:2]
    bar_height = max(44, round(min(height, width) * BAR_HEIGHT_SHARE))
    canvas = Image.new("RGB", (width, height + bar_height), "white")
    canvas.paste(Image.fromarray(picture), (0, 0))
    _draw_bar(canvas, top=height, scale=scale, diagnosis=diagnosis, signed=signed)
    encoded = io.BytesIO()
    canvas.save(encoded, "PNG")
    return encoded.getvalue()


def _draw_bar(
    canvas: Image.Image, *, top: int, scale: float, diagnosis: Diagnosis, signed: bool
) -> None:
    width, bar_height = canvas.width, canvas.height - top
    margin, font_size = width // 40, bar_height * 0.27
    font = ImageFont.load_default(font_size)
    draw = ImageDraw.Draw(canvas)
    title = f"{_AGAINST} | {_FOR} {diagnosis}" if signed else f"{_FOR} {diagnosis}"
    title_font = font
    while draw.textlength(title, title_font) > width - 2 * margin and font_size > _SMALLEST_FONT:
        font_size -= 0.5
        title_font = ImageFont.load_default(font_size)
    draw.text((margin, top + bar_height * 0.04), title, "black", title_font)
    low = -scale if signed else 0.0
    levels = np.linspace(low, scale, width - 2 * margin, dtype=np.float32)
    strip_height = max(4, round(bar_height * 0.2))
    strip = np.tile(colours(levels, scale, signed=signed)[None], (strip_height, 1, 1))
    canvas.paste(Image.fromarray(strip), (margin, top + round(bar_height * 0.42)))
    labels_top = top + bar_height * 0.65
    draw.text((margin, labels_top), f"{low:.3g}", "black", font)
    draw.text(
        (width - margin, labels_top), f"{scale:.3g} logits or more", "black", font, anchor="ra"
    )
