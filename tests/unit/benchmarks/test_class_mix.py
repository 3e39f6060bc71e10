from __future__ import annotations

import numpy as np
import pytest
from benchmarks.class_mix import ClassMixFit, class_shares, fit_class_mix

from dermassist.errors import DataError
from dermassist.evaluation.temperature import apply_temperature, fit_temperature

SHARES = class_shares([2, 8, 30, 160])


def drawn(strength: float, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Return labels, and the logits of a network that was taught with weighted classes."""
    random = np.random.default_rng(0)
    true = random.normal(0, 2.0, (40_000, 4)) + np.log(SHARES)
    chances = apply_temperature(true, temperature=1.0)
    labels = (chances.cumsum(axis=1) > random.random((len(true), 1))).argmax(axis=1)
    return labels, (true - strength * np.log(SHARES)) * temperature


@pytest.mark.parametrize(("strength", "temperature"), [(0.6, 0.7), (0.0, 1.5), (1.0, 1.0)])
def test_what_weighting_did_is_found_and_undone(strength: float, temperature: float) -> None:
    labels, logits = drawn(strength, temperature)
    fit = fit_class_mix(labels, logits, SHARES)
    assert fit.strength == pytest.approx(strength, abs=0.03)
    assert fit.temperature == pytest.approx(temperature, rel=0.03)
    shifted = logits + fit.shift(SHARES)
    restored = apply_temperature(shifted, temperature=fit.temperature)
    found = np.bincount(labels, minlength=4) / len(labels)
    assert restored.mean(axis=0) == pytest.approx(found, abs=0.005)


def test_the_temperature_of_shifted_logits_is_the_one_that_was_fitted() -> None:
    labels, logits = drawn(0.5, 0.8)
    fit = fit_class_mix(labels, logits, SHARES)
    again = fit_temperature(labels, logits + fit.shift(SHARES))
    assert again.temperature == pytest.approx(fit.temperature, rel=1e-4)


def test_a_fixed_strength_is_kept_and_its_temperature_fitted() -> None:
    labels, logits = drawn(0.6, 0.7)
    fit = fit_class_mix(labels, logits, SHARES, strength=0.2)
    assert fit.strength == 0.2
    weighted = logits / fit.temperature + 0.2 * np.log(SHARES)
    for factor in (0.97, 1.03):
        other = logits / (fit.temperature * factor) + 0.2 * np.log(SHARES)
        assert loss(labels, weighted) < loss(labels, other)


def loss(labels: np.ndarray, scaled: np.ndarray) -> float:
    chances = apply_temperature(scaled, temperature=1.0)
    return float(-np.log(chances[np.arange(len(labels)), labels]).mean())


def test_no_more_is_undone_than_equal_classes_can_have_done() -> None:
    labels, logits = drawn(1.7, 1.0)
    assert fit_class_mix(labels, logits, SHARES).strength == 1.0
    labels, logits = drawn(-0.5, 1.0)
    assert fit_class_mix(labels, logits, SHARES).strength == 0.0


def test_shares_and_shift_by_hand() -> None:
    shares = class_shares([0, 1, 2])
    assert shares == pytest.approx([0.25, 0.25, 0.5])
    shift = ClassMixFit(strength=0.5, temperature=2.0).shift(shares)
    assert shift == pytest.approx(np.log([0.25, 0.25, 0.5]))


def test_logits_that_are_not_finite_are_refused() -> None:
    with pytest.raises(DataError, match="finite"):
        fit_class_mix([0], [[np.nan, 0.0, 0.0, 0.0]], SHARES)
