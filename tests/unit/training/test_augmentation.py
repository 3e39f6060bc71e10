"""Random views: nothing changes but what the settings name, and the same chance repeats."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from dermassist.config import AugmentationSection
from dermassist.training.augmentation import Image, augment

STILL = AugmentationSection(
    rotation_degrees=0.0,
    flips=False,
    scale=(1.0, 1.0),
    shift=0.0,
    brightness=0.0,
    contrast=0.0,
    saturation=0.0,
    hue_degrees=0.0,
    gamma=0.0,
)
ALL = replace(AugmentationSection(), zoom=0.1, stretch=0.1, blur=0.02, erasing=0.5)


@pytest.fixture
def field() -> Image:
    return np.random.default_rng(3).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def view(field: Image, settings: AugmentationSection, seed: int = 0) -> Image:
    return augment(field, 48, settings, fill="reflect", random=np.random.default_rng(seed))


def sharpness(image: Image) -> float:
    return float(cv2.Laplacian(image, cv2.CV_64F).var())


def test_with_everything_off_the_view_is_the_middle_square(field: Image) -> None:
    np.testing.assert_array_equal(view(field, STILL), field[:, 8:56])


def test_the_same_chance_gives_the_same_view_and_another_a_different_one(field: Image) -> None:
    np.testing.assert_array_equal(view(field, ALL, 1), view(field, ALL, 1))
    assert not np.array_equal(view(field, ALL, 1), view(field, ALL, 2))


@pytest.mark.parametrize(
    "change",
    [
        {"rotation_degrees": 90.0},
        {"flips": True},
        {"scale": (0.5, 0.6)},
        {"zoom": 0.2},
        {"shift": 0.2},
        {"stretch": 0.3},
        {"brightness": 0.3},
        {"contrast": 0.3},
        {"saturation": 0.3},
        {"hue_degrees": 30.0},
        {"gamma": 0.3},
        {"blur": 0.05},
        {"erasing": 1.0},
        {"framing": "random_resized_crop", "scale": (0.3, 0.5)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_setting_alone_changes_the_view(field: Image, change: dict[str, Any]) -> None:
    settings = replace(STILL, **change)
    changed = [view(field, settings, seed) for seed in range(4)]
    assert any(not np.array_equal(each, view(field, STILL)) for each in changed)
    assert all(each.shape == (48, 48, 3) and each.dtype == np.uint8 for each in changed)


def test_a_blur_softens_by_up_to_its_width_and_keeps_the_mean(field: Image) -> None:
    softened = [view(field, replace(STILL, blur=0.05), seed) for seed in range(20)]
    sharp = [sharpness(each) for each in softened]
    widest = cv2.GaussianBlur(view(field, STILL), (0, 0), 0.05 * 48)
    assert sharpness(np.asarray(widest, np.uint8)) <= min(sharp)
    assert max(sharp) > 10 * min(sharp)
    for each in softened:
        assert each.mean() == pytest.approx(field[:, 8:56].mean(), abs=1.5)


def test_a_blur_that_is_off_moves_no_other_chance(field: Image) -> None:
    # the recipes of the published networks know no blur
    geometric = replace(ALL, blur=0.0)
    thin = replace(ALL, blur=1e-6, erasing=0.0)
    np.testing.assert_array_equal(
        view(field, replace(geometric, erasing=0.0), 5), view(field, thin, 5)
    )


def test_erasing_blanks_one_rectangle_with_the_mean_colour(field: Image) -> None:
    whole, erased = view(field, STILL), view(field, replace(STILL, erasing=1.0))
    rows, columns = np.nonzero((whole != erased).any(axis=2))
    inside = erased[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert (inside == whole.mean((0, 1)).astype(np.uint8)).all()
    assert 0.01 < inside.shape[0] * inside.shape[1] / 48**2 < 0.2
