from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize, special

from dermassist.errors import ConfigError, DataError
from dermassist.evaluation.temperature import (
    TEMPERATURE_RANGE,
    apply_temperature,
    fit_temperature,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOGITS = arrays(np.float64, (5, 7), elements=st.floats(-40, 40))


def draw_logits(seed: int, *, scale: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Logits that are calibrated before they are multiplied by ``scale``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(600, 7)) * 2
    cumulated = special.softmax(logits, axis=1).cumsum(axis=1)
    labels = (rng.random((600, 1)) > cumulated).sum(axis=1).clip(max=6)
    return labels, logits * scale


def loss(temperature: float, labels: NDArray[np.int64], logits: NDArray[np.float64]) -> float:
    given_chances = special.log_softmax(logits / temperature, axis=1)
    return float(-given_chances[np.arange(len(labels)), labels].mean())


@pytest.mark.parametrize("scale", [0.2, 0.7, 1.0, 3.0, 9.0])
def test_the_fit_is_the_optimum_that_scipy_finds(scale: float) -> None:
    labels, logits = draw_logits(1, scale=scale)

    fit = fit_temperature(labels, logits)

    expected = optimize.minimize_scalar(
        loss,
        bounds=TEMPERATURE_RANGE,
        args=(labels, logits),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert fit.temperature == pytest.approx(expected.x, rel=1e-5)
    assert fit.loss_after == pytest.approx(expected.fun, rel=1e-10)
    assert fit.loss_before == pytest.approx(loss(1.0, labels, logits))
    assert not fit.at_limit


def test_the_fit_undoes_what_made_the_logits_too_sure() -> None:
    labels, logits = draw_logits(2, scale=1.0)

    plain, sharp = fit_temperature(labels, logits), fit_temperature(labels, logits * 3)

    assert plain.temperature == pytest.approx(1, abs=0.15)
    assert sharp.temperature == pytest.approx(3 * plain.temperature, rel=1e-9)
    assert np.allclose(
        apply_temperature(logits * 3, temperature=sharp.temperature),
        apply_temperature(logits, temperature=plain.temperature),
    )


def test_logarithms_of_probabilities_serve_as_logits() -> None:
    labels, logits = draw_logits(3, scale=2.0)

    fit = fit_temperature(labels, special.log_softmax(logits, axis=1))

    assert fit.temperature == pytest.approx(fit_temperature(labels, logits).temperature)


def test_answers_that_are_all_right_or_no_better_than_chance_end_at_a_limit() -> None:
    logits = np.eye(7) * 5

    right = fit_temperature(np.arange(7), logits)
    wrong = fit_temperature((np.arange(7) + 1) % 7, logits)

    assert right.at_limit
    assert right.temperature == pytest.approx(TEMPERATURE_RANGE[0])
    assert wrong.at_limit
    assert wrong.temperature == pytest.approx(TEMPERATURE_RANGE[1])


@settings(max_examples=50, deadline=None)
@given(LOGITS, st.floats(0.05, 20))
def test_temperature_keeps_the_ranking(logits: NDArray[np.float64], temperature: float) -> None:
    chances = apply_temperature(logits, temperature=temperature)

    order = np.argsort(logits, axis=1, kind="stable")
    ranked = np.take_along_axis(chances, order, axis=1)
    assert np.all(np.diff(ranked, axis=1) >= 0)
    assert np.allclose(chances.sum(axis=1), 1)


@settings(max_examples=50, deadline=None)
@given(LOGITS)
def test_temperature_1_is_the_softmax(logits: NDArray[np.float64]) -> None:
    expected = special.softmax(logits, axis=1)

    assert np.allclose(apply_temperature(logits, temperature=1), expected, rtol=1e-9, atol=0)


def test_a_single_image_needs_no_batch_axis() -> None:
    assert apply_temperature([0.0, 0.0], temperature=2).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_a_temperature_that_is_no_positive_number_is_refused(temperature: float) -> None:
    with pytest.raises(ConfigError, match="temperature must be a positive number"):
        apply_temperature([1.0, 2.0], temperature=temperature)


def test_logits_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataError, match="finite"):
        apply_temperature([1.0, np.nan], temperature=1)
    with pytest.raises(DataError, match="finite"):
        fit_temperature([0], [[1.0, np.inf]])
    with pytest.raises(DataError, match="one label for each of 1 images, got 2"):
        fit_temperature([0, 1], [[1.0, 2.0]])
