from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dermassist.errors import ConfigError, DataError
from dermassist.evaluation.localisation import (
    centred_gaussian,
    energy_in_mask,
    localise,
    measure_localisation,
    peak_in_mask,
    summarise_localisation,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEFT_HALF = np.array([[1, 1, 0, 0], [1, 1, 0, 0]])
SIZES = st.integers(2, 12)


def test_a_worked_example() -> None:
    heatmap = np.array([[1.0, 2.0, 4.0, -3.0], [0.0, 1.0, 0.0, 0.0]])

    assert peak_in_mask(heatmap, LEFT_HALF) == 0
    assert energy_in_mask(heatmap, LEFT_HALF) == 0.5
    assert peak_in_mask(-heatmap, LEFT_HALF) == 0
    assert energy_in_mask(-heatmap, LEFT_HALF) == 0


def test_tied_peaks_count_by_their_share_inside() -> None:
    heatmap = np.array([[5.0, 0, 5, 0], [5, 0, 0, 5]])

    assert peak_in_mask(heatmap, LEFT_HALF) == 0.5


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_map_without_evidence_has_neither_peak_nor_energy(value: float) -> None:
    heatmap = np.full((2, 4), value)

    assert np.isnan(peak_in_mask(heatmap, LEFT_HALF))
    assert np.isnan(energy_in_mask(heatmap, LEFT_HALF))


@settings(max_examples=50, deadline=None)
@given(SIZES, SIZES, st.integers(0, 1000))
def test_scale_does_not_matter_and_the_rest_is_outside(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    heatmap, mask = rng.normal(size=(height, width)), rng.random((height, width)) < 0.5
    heatmap[0, 0], mask[0, 0], mask[-1, -1] = 9, True, False

    inside, outside = localise(heatmap, mask), localise(heatmap, ~mask)
    scaled = localise(heatmap * 7, mask)

    assert scaled.energy == pytest.approx(inside.energy)
    assert (inside.peak, outside.peak, scaled.peak) == (1, 0, 1)
    assert inside.energy + outside.energy == pytest.approx(1)
    assert inside.gaussian_energy + outside.gaussian_energy == pytest.approx(1)


@settings(max_examples=50, deadline=None)
@given(SIZES, SIZES)
def test_the_gaussian_is_that_of_scipy_at_the_middle(height: int, width: int) -> None:
    bell = centred_gaussian((height, width), sigma=0.3)

    sigma = 0.3 * min(height, width)
    rows = stats.norm.pdf(np.arange(height), (height - 1) / 2, sigma)
    columns = stats.norm.pdf(np.arange(width), (width - 1) / 2, sigma)
    expected = np.outer(rows, columns)
    assert np.allclose(bell / bell.sum(), expected / expected.sum())
    assert np.array_equal(bell, bell[::-1, ::-1])


def test_the_gaussian_points_at_a_centred_lesion_and_misses_one_in_the_corner() -> None:
    centre, corner = np.zeros((2, 30, 40), dtype=bool)
    centre[10:20, 15:25] = True
    corner[:6, :6] = True
    heatmap = np.ones((30, 40))

    at_centre, at_corner = localise(heatmap, centre), localise(heatmap, corner)

    assert (at_centre.gaussian_peak, at_corner.gaussian_peak) == (1, 0)
    assert at_centre.gaussian_energy > at_centre.mask_area > at_corner.gaussian_energy
    assert at_centre.energy == pytest.approx(at_centre.mask_area)
    assert at_centre.peak == pytest.approx(100 / 1200)


def test_many_images_of_any_size_equal_one_call_each() -> None:
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(size=(5 + i, 8)), rng.random((5 + i, 8)) < 0.5) for i in range(4)]

    together = measure_localisation(iter(pairs), sigma=0.2)

    for place, pair in enumerate(pairs):
        for name, value in vars(localise(*pair, sigma=0.2)).items():
            assert getattr(together, name)[place] == value


def image_with_peak(*, inside: bool) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    heatmap = np.zeros((2, 4))
    heatmap[0, 0 if inside else 3] = 1
    return heatmap, LEFT_HALF


def test_averages_leave_out_images_without_evidence_and_count_them() -> None:
    pairs = [image_with_peak(inside=i % 4 != 0) for i in range(40)]
    pairs += [(np.zeros((2, 4)), LEFT_HALF)] * 10
    groups = np.arange(50) // 2

    measured = measure_localisation(pairs)
    summary = summarise_localisation(
        measured, groups=groups, rng=np.random.default_rng(0), resamples=300
    )

    assert (summary.images, summary.without_evidence) == (50, 10)
    averages = summary.averages
    assert averages.peak.value == averages.energy.value == 0.75
    assert averages.peak.low < 0.75 < averages.peak.high
    assert averages.gaussian_peak.value == pytest.approx(0.5)
    assert averages.peak_gain.value == pytest.approx(0.25)
    assert averages.mask_area.value == 0.5
    assert summary.gaussian_sigma == 0.25


@pytest.mark.parametrize(
    ("heatmap", "mask", "words"),
    [
        (np.ones((2, 3)), LEFT_HALF, "image 1: heatmap and mask must have one geometry"),
        (np.full((2, 4), np.nan), LEFT_HALF, "image 1: the heatmap holds nan"),
        (np.ones((2, 4)), np.zeros((2, 4)), "image 1: the mask is empty"),
    ],
)
def test_a_pair_that_cannot_be_measured_is_named(
    heatmap: NDArray[np.float64], mask: NDArray[np.float64], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        measure_localisation([(np.ones((2, 4)), LEFT_HALF), (heatmap, mask)])


def test_nothing_to_measure_and_a_flat_gaussian_are_refused() -> None:
    with pytest.raises(DataError, match="no heatmap"):
        measure_localisation([])
    with pytest.raises(ConfigError, match="sigma must be above 0"):
        centred_gaussian((2, 2), sigma=0)
