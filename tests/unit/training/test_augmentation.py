"""Random views: nothing changes but what the settings name, and the same chance repeats."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermassist.config import AugmentationSection, TrainingConfig
from dermassist.data.cache import open_cache
from dermassist.data.ham10000 import read_ham10000
from dermassist.imaging import Preprocessing, to_view
from dermassist.imaging.geometry import side_of_square
from dermassist.training.augmentation import Image, augment
from dermassist.training.loader import EpochData

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
    random = np.random.default_rng(seed)
    return augment(field, 48, settings, fill="reflect", fit=0.0, random=random)


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


def spot(image: Image) -> tuple[float, float, float]:
    """Return where the bright spot of a dark image lies, from its middle, and its width in px."""
    light = image[:, :, 0].astype(float)
    rows, columns = np.indices(light.shape)
    y, x = (float((light * place).sum() / light.sum()) for place in (rows, columns))
    width = math.sqrt(float((light * ((rows - y) ** 2 + (columns - x) ** 2)).sum() / light.sum()))
    middle = (image.shape[0] - 1) / 2
    return x - middle, y - middle, width


def turn_of_hue(image: Image) -> float:
    """Return the hue of a uniform image as an angle from that of red, below 0 towards blue."""
    red, green, blue = (float(channel) for channel in image[24, 24])
    return math.atan2(math.sqrt(3.0) * (green - blue), 2.0 * red - green - blue)


#: A spot right of the middle, a reddish colour, and a ramp of grey levels.
SPOT = np.zeros((48, 48, 3), np.uint8)
cv2.circle(SPOT, (34, 24), 4, (255, 255, 255), -1)
RED = np.full((48, 48, 3), (150, 100, 100), np.uint8)
RAMP = np.repeat(np.linspace(60, 190, 48).astype(np.uint8)[None, :, None], 48, 0).repeat(3, 2)


@pytest.mark.parametrize(
    ("change", "field", "measured"),
    [
        ({"rotation_degrees": 60.0}, SPOT, lambda image: spot(image)[1]),
        ({"shift": 0.1}, SPOT, lambda image: spot(image)[0]),
        ({"shift": 0.1}, SPOT, lambda image: spot(image)[1]),
        ({"zoom": 0.2}, SPOT, lambda image: spot(image)[2]),
        ({"scale": (0.8, 1.25)}, SPOT, lambda image: spot(image)[2]),
        ({"stretch": 0.5}, SPOT, lambda image: spot(image)[0]),
        ({"brightness": 0.3}, RED, lambda image: float(image.mean())),
        ({"contrast": 0.3}, RAMP, lambda image: float(image.std())),
        ({"saturation": 0.3}, RED, lambda image: float(np.ptp(image[24, 24]))),
        ({"hue_degrees": 40.0}, RED, turn_of_hue),
        ({"gamma": 0.3}, RED, lambda image: float(image.mean())),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_every_setting_goes_to_both_sides_alike(
    change: dict[str, Any], field: Image, measured: Callable[[Image], float]
) -> None:
    unchanged = measured(view(field, STILL))
    settings = replace(STILL, **change)
    found = np.array([measured(view(field, settings, seed)) for seed in range(200)])
    more = float((found > unchanged).mean())
    less = float((found < unchanged).mean())
    assert 0.35 < more < 0.65
    assert 0.35 < less < 0.65


def test_a_random_resized_crop_lies_to_every_side() -> None:
    settings = replace(STILL, framing="random_resized_crop", scale=(0.5, 0.7))
    found = np.array([spot(view(SPOT, settings, seed))[:2] for seed in range(200)])
    for places, middle in ((found[:, 0], 10.0 / math.sqrt(0.6)), (found[:, 1], 0.0)):
        assert 0.35 < (places > middle).mean() < 0.65


def test_half_of_the_views_are_mirrored_along_either_axis(field: Image) -> None:
    still = view(field, STILL)
    mirrored = {(x, y): still[::y, ::x] for x in (1, -1) for y in (1, -1)}
    settings, counts = replace(STILL, flips=True), dict.fromkeys(mirrored, 0)
    for seed in range(200):
        given = view(field, settings, seed)
        (kind,) = [k for k, image in mirrored.items() if np.array_equal(given, image)]
        counts[kind] += 1
    # A quarter each: four standard deviations are 24 of 200.
    assert all(26 <= count <= 74 for count in counts.values()), counts


@given(height=st.integers(32, 3000), width=st.integers(32, 3000))
def test_without_a_fit_the_window_is_measured_in_short_sides_exactly(
    height: int, width: int
) -> None:
    # So that recipes without it show the very views that they always did.
    assert side_of_square((height, width, 3), 0.0) == min(height, width)


@pytest.mark.parametrize("fit", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(60, 90), (90, 60), (48, 48), (150, 260)])
def test_with_everything_off_the_window_is_what_serving_sees(
    fit: float, shape: tuple[int, int]
) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (*shape, 3), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), min(shape) / 12)
    # Stretched to all grey levels, so that another scale shows: it differs by 17 levels or more.
    field = np.asarray(cv2.normalize(smooth, smooth, 0, 255, cv2.NORM_MINMAX), np.uint8)
    served = to_view(field, Preprocessing(size_px=32, fit=fit)).pixels
    random = np.random.default_rng(0)
    trained = augment(field, 32, STILL, fill="reflect", fit=fit, random=random)
    # Serving cuts between pixels, which moves its view by half a pixel where they are odd.
    assert np.abs(trained.astype(float) - served).mean() < 6.0


def test_the_loader_frames_by_the_recipe_s_fit(
    make_ham10000: Callable[..., Path], tmp_path: Path
) -> None:
    records = read_ham10000(make_ham10000(lesions_per_class=1, size=(96, 64))).records[:1]
    preprocessing = Preprocessing(size_px=32, fit=1.0)
    cache = open_cache(records, preprocessing, tmp_path / "cache", pixel_aspect=1.0)
    config = TrainingConfig(preprocessing=preprocessing, augmentation=STILL)
    data = EpochData(config, records, records, cache=cache, workers=0)
    views, _ = next(iter(data.train_dataloader()))
    whole, middle = (
        augment(
            cache.field(records[0].image_id),
            32,
            STILL,
            fill="reflect",
            fit=fit,
            random=np.random.default_rng(0),
        )
        for fit in (1.0, 0.0)
    )
    np.testing.assert_array_equal(views[0].numpy(), whole)
    assert not np.array_equal(whole, middle)


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
