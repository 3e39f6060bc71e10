from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from benchmarks.recipes import compare, to_table
from sklearn.metrics import balanced_accuracy_score

from dermassist.errors import DataError
from dermassist.evaluation.prediction_table import PredictionTable

IMAGES = 140


def answers(seed: int, order: np.ndarray) -> PredictionTable:
    random = np.random.default_rng(seed)
    labels = np.arange(IMAGES) % 7
    logits = random.normal(size=(IMAGES, 7)) + 1.5 * np.eye(7)[labels]
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return PredictionTable(
        images=tuple(f"I{k}" for k in order),
        labels=labels[order],
        probabilities=chances[order],
        referred=np.zeros(IMAGES, bool),
        sets=np.ones((IMAGES, 7), bool),
    )


def test_the_same_images_are_compared_whatever_their_order() -> None:
    order = np.random.default_rng(5).permutation(IMAGES)
    tables = {
        "ship": answers(1, np.arange(IMAGES)),
        "settle": answers(0, order),
        "swift": answers(2, order[::-1]),
    }
    # Images 0 to 6 have seven diagnoses, 7 to 13 too: lesions hold whole diagnoses apart.
    lesion_of = {f"I{k}": f"L{k % 7}-{k // 14}" for k in range(IMAGES)}
    drawn = compare(tables, lesion_of)
    own = {
        name: balanced_accuracy_score(table.labels, table.probabilities.argmax(axis=1))
        for name, table in tables.items()
    }
    for name in ("settle", "swift"):
        difference = drawn.estimate(f"{name}/difference/balanced_accuracy")
        assert difference.value == pytest.approx(own[name] - own["ship"])
        assert difference.low < difference.value < difference.high
    row = to_table(drawn, images=IMAGES).rows[-1]
    assert row[0] == "`swift.toml`, less `ship.toml`"
    assert row[2].startswith(f"{difference.value:+.3f} [")
    same = compare(dict.fromkeys(tables, tables["ship"]), lesion_of)
    nothing = same.estimate("swift/difference/log_loss")
    assert (nothing.value, nothing.low, nothing.high) == (0.0, 0.0, 0.0)


def test_other_images_are_refused() -> None:
    ship = answers(1, np.arange(IMAGES))
    other = replace(ship, images=(*ship.images[:-1], "J"))
    with pytest.raises(DataError, match="other images"):
        compare({"settle": ship, "ship": other}, {})
