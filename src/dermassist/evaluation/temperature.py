"""One number that makes a network's confidence true: the temperature of its softmax.

Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
section 4.2. Dividing logits by one number keeps their order, so no prediction changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dermassist.errors import ConfigError, DataError
from dermassist.evaluation.array import FloatArray, IntArray, checked_labels
from dermassist.softmax import softmax

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: Temperatures outside this range are not sought.
TEMPERATURE_RANGE = (0.05, 20.0)
_PRECISION = 1e-12


@dataclass(frozen=True)
class TemperatureFit:
    """The temperature that makes logits most likely, and what it gained on the data it saw."""

    temperature: float
    #: Mean negative log likelihood in nats at temperature 1, and at the fitted one.
    loss_before: float
    loss_after: float
    #: The optimum lies at or beyond the end of ``TEMPERATURE_RANGE``: do not trust it.
    at_limit: bool


def apply_temperature(logits: ArrayLike, *, temperature: float) -> FloatArray:
    """Return ``softmax(logits / temperature)``.

    Args:
        logits: ``(..., classes)``, finite.
        temperature: above 0; 1 changes nothing, more makes the answers less sure.

    Raises:
        ConfigError: the temperature is not a positive number.
        DataError: logits that are not finite.
    """
    if not (temperature > 0 and np.isfinite(temperature)):
        raise ConfigError(f"temperature must be a positive number, got {temperature}")
    values = np.asarray(logits, dtype=np.float64)
    if not np.isfinite(values).all():
        raise DataError("logits must be finite: the network's output holds nan or infinity")
    return softmax(values / temperature)


def fit_temperature(y_true: ArrayLike, logits: ArrayLike) -> TemperatureFit:
    """Find the temperature that minimises the negative log likelihood of validation data.

    The loss is convex in the inverse temperature, so its derivative has one root, which bisection
    finds; every step of Newton's method that stays in the bracket is taken instead.

    Args:
        y_true: labels ``(n,)``.
        logits: ``(n, classes)``. The logarithm of probabilities serves as well.

    Raises:
        DataError: labels out of range, another shape, or logits that are not finite.
    """
    values = np.atleast_1d(np.asarray(logits, dtype=np.float64))
    if values.ndim != 2 or not np.isfinite(values).all():
        raise DataError(f"logits must be finite (images, classes), got shape {values.shape}")
    labels = checked_labels(y_true, classes=values.shape[1], images=len(values))
    inverse, at_limit = _likeliest_inverse_temperature(labels, values)
    return TemperatureFit(
        temperature=1 / inverse,
        loss_before=_loss(labels, values, inverse=1.0),
        loss_after=_loss(labels, values, inverse=inverse),
        at_limit=at_limit,
    )


def _log_softmax(values: FloatArray) -> FloatArray:
    shifted = values - values.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def _loss(labels: IntArray, logits: FloatArray, *, inverse: float) -> float:
    return float(-_log_softmax(logits * inverse)[np.arange(len(labels)), labels].mean())


def _likeliest_inverse_temperature(labels: IntArray, logits: FloatArray) -> tuple[float, bool]:
    low, high = 1 / TEMPERATURE_RANGE[1], 1 / TEMPERATURE_RANGE[0]
    if _slopes(labels, logits, low)[0] >= 0:
        return low, True
    if _slopes(labels, logits, high)[0] <= 0:
        return high, True
    inverse = 1.0
    while high - low > _PRECISION * high:
        slope, curvature = _slopes(labels, logits, inverse)
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        step = inverse - slope / curvature if curvature > 0 else low
        inside = low < step < high
        if inside and abs(step - inverse) <= _PRECISION * inverse:
            return step, False
        inverse = step if inside else (low + high) / 2
    return inverse, False


def _slopes(labels: IntArray, logits: FloatArray, inverse: float) -> tuple[float, float]:
    """Return first and second derivative of the loss by the inverse temperature."""
    chances = softmax(logits * inverse)
    expected = (chances * logits).sum(axis=1)
    variance = (chances * (logits - expected[:, None]) ** 2).sum(axis=1)
    slope = expected - logits[np.arange(len(labels)), labels]
    return float(slope.mean()), float(variance.mean())
