"""Lesion masks, read strictly: a file that is cut short is no mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dermassist.errors import DataError, ImageError
from dermassist.imaging import read_image
from dermassist.imaging.reading import ReadingLimits

#: A mask is compared with its image, not answered, so it may be small.
_LIMITS = ReadingLimits(min_side_px=1)
#: Masks are black and white; where a viewer saved them with losses, the middle divides.
_MIDDLE = 127


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Read a lesion mask, true on the lesion, ``(height, width)``.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        pixels = read_image(path, limits=_LIMITS).pixels
    except ImageError as error:
        raise DataError(f"lesion mask {error}") from error
    return np.asarray(pixels[..., 0] > _MIDDLE)
