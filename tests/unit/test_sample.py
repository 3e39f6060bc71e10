from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dermassist.imaging import read_image
from dermassist.sample import SAMPLE_NAME, draw_lesion, sample_path


def test_the_bundled_sample_can_be_read_and_says_that_it_is_synthetic() -> None:
    raster = read_image(sample_path())

    assert (raster.width, raster.height) == (600, 450)
    assert "synthetic" in SAMPLE_NAME
    assert raster.name == SAMPLE_NAME


def test_a_drawing_can_be_repeated_and_every_seed_draws_another(lesion: NDArray[np.uint8]) -> None:
    again = draw_lesion(np.random.default_rng(7))

    np.testing.assert_array_equal(again, lesion)
    assert (draw_lesion(np.random.default_rng(8)) != lesion).any()


def test_a_drawing_is_a_darker_blot_in_the_middle_of_skin() -> None:
    image = draw_lesion(np.random.default_rng(0), width=120, height=90)

    assert image.shape == (90, 120, 3)
    assert image.dtype == np.uint8
    centre, corner = image[40:50, 55:65].mean(), image[:10, :10].mean()
    assert centre < corner - 50
