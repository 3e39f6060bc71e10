from __future__ import annotations

import numpy as np
import pytest
from benchmarks.class_mix import class_shares
from benchmarks.class_mix_folds import STRENGTHS, FoldAnswers, choose, shifted
from benchmarks.kept_answers import Said
from sklearn.metrics import f1_score

from dermassist.evaluation.temperature import apply_temperature, fit_temperature

SHARES = class_shares([33, 51, 110, 12, 111, 670, 14])


def answers(strength: float, *, fold: str, images: int = 3000) -> FoldAnswers:
    """Return a network's answers that hold the class mix ``strength`` times too little."""
    random = np.random.default_rng(ord(fold))
    true = random.normal(0, 2.0, (images, 7)) + np.log(SHARES)
    chances = apply_temperature(true, temperature=1.0)
    labels = (chances.cumsum(axis=1) > random.random((images, 1))).argmax(axis=1)
    lesions = np.array([f"{fold}{k // 2}" for k in range(images)])
    return FoldAnswers(labels, lesions, true - strength * np.log(SHARES), SHARES)


def macro_f1(part: FoldAnswers, strength: float) -> float:
    restored = part.logits + strength * np.log(SHARES)
    return float(f1_score(part.labels, restored.argmax(axis=1), average="macro"))


def test_the_strength_with_the_highest_macro_f1_is_chosen() -> None:
    part = answers(1.0, fold="a")
    found = choose([part], without=frozenset())
    # Without what is fitted, which decides nothing: the temperature divides all logits alike.
    best = max(STRENGTHS, key=lambda strength: macro_f1(part, strength))
    assert found == pytest.approx(best, abs=0.1)
    assert found >= 0.4


def test_lesions_that_test_a_choice_have_no_say_in_it() -> None:
    much, nothing = answers(1.0, fold="a"), answers(-0.4, fold="b")
    both = [much, nothing]
    assert choose(both, without=frozenset(nothing.lesions)) == choose([much], without=frozenset())
    assert choose(both, without=frozenset(much.lesions)) == choose([nothing], without=frozenset())
    assert choose([much], without=frozenset()) != choose([nothing], without=frozenset())


def test_nothing_undone_leaves_the_temperature_of_validation() -> None:
    part = answers(0.5, fold="a")
    test = Said(part.labels[:9], part.lesions[:9], part.logits[:9] + 3.0)
    own = fit_temperature(part.labels, part.logits).temperature
    expected = apply_temperature(test.logits, temperature=own)
    assert shifted(part, test, 0.0) == pytest.approx(expected, abs=1e-4)
    rare = SHARES.argmin()
    assert (shifted(part, test, 0.5)[:, rare] < expected[:, rare]).all()
