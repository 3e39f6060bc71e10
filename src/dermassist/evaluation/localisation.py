"""Where the evidence lies: heatmaps measured against lesion masks.

Peak in mask is the pointing game (Zhang et al., "Top-Down Neural Attention by Excitation Backprop",
IJCV 2018, section 4.2, without its tolerance margin); energy in mask is the energy-based pointing
game (Wang et al., "Score-CAM", CVPR workshops 2020, section 4.2). Lesions are centred in
dermatoscopic images, so a map that always points at the middle scores well: both measures are
given for a centred Gaussian too, and the gain over it is what the heatmap itself contributes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Generic

import numpy as np

from dermassist.errors import ConfigError, DataError
from dermassist.evaluation.array import FloatArray, ratio
from dermassist.evaluation.bootstrap import RESAMPLES, Estimate, bootstrap
from dermassist.evaluation.metrics import T

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike

    from dermassist.evaluation.array import BoolArray

#: Standard deviation of the centred Gaussian, as a share of the image's shorter side.
GAUSSIAN_SIGMA = 0.25


@dataclass(frozen=True)
class Localisation(Generic[T]):
    """Measures of heatmaps and of the centred Gaussian on the same masks, all shares of 1.

    Per image (arrays ``(n,)``) or averaged (``Estimate``).
    """

    #: Is the highest value inside the mask? Among tied peaks, the share inside.
    peak: T
    #: Share of the positive values' sum that is inside the mask.
    energy: T
    gaussian_peak: T
    gaussian_energy: T
    #: Heatmap minus Gaussian on the same image.
    peak_gain: T
    energy_gain: T
    #: Share of the image that the mask covers: the energy of a map without any preference.
    mask_area: T


_MEASURES = tuple(field.name for field in fields(Localisation))


@dataclass(frozen=True)
class LocalisationSummary:
    """Averages over images with 95 % intervals by lesion."""

    averages: Localisation[Estimate]
    images: int
    #: Images whose heatmap has no positive value: no peak, left out of the heatmap's averages.
    without_evidence: int
    gaussian_sigma: float


def peak_in_mask(heatmap: ArrayLike, mask: ArrayLike) -> float:
    """Return the share of a heatmap's peaks inside a mask; nan if nothing in it is positive.

    Args:
        heatmap: evidence ``(height, width)``; negative values are evidence against.
        mask: true on the lesion ``(height, width)``.

    Raises:
        DataError: another shape than the mask's, values that are not finite, or an empty mask.
    """
    values, inside = _checked(heatmap, mask)
    highest = values.max()
    return float(inside[values == highest].mean()) if highest > 0 else np.nan


def energy_in_mask(heatmap: ArrayLike, mask: ArrayLike) -> float:
    """Return the share of a heatmap's positive sum inside a mask; nan if nothing is positive.

    Raises:
        DataError: another shape than the mask's, values that are not finite, or an empty mask.
    """
    values, inside = _checked(heatmap, mask)
    positive = np.maximum(values, 0)
    return float(ratio(positive[inside].sum(), positive.sum()))


def centred_gaussian(shape: tuple[int, int], *, sigma: float = GAUSSIAN_SIGMA) -> FloatArray:
    """Return a map that points at the middle whatever the image shows.

    Args:
        shape: height and width in pixels.
        sigma: standard deviation as a share of the shorter side.

    Raises:
        ConfigError: ``sigma`` is not above 0.
    """
    if not sigma > 0:
        raise ConfigError(f"sigma must be above 0, got {sigma}")
    width_of_bell = sigma * min(shape)
    rows, columns = (np.arange(size) - (size - 1) / 2 for size in shape)
    squared = rows[:, None] ** 2 + columns**2
    return np.asarray(np.exp(-squared / (2 * width_of_bell**2)))


def localise(
    heatmap: ArrayLike, mask: ArrayLike, *, sigma: float = GAUSSIAN_SIGMA
) -> Localisation[float]:
    """Measure one heatmap, and the centred Gaussian, against a mask of the same geometry.

    Raises:
        DataError: another shape than the mask's, values that are not finite, or an empty mask.
        ConfigError: ``sigma`` is not above 0.
    """
    values, inside = _checked(heatmap, mask)
    bell = _gaussian(values.shape[0], values.shape[1], sigma)
    peak, energy = peak_in_mask(values, inside), energy_in_mask(values, inside)
    gaussian_peak, gaussian_energy = peak_in_mask(bell, inside), energy_in_mask(bell, inside)
    return Localisation(
        peak=peak,
        energy=energy,
        gaussian_peak=gaussian_peak,
        gaussian_energy=gaussian_energy,
        peak_gain=peak - gaussian_peak,
        energy_gain=energy - gaussian_energy,
        mask_area=float(inside.mean()),
    )


def measure_localisation(
    pairs: Iterable[tuple[ArrayLike, ArrayLike]], *, sigma: float = GAUSSIAN_SIGMA
) -> Localisation[FloatArray]:
    """Measure many heatmaps; a generator keeps only one image in memory at a time.

    Args:
        pairs: heatmap and mask of each image, both ``(height, width)``; images may differ in size.
        sigma: of the Gaussian, as a share of the shorter side.

    Returns:
        One value per image ``(n,)``, nan where the heatmap has no positive value.

    Raises:
        DataError: a pair that cannot be measured, named by its place, or none at all.
        ConfigError: ``sigma`` is not above 0.
    """
    rows = [_localise_nth(place, pair, sigma) for place, pair in enumerate(pairs)]
    if not rows:
        raise DataError("there is no heatmap to measure")
    return Localisation(
        **{name: np.array([getattr(row, name) for row in rows]) for name in _MEASURES}
    )


def summarise_localisation(
    measured: Localisation[FloatArray],
    *,
    groups: ArrayLike,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
    sigma: float = GAUSSIAN_SIGMA,
) -> LocalisationSummary:
    """Average over images, with 95 % intervals by lesion.

    Args:
        measured: one value per image.
        groups: lesion of each image ``(n,)``.
        rng: source of the resamples.
        resamples: number of resamples.
        sigma: the Gaussian's, as it was measured with.

    Raises:
        DataError: groups and measures differ in length.
    """
    result = bootstrap(
        lambda weights: {name: _mean_known(getattr(measured, name), weights) for name in _MEASURES},
        groups=groups,
        rng=rng,
        resamples=resamples,
    )
    return LocalisationSummary(
        averages=Localisation(**{name: result.estimate(name) for name in _MEASURES}),
        images=len(measured.peak),
        without_evidence=int(np.isnan(measured.peak).sum()),
        gaussian_sigma=sigma,
    )


def _localise_nth(
    place: int, pair: tuple[ArrayLike, ArrayLike], sigma: float
) -> Localisation[float]:
    try:
        return localise(*pair, sigma=sigma)
    except DataError as error:
        raise DataError(f"image {place}: {error}") from error


@lru_cache(maxsize=8)
def _gaussian(height: int, width: int, sigma: float) -> FloatArray:
    return centred_gaussian((height, width), sigma=sigma)


def _checked(heatmap: ArrayLike, mask: ArrayLike) -> tuple[FloatArray, BoolArray]:
    values, inside = np.asarray(heatmap, dtype=np.float64), np.asarray(mask, dtype=bool)
    if values.ndim != 2 or values.shape != inside.shape:
        raise DataError(
            f"heatmap and mask must have one geometry, got {values.shape} and {inside.shape}"
        )
    if not np.isfinite(values).all():
        raise DataError("the heatmap holds nan or infinity")
    if not inside.any():
        raise DataError("the mask is empty: there is no lesion to measure against")
    return values, inside


def _mean_known(values: FloatArray, weights: FloatArray) -> FloatArray:
    known = ~np.isnan(values)
    return ratio(weights[..., known] @ values[known], weights[..., known].sum(axis=-1))
