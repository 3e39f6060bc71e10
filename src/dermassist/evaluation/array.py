"""The arrays that evaluation works on: their types, and the border where they are checked."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dermassist.diagnosis import CODES
from dermassist.errors import ConfigError, DataError

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

#: How far a row of probabilities may sum from 1: float32 softmax and six printed digits pass.
SUM_TOLERANCE = 1e-3


def checked_labels(
    y_true: ArrayLike, *, classes: int = len(CODES), images: int | None = None
) -> IntArray:
    """Return labels as ``(n,)`` int64.

    Raises:
        DataError: not one-dimensional, empty, of another length than ``images``, not integers, or
            outside 0 to ``classes - 1``.
    """
    labels = np.asarray(y_true)
    if labels.ndim != 1 or labels.size == 0:
        raise DataError(f"labels must be a list of at least one image, got shape {labels.shape}")
    if images is not None and len(labels) != images:
        raise DataError(f"there must be one label for each of {images} images, got {len(labels)}")
    if not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"labels must be integers 0 to {classes - 1}, got type {labels.dtype}")
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if outside.size:
        raise DataError(
            f"label {labels[outside[0]]} of image {outside[0]} is outside 0 to {classes - 1}: "
            "use the class order of dermassist.diagnosis"
        )
    return labels.astype(np.int64)


def checked_probabilities(
    probabilities: ArrayLike, *, images: int | None = None, classes: int | None = None
) -> FloatArray:
    """Return probabilities as ``(n, classes)`` float64; ``None`` allows any number.

    Raises:
        DataError: another shape, values that are no probabilities, or rows that do not sum to 1.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    expected = ("images" if images is None else images, "classes" if classes is None else classes)
    fits = values.ndim == 2 and images in {None, len(values)} and values.size > 0
    if not fits or classes not in {None, values.shape[1]}:
        raise DataError(
            f"probabilities must have shape ({expected[0]}, {expected[1]}), got {values.shape}"
        )
    wrong = np.flatnonzero(~np.all((values >= 0) & (values <= 1), axis=1))
    if wrong.size:
        raise DataError(
            f"probabilities of image {wrong[0]} are not all between 0 and 1: "
            f"{values[wrong[0]]}; pass probabilities, not logits"
        )
    sums = values.sum(axis=1)
    wrong = np.flatnonzero(np.abs(sums - 1) > SUM_TOLERANCE)
    if wrong.size:
        raise DataError(
            f"probabilities of image {wrong[0]} sum to {sums[wrong[0]]:.6g}, not to 1: "
            "normalise each row"
        )
    return values


def checked_weights(weights: ArrayLike | None, *, images: int) -> FloatArray:
    """Return multiplicities as ``(*batch, n)`` float64; ``None`` is one per image.

    Raises:
        DataError: another length, or values that are not whole numbers of at least 0.
    """
    if weights is None:
        return np.ones(images)
    values = np.asarray(weights, dtype=np.float64)
    if values.ndim == 0 or values.shape[-1] != images:
        raise DataError(f"weights must end in one number per image ({images}), got {values.shape}")
    if not np.all((values >= 0) & (values == np.floor(values)) & np.isfinite(values)):
        raise DataError("weights are multiplicities: give whole numbers of at least 0")
    return values


def checked_groups(groups: ArrayLike, *, images: int) -> NDArray[Any]:
    """Return lesion identifiers as ``(n,)``.

    Raises:
        DataError: not one identifier per image.
    """
    identifiers = np.asarray(groups)
    if identifiers.shape != (images,):
        raise DataError(
            f"groups must name the lesion of each of {images} images, got {identifiers.shape}"
        )
    return identifiers


def checked_share(value: float, *, name: str) -> float:
    """Return a number strictly between 0 and 1.

    Raises:
        ConfigError: anything else.
    """
    if not 0 < value < 1:
        raise ConfigError(f"{name} must lie between 0 and 1 (both excluded), got {value}")
    return float(value)


def checked_count(value: int, *, name: str) -> int:
    """Return a whole number of at least 1.

    Raises:
        ConfigError: anything else.
    """
    if value < 1:
        raise ConfigError(f"{name} must be at least 1, got {value}")
    return int(value)


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> FloatArray:
    """Divide element by element; where the denominator is not positive the answer is nan."""
    above, below = np.broadcast_arrays(
        np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    )
    quotient = np.full(above.shape, np.nan)
    np.divide(above, below, out=quotient, where=below > 0)
    return quotient
