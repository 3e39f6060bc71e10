"""Is this image like those that the model was measured on?

Remarks compare an image with quantiles over the training images, which the manifest carries. No
threshold is made up; an image outside the range is answered all the same and says so.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dermassist.imaging import RasterImage
from dermassist.imaging.contrast import contrast_to_rim
from dermassist.model.manifest import QualityReference
from dermassist.results import ImageQuality

OVEREXPOSED_LEVEL = 250
#: How often healthy skin, and lesions, are called so was counted: ``benchmarks/healthy_skin.py``.
NO_LESION_FOUND = (
    "No lesion found: the middle of the view stands out from its rim less than in 99 % of the "
    "training images. This may be skin alone, a pale lesion, or one that fills the view. The model "
    "names one of its seven diagnoses all the same; do not rely on it."
)


def measure_quality(view: NDArray[np.uint8], *, short_side_px: int) -> ImageQuality:
    """Measure sharpness and exposure of a view ``(size, size, 3)`` uint8; no remarks yet."""
    grey = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)
    return ImageQuality(
        short_side_px=short_side_px,
        sharpness=float(cv2.Laplacian(grey, cv2.CV_32F).var()),
        brightness=float(grey.mean()),
        overexposed_share=float((view.min(axis=2) >= OVEREXPOSED_LEVEL).mean()),
        contrast=contrast_to_rim(view),
    )


def judge_quality(
    view: NDArray[np.uint8],
    raster: RasterImage,
    reference: QualityReference | None,
    *,
    size_px: int,
) -> ImageQuality:
    """Measure a view and say in which respects it lies outside the training images' range.

    Args:
        view: ``(size, size, 3)`` uint8.
        raster: the image it came from.
        reference: quantiles over the training images; without them only the size is judged.
        size_px: side of the network's input.
    """
    quality = measure_quality(view, short_side_px=min(raster.width, raster.height))
    remarks = [*_size_remarks(quality, size_px)]
    if reference is not None:
        quality = replace(quality, stands_out=_stands_out(quality, reference))
        remarks += _range_remarks(quality, reference)
    return replace(quality, remarks=tuple(remarks))


def _size_remarks(quality: ImageQuality, size_px: int) -> list[str]:
    if quality.short_side_px >= size_px:
        return []
    return [
        f"Small: the shorter side has {quality.short_side_px} pixels, the model looks at {size_px}."
    ]


def _stands_out(quality: ImageQuality, reference: QualityReference) -> bool | None:
    if quality.contrast is None or reference.contrast is None:
        return None
    return quality.contrast >= reference.contrast


def _range_remarks(quality: ImageQuality, reference: QualityReference) -> list[str]:
    """Return a sentence for each measure beyond 98 % of the training images."""
    remarks = [NO_LESION_FOUND] if quality.stands_out is False else []
    if quality.sharpness < reference.sharpness[0]:
        remarks.append("Blurred: less sharp than 99 % of the training images.")
    if quality.sharpness > reference.sharpness[1]:
        remarks.append("Noisy or overlaid: more fine detail than in 99 % of the training images.")
    if quality.brightness < reference.brightness[0]:
        remarks.append("Dark: darker than 99 % of the training images.")
    if quality.brightness > reference.brightness[1]:
        remarks.append("Bright: brighter than 99 % of the training images.")
    if quality.overexposed_share > max(reference.overexposed_share, 0.01):
        share = f"{quality.overexposed_share:.0%}"
        remarks.append(f"Over-exposed: {share} of the view is white, more than in training images.")
    return remarks
