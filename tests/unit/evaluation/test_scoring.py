from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from dermassist.errors import DataError
from dermassist.evaluation.scoring import brier_score, log_loss


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), classes=st.integers(3, 7))
def test_scores_are_those_of_scikit_learn_on_repeated_images(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    labels, times = rng.integers(0, classes, 12), rng.integers(1, 4, 12)
    chances = rng.dirichlet(np.ones(classes), size=12)
    repeated = np.repeat(labels, times), np.repeat(chances, times, axis=0)

    brier = oracle.brier_score_loss(*repeated, labels=range(classes), scale_by_half=False)
    loss = oracle.log_loss(*repeated, labels=range(classes))
    assert brier_score(labels, chances, weights=times) == pytest.approx(brier)
    assert log_loss(labels, chances, weights=times) == pytest.approx(loss)


def test_a_wrong_certainty_costs_a_finite_loss_as_in_scikit_learn() -> None:
    chances = np.eye(7)[[0, 1]]

    assert log_loss([1, 1], chances) == pytest.approx(
        oracle.log_loss([1, 1], chances, labels=range(7))
    )
    assert brier_score([1, 1], chances) == 1.0


def test_the_worst_and_best_brier_scores_are_2_and_0() -> None:
    assert brier_score([3], np.eye(7)[[4]]) == 2
    assert brier_score([3], np.eye(7)[[3]]) == 0


def test_labels_outside_the_classes_are_refused() -> None:
    with pytest.raises(DataError, match="label 2 of image 0 is outside 0 to 1"):
        brier_score([2], [[0.5, 0.5]])
