from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from dermassist.errors import ConfigError
from dermassist.imaging import Fill, Preprocessing, RasterImage, read_image, to_field, to_view
from dermassist.imaging.geometry import rescale_map
from dermassist.inference.classifier import Classifier
from dermassist.sample import draw_lesion

from .encoding import encode

SIDES = st.integers(1, 700)
FILLS = st.sampled_from(["reflect", "replicate", "black"])


def plain(width: int, height: int, level: int = 90) -> NDArray[np.uint8]:
    return np.full((height, width, 3), level, np.uint8)


def dotted(width: int, height: int, x: int, y: int, radius: int) -> NDArray[np.uint8]:
    """A bright disc on black, which keeps its centre under any smooth resampling."""
    image = plain(width, height, 0)
    cv2.circle(image, (x, y), radius, (255, 255, 255), -1)
    return image


def centroid(image: NDArray[np.uint8]) -> tuple[float, float]:
    weight = image[..., 0].astype(float)
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]]
    return float((weight * x).sum() / weight.sum()), float((weight * y).sum() / weight.sum())


def widened(image: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Resample the second axis; pixels beyond the border repeat it."""
    old = image.shape[1]
    place = (np.arange(width) + 0.5) * old / width - 0.5
    left = np.floor(place).astype(int)
    total = np.zeros((image.shape[0], width, image.shape[2]))
    for step in (-1, 0, 1, 2):
        distance = np.abs(place - left - step)
        near = (1.25 * distance - 2.25) * distance**2 + 1.0
        far = -0.75 * (((distance - 5.0) * distance + 8.0) * distance - 4.0)
        weight = np.where(distance <= 1.0, near, far)
        total += weight[None, :, None] * image[:, (left + step).clip(0, old - 1)]
    return total


# The field.


@settings(max_examples=60)
@given(
    width=SIDES,
    height=SIDES,
    size=st.sampled_from([32, 96, 224]),
    pixel_aspect=st.sampled_from([1.0, 4 / 3, 0.75, 1.1]),
)
def test_a_field_has_the_wanted_short_side_and_true_proportions(
    width: int, height: int, size: int, pixel_aspect: float
) -> None:
    assume(max(width, height) <= 50 * min(width, height))
    field = to_field(plain(width, height), size, pixel_aspect=pixel_aspect)

    long = max(field.shape[:2])
    true_aspect = width * pixel_aspect / height
    wanted_long = size * max(true_aspect, 1 / true_aspect)
    assert min(field.shape[:2]) == size
    assert abs(long - wanted_long) <= 0.5 + 1e-9
    assert (field.shape[1] >= field.shape[0]) == (true_aspect >= 1) or long == size


def test_a_square_squeezed_from_four_to_three_gets_its_width_back() -> None:
    assert to_field(plain(224, 224), 224, pixel_aspect=4 / 3).shape == (224, 299, 3)


def test_a_square_crop_of_the_same_size_is_not_stretched() -> None:
    square = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)

    np.testing.assert_array_equal(to_field(square, 224), square)
    np.testing.assert_array_equal(to_view(to_field(square, 224), Preprocessing()).pixels, square)


@pytest.mark.parametrize("pixel_aspect", [0.0, -1.0, 0.2, 5.0, float("nan"), float("inf")])
def test_an_impossible_pixel_aspect_is_refused(pixel_aspect: float) -> None:
    with pytest.raises(ConfigError, match=r"pixel_aspect must be from 0\.25 to 4\.0, got"):
        to_field(plain(100, 100), 224, pixel_aspect=pixel_aspect)


def sharpness(field: NDArray[np.uint8]) -> float:
    grey = cv2.cvtColor(field, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def field_of(raster: RasterImage) -> NDArray[np.uint8]:
    return to_field(raster.pixels, 224, pixel_aspect=raster.pixel_aspect)


@pytest.mark.parametrize("size", [(300, 225), (400, 300), (600, 450), (1000, 750)])
def test_a_field_is_as_sharp_whatever_size_the_picture_came_in(size: tuple[int, int]) -> None:
    picture = Image.fromarray(draw_lesion(np.random.default_rng(7), width=1200, height=900))
    smaller = np.asarray(picture.resize(size, Image.Resampling.LANCZOS))

    wanted = sharpness(to_field(np.asarray(picture), 224))
    assert sharpness(to_field(smaller, 224)) == pytest.approx(wanted, rel=0.25)


@pytest.mark.parametrize("size", [(600, 450), (900, 675), (1200, 900)])
def test_a_jpeg_decoded_at_reduced_scale_stays_sharp(size: tuple[int, int]) -> None:
    picture = Image.fromarray(draw_lesion(np.random.default_rng(7), width=1200, height=900))
    whole = picture.resize(size, Image.Resampling.LANCZOS)
    encoded = encode(whole, "JPEG", quality=95, subsampling=0)

    kept = sharpness(field_of(read_image(encoded, reduce_to_px=224)))
    assert kept >= 0.65 * sharpness(field_of(read_image(whole)))


@settings(max_examples=25)
@given(width=st.integers(224, 1500), height=st.integers(224, 1500))
def test_reduced_decoding_keeps_the_proportions(width: int, height: int) -> None:
    encoded = encode(Image.new("RGB", (width, height), "tan"), "JPEG")
    reduced = field_of(read_image(encoded, reduce_to_px=224))

    assert reduced.shape == field_of(read_image(encoded)).shape


@pytest.mark.parametrize("width", [250, 299, 448])
def test_widening_follows_cubic_curves_to_the_nearest_level(width: int) -> None:
    """Keys' kernel with a = -3/4, in float64; OpenCV's bytes are not alike on all processors."""
    square = np.random.default_rng(7).integers(0, 256, (224, 224, 3), np.uint8)
    field = to_field(square, 224, pixel_aspect=width / 224)

    exact = widened(square.astype(np.float64), width)
    # Curves are laid in float32, which may round the other way halfway between two levels.
    clear = np.abs(exact - np.floor(exact) - 0.5) > 0.01
    assert field.shape == (224, width, 3)
    np.testing.assert_array_equal(field[clear], np.rint(exact).clip(0, 255)[clear])
    assert clear.mean() > 0.97


@pytest.mark.parametrize("allowed", [True, False])
def test_a_field_is_the_same_with_and_without_ipp_which_stays_as_it_was(allowed: bool) -> None:
    square = np.random.default_rng(8).integers(0, 256, (224, 224, 3), np.uint8)
    expected = to_field(square, 224, pixel_aspect=4 / 3)
    before = cv2.ipp.useIPP()
    try:
        cv2.ipp.setUseIPP(allowed)
        switched = cv2.ipp.useIPP()
        field = to_field(square, 224, pixel_aspect=4 / 3)
        assert cv2.ipp.useIPP() is switched
    finally:
        cv2.ipp.setUseIPP(before)
    np.testing.assert_array_equal(field, expected)


# The view.


@settings(max_examples=80)
@given(
    width=SIDES,
    height=SIDES,
    fit=st.floats(0, 1),
    fill=FILLS,
    size=st.sampled_from([32, 64, 224]),
)
def test_a_view_is_exactly_square(
    width: int, height: int, fit: float, fill: Fill, size: int
) -> None:
    assume(max(width, height) <= 50 * min(width, height))
    preprocessing = Preprocessing(size_px=size, fit=fit, fill=fill)
    view = to_view(to_field(plain(width, height), size), preprocessing)

    assert view.pixels.shape == (size, size, 3)
    assert view.pixels.dtype == np.uint8
    # A plain image stays plain, except for black bars where those were asked for.
    assert set(np.unique(view.pixels)) <= ({0, 90} if fill == "black" else {90})


@settings(max_examples=80)
@given(
    width=st.integers(100, 700),
    height=st.integers(100, 700),
    across=st.floats(0.3, 0.7),
    down=st.floats(0.3, 0.7),
    fit=st.floats(0, 1),
    pixel_aspect=st.sampled_from([1.0, 4 / 3]),
)
def test_the_map_leads_from_the_view_back_to_the_image(
    width: int,
    height: int,
    across: float,
    down: float,
    fit: float,
    pixel_aspect: float,
) -> None:
    assume(max(width * pixel_aspect, height) <= 1.6 * min(width * pixel_aspect, height))
    x, y = round(across * width), round(down * height)
    image = dotted(width, height, x, y, radius=min(width, height) // 12)
    preprocessing = Preprocessing(fit=fit, fill="black")
    field = to_field(image, preprocessing.size_px, pixel_aspect=pixel_aspect)
    view = to_view(field, preprocessing)
    to_image = rescale_map(
        view.to_image, scale_x=width / field.shape[1], scale_y=height / field.shape[0]
    )
    found = to_image @ np.array([*centroid(view.pixels), 1.0])

    pixel_of_view = max(to_image[0, 0], to_image[1, 1])
    assert np.abs(found - (x, y)).max() <= max(0.5, pixel_of_view)


def test_the_classifier_maps_to_pixels_of_the_original(classifier: Classifier) -> None:
    # The pixels were decoded at half scale; the map must lead to the original's 600 x 450.
    image = dotted(300, 225, 180, 90, radius=12)
    raster = RasterImage(image, width=600, height=450, sha256="")
    view = classifier.view(raster)

    found = view.to_image @ np.array([*centroid(view.pixels), 1.0])
    np.testing.assert_allclose(found, (2 * 180 + 0.5, 2 * 90 + 0.5), atol=1.0)


def test_a_reduced_decoding_lies_where_the_whole_picture_lies(classifier: Classifier) -> None:
    encoded = encode(Image.new("RGB", (900, 675), "tan"), "JPEG")
    assert read_image(encoded, reduce_to_px=224).pixels.shape == (338, 450, 3)

    whole = classifier.view(read_image(encoded))
    np.testing.assert_array_equal(classifier.view(encoded).to_image, whole.to_image)


def test_centre_crop_and_letterbox_by_hand() -> None:
    field = plain(300, 224)
    crop = to_view(field, Preprocessing(fit=0.0))
    letterbox = to_view(field, Preprocessing(fit=1.0))

    # 300 - 224 = 76 columns are left out, 38 of them on the left.
    np.testing.assert_allclose(crop.to_image, [[1, 0, 38], [0, 1, 0]])
    # 300 columns become 224; 224 rows become 167, centred by 28 rows above and 29 below.
    x_scale, y_scale = 300 / 224, 224 / 167
    np.testing.assert_allclose(
        letterbox.to_image,
        [[x_scale, 0, 0.5 * x_scale - 0.5], [0, y_scale, (-29 + 0.5) * y_scale - 0.5]],
    )


def test_a_letterbox_keeps_the_whole_image_and_fills_with_black() -> None:
    view = to_view(plain(448, 224, 200), Preprocessing(fit=1.0, fill="black"))

    assert (view.pixels[56:168] == 200).all()
    assert (view.pixels[:56] == 0).all()
    assert (view.pixels[168:] == 0).all()


def test_steps_are_applied_before_the_square_is_cut() -> None:
    dark = plain(300, 224, 20)

    assert to_view(dark, Preprocessing(steps=("brightness",))).pixels.mean() > 60
    assert to_view(dark, Preprocessing()).pixels.mean() == 20


def test_a_view_leaves_its_field_as_it_was() -> None:
    field = np.random.default_rng(0).integers(0, 256, (224, 299, 3), np.uint8)
    before = field.copy()
    to_view(field, Preprocessing(steps=("hair", "brightness", "smoothing"), fit=0.5))

    np.testing.assert_array_equal(field, before)


# Maps.


def test_rescaling_a_map_by_hand() -> None:
    # Doubling an image moves the centre of pixel 3 to between 6 and 7: 2 * 3.5 - 0.5 = 6.5.
    doubled = rescale_map(np.eye(2, 3), scale_x=2.0, scale_y=0.5)

    np.testing.assert_allclose(doubled @ [3, 3, 1], [6.5, 1.25])


@given(x=st.floats(0, 1000), y=st.floats(0, 1000), by=st.floats(0.1, 10), again=st.floats(0.1, 10))
def test_rescaling_twice_is_rescaling_once_by_the_product(
    x: float, y: float, by: float, again: float
) -> None:
    twice = rescale_map(
        rescale_map(np.eye(2, 3), scale_x=by, scale_y=by), scale_x=again, scale_y=again
    )
    once = rescale_map(np.eye(2, 3), scale_x=by * again, scale_y=by * again)

    np.testing.assert_allclose(twice @ [x, y, 1], once @ [x, y, 1], rtol=1e-9, atol=1e-9)


def test_rescaling_leaves_the_map_that_it_was_given() -> None:
    identity = np.eye(2, 3)
    rescale_map(identity, scale_x=3.0, scale_y=3.0)
    np.testing.assert_array_equal(identity, np.eye(2, 3))


# What is refused.


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size_px": 0}, "multiple of 32"),
        ({"size_px": 225}, "multiple of 32"),
        ({"fit": -0.1}, "fit must be 0"),
        ({"fit": 1.1}, "fit must be 0"),
        ({"fit": float("nan")}, "fit must be 0"),
        ({"fill": "mirror"}, "fill must be one of reflect, replicate, black, got 'mirror'"),
        ({"steps": ("hair", "magic")}, "steps must be among hair.* got 'magic'"),
        ({"std": (0.2, 0.0, 0.2)}, "std must be above 0"),
        ({"std": (0.2, 0.2)}, "std must hold three"),
        ({"mean": (0.2,)}, "mean must hold three"),
    ],
)
def test_preprocessing_out_of_range_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        dataclasses.replace(Preprocessing(), **change)  # type: ignore[arg-type] # wrong on purpose
