from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from dermassist.imaging import RasterImage
from dermassist.model.manifest import QualityReference
from dermassist.quality import NO_LESION_FOUND, judge_quality, measure_quality

REFERENCE = QualityReference(
    sharpness=(50.0, 2000.0), brightness=(80.0, 200.0), overexposed_share=0.02
)
SKIN = (225, 180, 165)
NOISE = np.random.default_rng(0)


def textured(mean: float, spread: float) -> NDArray[np.uint8]:
    values = NOISE.normal(mean, spread, (64, 64, 1))
    return np.repeat(np.clip(np.rint(values), 0, 255), 3, axis=2).astype(np.uint8)


def remarks(view: NDArray[np.uint8], *, short_side: int = 500) -> tuple[str, ...]:
    raster = RasterImage(view, short_side + 100, short_side, sha256="")
    return judge_quality(view, raster, REFERENCE, size_px=224).remarks


def test_measures_of_plain_grey_by_hand() -> None:
    quality = measure_quality(np.full((64, 64, 3), 100, np.uint8), short_side_px=450)

    assert (quality.short_side_px, quality.sharpness, quality.brightness) == (450, 0.0, 100.0)
    assert quality.overexposed_share == 0.0


def test_sharpness_of_a_checkerboard_by_hand() -> None:
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 10 + 100).astype(np.uint8)
    view = np.repeat(board[..., None], 3, axis=2)

    # The Laplacian is +-40 at every pixel (four neighbours, each 10 away), so its variance 1600.
    assert measure_quality(view, short_side_px=64).sharpness == pytest.approx(1600.0, rel=1e-6)


def test_overexposed_counts_pixels_that_are_white_in_every_channel() -> None:
    view = np.full((10, 10, 3), 100, np.uint8)
    view[0] = 250
    view[1] = (255, 255, 249)

    assert measure_quality(view, short_side_px=10).overexposed_share == pytest.approx(0.1)


def test_an_ordinary_image_has_no_remarks() -> None:
    assert remarks(textured(140, 5)) == ()


@pytest.mark.parametrize(
    ("view", "word"),
    [
        (textured(140, 0.5), "Blurred"),
        (textured(140, 30), "Noisy"),
        (textured(40, 5), "Dark"),
        (textured(220, 5), "Bright"),
    ],
)
def test_what_lies_outside_the_range_is_said(view: NDArray[np.uint8], word: str) -> None:
    (remark,) = remarks(view)
    assert remark.startswith(word)


def test_over_exposure_is_said_with_its_share() -> None:
    view = textured(140, 5)
    view[:16] = 255

    assert any(remark.startswith("Over-exposed: 25% of the view") for remark in remarks(view))


def test_a_small_image_is_said_with_both_sizes() -> None:
    assert remarks(textured(140, 5), short_side=223) == (
        "Small: the shorter side has 223 pixels, the model looks at 224.",
    )
    assert remarks(textured(140, 5), short_side=224) == ()


def test_without_a_reference_only_the_size_is_judged() -> None:
    view = cv2.GaussianBlur(textured(20, 1), (0, 0), 5)
    raster = RasterImage(np.asarray(view, np.uint8), 300, 300, sha256="")

    assert judge_quality(raster.pixels, raster, None, size_px=224).remarks == ()


def disc_on_skin(radius: float, colour: tuple[int, int, int] = (110, 60, 45)) -> NDArray[np.uint8]:
    """Return a view with a round spot in the middle, a little noise, and dark corners."""
    y, x = np.mgrid[:224, :224] - 111.5
    view = np.full((224, 224, 3), SKIN, np.float64)
    view[np.hypot(x, y) < radius] = colour
    view += np.random.default_rng(0).normal(0, 4, view.shape)
    view[np.hypot(x, y) > 130] = 5
    return view.clip(0, 255).astype(np.uint8)


def lab_distance(first: tuple[int, int, int], second: tuple[int, int, int]) -> float:
    pair = np.array([[first, second]], np.float32) / 255.0
    one, other = cv2.cvtColor(pair, cv2.COLOR_RGB2LAB)[0]
    return float(np.linalg.norm(one - other))


def contrast(view: NDArray[np.uint8]) -> float:
    measured = measure_quality(view, short_side_px=224).contrast
    assert measured is not None
    return measured


@pytest.mark.parametrize("radius", [16, 24, 40, 70])
def test_contrast_is_the_distance_of_a_spots_colour_from_skin_whatever_its_size(
    radius: int,
) -> None:
    view = disc_on_skin(radius)
    assert contrast(view) == pytest.approx(lab_distance(SKIN, (110, 60, 45)), rel=0.1)


def test_skin_alone_has_hardly_any_contrast_nor_have_specks_and_dark_corners() -> None:
    bare = disc_on_skin(0)
    assert contrast(bare) < 2.0
    speckled = bare.copy()
    speckled[110:113, 110:113] = 0
    assert contrast(speckled) < 2.0


def test_a_spot_larger_than_the_view_has_none() -> None:
    assert contrast(disc_on_skin(130)) < 2.0


def test_contrast_is_in_the_same_units_at_any_size() -> None:
    view = disc_on_skin(40)
    larger = cv2.resize(view, (448, 448), interpolation=cv2.INTER_LINEAR)
    assert contrast(np.asarray(larger, np.uint8)) == pytest.approx(contrast(view), rel=0.05)


@pytest.mark.parametrize(
    ("least", "stands_out", "remarked"),
    [(8.0, False, True), (1.0, True, False), (None, None, False)],
)
def test_a_pale_spot_is_called_no_lesion_only_below_what_was_measured(
    least: float | None, stands_out: bool | None, remarked: bool
) -> None:
    view = disc_on_skin(40, (222, 170, 155))
    reference = replace(REFERENCE, contrast=least)
    judged = judge_quality(view, RasterImage(view, 224, 224, sha256=""), reference, size_px=224)
    assert judged.stands_out is stands_out
    assert (NO_LESION_FOUND in judged.remarks) is remarked


def test_without_a_reference_nobody_says_whether_anything_stands_out() -> None:
    view = disc_on_skin(40)
    judged = judge_quality(view, RasterImage(view, 224, 224, sha256=""), None, size_px=224)
    assert judged.stands_out is None
