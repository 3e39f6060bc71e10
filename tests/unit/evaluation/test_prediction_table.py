"""Predictions survive a file, and a damaged file is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dermassist.errors import DataError
from dermassist.evaluation.prediction_table import PredictionTable, pooled


def make_table(count: int = 40, *, first: int = 0) -> PredictionTable:
    random = np.random.default_rng(first)
    return PredictionTable(
        images=tuple(f"ISIC_{first + i:07d}" for i in range(count)),
        labels=random.integers(0, 7, count),
        probabilities=random.dirichlet(np.ones(7) / 3, count),
        referred=random.random(count) < 0.5,
        sets=random.random((count, 7)) < 0.3,
    )


def assert_same(one: PredictionTable, other: PredictionTable) -> None:
    assert one.images == other.images
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=2e-6)
    np.testing.assert_array_equal(one.referred, other.referred)
    np.testing.assert_array_equal(one.sets, other.sets)


def test_a_table_reads_back(tmp_path: Path) -> None:
    table = make_table()
    path = tmp_path / "fold0.csv"
    path.write_text(table.to_csv())
    read = PredictionTable.read(path)
    assert_same(read, table)
    np.testing.assert_allclose(read.probabilities.sum(axis=1), 1.0, atol=1e-12)
    assert len(path.read_bytes()) < 110 * len(table.images)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda text: "", "cannot be read"),
        (lambda text: text.splitlines()[0], "is no table"),
        (lambda text: text.replace("referred", "advised"), "is no table"),
        (lambda text: text + "ISIC_1,mel,1,0,0\n", "line 42"),
        (lambda text: text + "ISIC_1,wart,1,0,0,0,0,0,0,0,\n", "line 42"),
        (lambda text: text + "ISIC_1,mel,one,0,0,0,0,0,0,0,\n", "line 42"),
        (lambda text: text + "ISIC_1,mel,1,0,0,0,0,0,0,0,wart\n", "line 42: malformed"),
        (lambda text: text + "ISIC_1,mel,1,0,0,0,0,0,0,yes,\n", "line 42: malformed"),
        (lambda text: text + "ISIC_1,mel,2,-1,0,0,0,0,0,0,\n", "probabilit"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path: Path, damage, complaint: str) -> None:  # type: ignore[no-untyped-def] # a lambda
    path = tmp_path / "fold0.csv"
    path.write_text(damage(make_table().to_csv()))
    with pytest.raises(DataError, match=complaint):
        PredictionTable.read(path)


def test_tables_are_pooled_in_order_and_no_image_twice() -> None:
    one, two = make_table(first=0), make_table(first=100)
    both = pooled([one, two])
    assert both.images == (*one.images, *two.images)
    np.testing.assert_array_equal(both.probabilities[len(one.images) :], two.probabilities)
    with pytest.raises(DataError, match="each image once"):
        pooled([one, one])
    with pytest.raises(DataError, match="must be there"):
        pooled([])
