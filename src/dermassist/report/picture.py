"""The pictures of a report: the original, the heatmap, the overlay and their colour scale."""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dermassist.diagnosis import Diagnosis
from dermassist.errors import ImageError
from dermassist.explain.overlay import blend, colours, drawn_evidence
from dermassist.imaging import ImageSource, RasterImage, read_image
from dermassist.report.content import ColourScale, Figure, Figures
from dermassist.results import Explanation, ImageInfo

#: Longest side of a printed picture in px: 300 dots per inch at 59 mm.
PRINTED_SIDE_PX = 700
JPEG_QUALITY = 90
_UNSEEN_GREY = 128
_STRIP_PX = (256, 8)


def read_original(image: ImageSource | RasterImage, info: ImageInfo) -> NDArray[np.uint8]:
    """Return the pixels of the assessed image, reduced for print.

    Args:
        image: the file, its bytes, or what was read of it; pixels alone only where pixels alone
            were assessed, since their hash is another than a file's.
        info: of the image that was assessed.

    Raises:
        ImageError: it cannot be read, or it is not the image that was assessed.
    """
    raster = (
        image
        if isinstance(image, RasterImage)
        else read_image(image, name=info.name, reduce_to_px=PRINTED_SIDE_PX)
    )
    # All images of a camera have one size, so a size tells nothing.
    same_size = (raster.width, raster.height) == (info.width, info.height)
    if raster.sha256 != info.sha256 or not same_size:
        raise ImageError(
            f"{info.name}: this is not the image that was assessed (hash {raster.sha256[:12]}, "
            f"{raster.width} x {raster.height} px, instead of {info.sha256[:12]}, {info.width} x "
            f"{info.height} px); give the original file"
        )
    factor = min(1.0, PRINTED_SIDE_PX / max(raster.pixels.shape[:2]))
    height, width = (max(1, round(side * factor)) for side in raster.pixels.shape[:2])
    return np.asarray(cv2.resize(raster.pixels, (width, height), interpolation=cv2.INTER_AREA))


def original_figure(pixels: NDArray[np.uint8], *, caption: str) -> Figure:
    """Return the original as a figure."""
    return _jpeg(pixels, caption, "The assessed dermatoscopic image.")


def explanation_figures(
    pixels: NDArray[np.uint8], explanation: Explanation, diagnosis: Diagnosis, info: ImageInfo
) -> Figures:
    """Draw original, heatmap and overlay side by side.

    Args:
        pixels: as ``read_original`` returns them.
        explanation: of the image at its full size.
        diagnosis: whose evidence is drawn.
        info: full size of the image.
    """
    height, width = pixels.shape[:2]
    full = (info.width, info.height)
    evidence = drawn_evidence(explanation, diagnosis, full=full, drawn=(width, height))
    heatmap = colours(evidence, explanation.scale, signed=False)
    heatmap[np.isnan(evidence)] = _UNSEEN_GREY
    overlay = blend(pixels, explanation, diagnosis, info=info)
    return Figures(
        figures=(
            original_figure(pixels, caption="Figure 1. Original image"),
            _jpeg(
                heatmap,
                f"Figure 2. Grad-CAM heatmap for {diagnosis}",
                f"Heatmap of the evidence for {diagnosis}.",
            ),
            _jpeg(
                overlay,
                "Figure 3. Heatmap over the original image",
                f"The evidence for {diagnosis}, laid over the image.",
            ),
        ),
        scale=_colour_scale(explanation.scale),
    )


def _colour_scale(scale: float) -> ColourScale:
    width, height = _STRIP_PX
    levels = np.linspace(0.0, scale, width, dtype=np.float32)
    strip = np.tile(colours(levels, scale, signed=False)[None], (height, 1, 1))
    encoded = io.BytesIO()
    Image.fromarray(strip).save(encoded, "PNG")
    return ColourScale(
        strip=Figure(encoded.getvalue(), width, height, "", "Colour scale, from none to much."),
        low="no evidence",
        high=f"{scale:.3g} logits or more",
    )


def _jpeg(pixels: NDArray[np.uint8], caption: str, alternative: str) -> Figure:
    encoded = io.BytesIO()
    # Full colour resolution: the borders of a heatmap are borders of colour.
    Image.fromarray(pixels).save(encoded, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    height, width = pixels.shape[:2]
    return Figure(encoded.getvalue(), width, height, caption, alternative)
