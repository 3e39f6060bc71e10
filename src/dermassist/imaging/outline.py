"""How much of a view stands out from the skin around it: a rough outline, no segmentation.

Skin is the median colour of a ring at the rim of the view's inner circle, because corners may be
dark. What lies far from it in CIELAB colour, by Otsu's threshold (Otsu, IEEE Trans. SMC 9, 1979),
falls apart into patches, of which the largest near the middle counts.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_BLUR_PX = 3.0
#: Radii of the ring of skin, and of the circle that is looked at, as shares of half the side.
_RING = (0.8, 1.0)
#: Patches smaller than this share of the view are hairs and specks.
_SMALLEST_PATCH = 0.0015
#: Colour distances up to 85 keep a third of a unit when they become bytes for Otsu's threshold.
_LEVELS_PER_UNIT = 3.0


def outlined_share(view: NDArray[np.uint8]) -> float:
    """Return the share of a view ``(size, size, 3)`` uint8 RGB that stands out, 0 to 1."""
    size = view.shape[0]
    radius = _radii(size)
    inside = radius < _RING[1]
    lab = cv2.cvtColor(view.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    smooth = cv2.GaussianBlur(lab, (0, 0), _BLUR_PX)
    skin = np.median(smooth[inside & (radius > _RING[0])], axis=0)
    distance = np.linalg.norm(smooth - skin, axis=2) * _LEVELS_PER_UNIT
    levels = np.where(inside, distance.clip(0, 255), 0).astype(np.uint8)
    threshold, _ = cv2.threshold(
        levels[inside].reshape(-1, 1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU
    )
    return float(_middle_patch((levels > threshold).astype(np.uint8), radius) / size**2)


def _middle_patch(mask: NDArray[np.uint8], radius: NDArray[np.float64]) -> int:
    """Return the pixels of the patch that is large and near the middle; 0 where there is none."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask)
    nearest = np.full(count, np.inf)
    np.minimum.at(nearest, np.asarray(labels, np.intp).ravel(), radius.ravel())
    areas = statistics[:, cv2.CC_STAT_AREA].astype(np.float64)
    # The first is the background.
    areas[0] = 0.0
    areas[areas < _SMALLEST_PATCH * mask.size] = 0.0
    pixels = mask.shape[0] / 2
    return int(areas[np.argmax(areas / (1.0 + nearest * pixels))])


def _radii(size: int) -> NDArray[np.float64]:
    """Return each pixel's distance from the middle, in half sides ``(size, size)``."""
    from_middle = (np.arange(size) - (size - 1) / 2) / (size / 2)
    return np.asarray(np.hypot(from_middle[:, None], from_middle[None, :]))
