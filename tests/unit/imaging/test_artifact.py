from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dermassist.imaging import STEPS, apply_steps, to_field
from dermassist.imaging.artifact import (
    LIGHTNESS_RANGE,
    correct_brightness,
    hair_mask,
    remove_hair,
    smooth,
)
from dermassist.sample import draw_lesion

CLEAN = to_field(draw_lesion(np.random.default_rng(7)), 224)


def with_hairs(image: NDArray[np.uint8], *, seed: int = 0, count: int = 6) -> NDArray[np.uint8]:
    """Draw dark curves, one and two pixels wide, from one side of the image to another."""
    random = np.random.default_rng(seed)
    height, width = image.shape[:2]
    haired = image.copy()
    for k in range(count):
        x = np.linspace(0, width - 1, 40)
        start, end, bend = random.uniform(0, height, 3)
        y = start + (end - start) * x / width + (bend - height / 2) * np.sin(np.pi * x / width)
        points = np.rint(np.column_stack([x, y])).astype(np.int32)
        cv2.polylines(haired, [points], False, (35, 25, 22), 1 + k % 2, cv2.LINE_AA)
    return haired


def mean_error(image: NDArray[np.uint8], reference: NDArray[np.uint8]) -> float:
    return float(np.abs(image.astype(float) - reference).mean())


def lightness(image: NDArray[np.uint8]) -> float:
    return float(cv2.cvtColor(image, cv2.COLOR_RGB2LAB)[..., 0].mean())


# Hair.


@pytest.mark.parametrize("seed", range(4))
def test_drawn_hairs_are_removed(seed: int) -> None:
    haired = with_hairs(CLEAN, seed=seed)
    cleaned = remove_hair(haired)

    assert mean_error(cleaned, CLEAN) < 0.5 * mean_error(haired, CLEAN)


def test_hairs_are_found_where_they_were_drawn() -> None:
    haired = with_hairs(CLEAN)
    drawn = np.abs(haired.astype(int) - CLEAN).max(axis=2) > 60
    found = hair_mask(haired) > 0

    assert found[drawn].mean() > 0.8
    # The mask is dilated by a pixel; beyond that, only what a hair touches may be taken for it.
    near = cv2.dilate(drawn.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert found[~near].mean() < 0.04


@pytest.mark.parametrize("side", [128, 160, 448])
def test_a_step_means_the_same_on_the_skin_at_every_size(side: int) -> None:
    haired = with_hairs(to_field(draw_lesion(np.random.default_rng(7)), 448), seed=1)
    at_224 = hair_mask(to_field(haired, 224)) > 0
    found = hair_mask(to_field(haired, side)) > 0
    as_large = cv2.resize(found.astype(np.uint8), at_224.shape[::-1], interpolation=cv2.INTER_AREA)
    assert (at_224 & (as_large > 0)).sum() > 0.7 * at_224.sum()

    def change(size: int) -> float:
        field = to_field(haired, size)
        return mean_error(smooth(field), field)

    # Coarser pixels differ more from each other, so a filter of as many pixels would change more.
    assert change(side) == pytest.approx(change(224), rel=0.5)


def test_the_structure_of_a_lesion_is_no_hair() -> None:
    assert remove_hair(CLEAN) is CLEAN


@pytest.mark.parametrize("turns", range(4))
def test_the_rim_of_a_dark_corner_is_no_hair(turns: int) -> None:
    skin = np.full((224, 224, 3), 200, np.uint8)
    skin[60:160, :3] = 20

    assert not hair_mask(np.ascontiguousarray(np.rot90(skin, turns))).any()


def test_globules_that_touch_are_no_hair() -> None:
    skin = np.full((224, 300, 3), 200, np.uint8)
    for x in range(100, 140, 5):
        cv2.circle(skin, (x, 100 + x % 2 * 4), 3, (60, 40, 30), -1)

    assert not hair_mask(skin).any()


def test_an_image_without_lines_is_returned_as_it_is() -> None:
    dots = np.full((224, 300, 3), 200, np.uint8)
    for x in range(20, 300, 30):
        cv2.circle(dots, (x, 100), 3, (60, 40, 30), -1)

    smooth_lesion = np.asarray(cv2.GaussianBlur(CLEAN, (0, 0), 3), np.uint8)

    assert remove_hair(dots) is dots
    assert remove_hair(smooth_lesion) is smooth_lesion


def test_a_thick_border_is_no_hair() -> None:
    disc = np.full((224, 300, 3), 210, np.uint8)
    cv2.circle(disc, (150, 112), 60, (90, 60, 50), -1)

    assert not hair_mask(disc).any()


# Brightness.


@pytest.mark.parametrize("factor", [0.15, 0.3, 0.5])
def test_a_dark_image_is_brightened_to_the_range(factor: float) -> None:
    dark = (CLEAN * factor).astype(np.uint8)
    corrected = correct_brightness(dark)

    assert lightness(dark) < LIGHTNESS_RANGE[0]
    assert lightness(corrected) == pytest.approx(LIGHTNESS_RANGE[0], abs=4.0)


def test_a_bright_image_is_darkened_towards_the_range() -> None:
    bright = np.clip(CLEAN.astype(int) + 70, 0, 255).astype(np.uint8)
    corrected = lightness(correct_brightness(bright))

    # What is blown out stays white, so the mean comes near the range, not into it.
    assert LIGHTNESS_RANGE[1] < corrected < LIGHTNESS_RANGE[1] + 8.0 < lightness(bright)


@given(level=st.integers(120, 190))
def test_an_image_in_the_range_is_bit_identical(level: int) -> None:
    image = np.full((32, 32, 3), level, np.uint8)
    assert LIGHTNESS_RANGE[0] <= lightness(image) <= LIGHTNESS_RANGE[1]
    assert correct_brightness(image) is image


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_stay(level: int) -> None:
    image = np.full((32, 32, 3), level, np.uint8)
    np.testing.assert_array_equal(correct_brightness(image), image)


def test_brightness_keeps_the_order_of_lightness() -> None:
    ramp = np.repeat(np.arange(0, 90, dtype=np.uint8)[None, :, None], 3, axis=2)
    corrected = correct_brightness(np.repeat(ramp, 8, axis=0))[0, :, 0].astype(int)

    assert (np.diff(corrected) >= 0).all()
    assert corrected[-1] > 90


# Smoothing.


def test_smoothing_takes_noise_and_leaves_edges() -> None:
    edge = np.full((224, 224, 3), 190, np.uint8)
    edge[:, 60:] = 80
    noise = np.random.default_rng(0).normal(0, 5, edge.shape)
    noisy = np.clip(np.rint(edge + noise), 0, 255).astype(np.uint8)
    smoothed = smooth(noisy)

    flat = np.s_[10:110, 10:50]
    assert smoothed[flat].std() < 0.7 * noisy[flat].std()
    step = smoothed[:, 55:59].mean() - smoothed[:, 61:65].mean()
    assert step == pytest.approx(110, abs=2)
    assert smoothed[:, 59].mean() - smoothed[:, 60].mean() > 100  # still one pixel wide


# All of them.


@pytest.mark.parametrize("name", STEPS)
def test_a_clean_image_is_almost_unchanged(name: str) -> None:
    # Measured on such drawings, in grey levels of 255: hair 0.8, brightness 0, smoothing 0.8.
    assert mean_error(apply_steps(CLEAN, [name]), CLEAN) < 1.0


@settings(max_examples=30)
@given(
    steps=st.lists(st.sampled_from(sorted(STEPS)), max_size=4),
    height=st.integers(32, 80),
    width=st.integers(32, 80),
    seed=st.integers(0, 99),
)
def test_steps_keep_shape_and_type_and_leave_their_input(
    steps: list[str], height: int, width: int, seed: int
) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    image.setflags(write=False)
    result = apply_steps(image, steps)

    assert result.shape == image.shape
    assert result.dtype == np.uint8


def test_steps_are_applied_in_order() -> None:
    dark = (with_hairs(CLEAN) * 0.3).astype(np.uint8)
    hair_first = apply_steps(dark, ["hair", "brightness"])

    np.testing.assert_array_equal(hair_first, correct_brightness(remove_hair(dark)))
    np.testing.assert_array_equal(apply_steps(dark, []), dark)
    assert (hair_first != apply_steps(dark, ["brightness", "hair"])).any()


def test_an_unknown_step_is_an_error() -> None:
    with pytest.raises(KeyError, match="magic"):
        apply_steps(CLEAN, ["magic"])
