"""How far the middle of a view stands out in colour from the skin at its rim.

Healthy skin has one colour; a lesion has another. Skin is the median colour of a ring at the rim of
the view's inner circle, because corners may be dark.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

#: Standard deviation of the blur, which takes hairs and specks away, as a share of the side.
_BLUR = 3 / 224
#: The ring of skin, and the circle in which a lesion is looked for, in half sides.
_RING = (0.8, 1.0)
_MIDDLE = 0.7
#: One per cent of the circle reaches it: a lesion may be small, a speck may not count.
_QUANTILE = 0.99


def contrast_to_rim(view: NDArray[np.uint8]) -> float:
    """Return the colour difference to the rim that 1 % of the middle of a view reaches.

    Args:
        view: ``(size, size, 3)`` uint8 RGB.

    Returns:
        Euclidean distance in CIELAB (CIE 1976), at least 0; about 2 can just be seen.
    """
    size = view.shape[0]
    ring, middle = _areas(size)
    lab = cv2.cvtColor(view.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    smooth = cv2.GaussianBlur(lab, (0, 0), _BLUR * size)
    skin = np.median(smooth[ring], axis=0)
    return float(np.quantile(np.linalg.norm(smooth[middle] - skin, axis=1), _QUANTILE))


@cache
def _areas(size: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which pixels ``(size, size)`` are in the ring, and which in the middle."""
    from_middle = (np.arange(size) - (size - 1) / 2) / (size / 2)
    radius = np.hypot(from_middle[:, None], from_middle[None, :])
    return (radius > _RING[0]) & (radius < _RING[1]), radius < _MIDDLE
