from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dermassist.diagnosis import Diagnosis
from dermassist.errors import ConfigError, ImageError
from dermassist.explain.overlay import MIN_SIDE_PX, blend, render_heatmap, render_overlay
from dermassist.imaging import RasterImage
from dermassist.results import ImageInfo

from ..report.conftest import make_explanation

#: Of the image that the explanation is of.
INFO = ImageInfo("lesion.jpg", 600, 450, "ab" * 32)


def grey(width: int, height: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 90, np.uint8)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("diagnosis", Diagnosis)
def test_the_title_of_a_narrow_picture_is_not_cut(diagnosis: Diagnosis, signed: bool) -> None:
    size = {"width": MIN_SIDE_PX, "height": 400}
    drawn = render_heatmap(make_explanation(), diagnosis, **size, signed=signed)
    with Image.open(io.BytesIO(drawn)) as picture:
        below = np.asarray(picture.convert("L"))[400:]
    title = below[: int(len(below) * 0.4)]
    assert title.min() < 128
    assert (title[:, -MIN_SIDE_PX // 40 :] == 255).all()


@pytest.mark.parametrize("width", [400, 300, 1200])
def test_evidence_lies_alike_on_pixels_of_any_size(width: int) -> None:
    full = blend(grey(600, 450), make_explanation(), Diagnosis.MEL, info=INFO)
    pixels = grey(width, width * 3 // 4)
    other = blend(pixels, make_explanation(), Diagnosis.MEL, info=INFO)
    height_drawn, width_drawn = other.shape[:2]
    expected = cv2.resize(full, (width_drawn, height_drawn), interpolation=cv2.INTER_AREA)
    assert full.std() > 20
    # Of the colours' 255 steps; the borders of the dimmed part lie between pixels.
    assert np.abs(expected.astype(int) - other).mean() < 0.5


def test_a_reduced_decoding_of_odd_sides_is_taken() -> None:
    """libjpeg rounds each side of 1800 x 1350 up when it decodes at a quarter."""
    raster = RasterImage(grey(450, 338), 1800, 1350, "ab" * 32)
    drawn = render_overlay(raster.pixels, make_explanation(), Diagnosis.MEL, info=raster)
    with Image.open(io.BytesIO(drawn)) as picture:
        assert picture.width == 450


@pytest.mark.parametrize("size", [(450, 600), (450, 450), (600, 448), (300, 223)])
def test_pixels_of_other_proportions_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=r"lesion\.jpg: .* are no picture of 600 x 450"):
        render_overlay(grey(*size), make_explanation(), Diagnosis.MEL, info=INFO)


@pytest.mark.parametrize("opacity", [2.0, -0.1, float("nan")])
def test_an_opacity_out_of_range_is_refused(opacity: float) -> None:
    with pytest.raises(ConfigError, match="opacity must be from 0 to 1, got"):
        blend(grey(600, 450), make_explanation(), Diagnosis.MEL, info=INFO, opacity=opacity)
