from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

Answers: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[Any]]

#: Shares of the seven classes in HAM10000, in the order of the codes.
PREVALENCE = np.array([327, 514, 1099, 115, 1113, 6705, 142]) / 10015


def draw_answers(images: int = 400, *, seed: int = 0, skill: float = 2.0) -> Answers:
    """Labels of all seven classes, probabilities of some skill, and lesions of 1 to 4 images."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(7, size=images, p=PREVALENCE)
    labels[:14] = np.repeat(np.arange(7), 2)
    logits = rng.normal(size=(images, 7))
    logits[np.arange(images), labels] += skill
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    lesions = np.char.add("HAM_", rng.integers(0, images // 2, images).astype(str))
    return labels, chances, lesions


@pytest.fixture
def make_answers() -> Callable[..., Answers]:
    return draw_answers


@pytest.fixture
def answers() -> Answers:
    return draw_answers()
