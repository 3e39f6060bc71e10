from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermassist.errors import DataError
from dermassist.evaluation.bootstrap import Estimate
from dermassist.evaluation.document import from_document, to_document
from dermassist.evaluation.metrics import PerClass

T = TypeVar("T")


@dataclass(frozen=True)
class Inner(Generic[T]):
    value: T
    flag: bool


@dataclass(frozen=True)
class Outer:
    name: str
    count: int
    share: float
    inner: Inner[float]
    rows: tuple[tuple[int, ...], ...]


OUTERS = st.builds(
    Outer,
    st.text(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.builds(Inner, st.floats(allow_nan=False, allow_infinity=False), st.booleans()),
    st.lists(st.lists(st.integers()).map(tuple)).map(tuple),
)
EXAMPLE = Outer("a", 2, 0.5, Inner(1.5, True), ((1, 2), (3,)))


@settings(max_examples=50, deadline=None)
@given(OUTERS)
def test_a_result_survives_json(outer: Outer) -> None:
    text = json.dumps(to_document(outer), allow_nan=False)

    assert from_document(Outer, json.loads(text)) == outer


def test_nan_is_null_and_comes_back() -> None:
    estimate = Estimate(0.5, math.nan, math.nan, 3)

    document = to_document(estimate)

    assert document == {"value": 0.5, "low": None, "high": None, "resamples": 3}
    found = from_document(Estimate, document)
    assert found.value == 0.5
    assert math.isnan(found.low)


def test_the_argument_of_a_generic_result_is_read() -> None:
    estimate = Estimate(0.5, 0.4, 0.6, 10)
    result = PerClass(precision=estimate, recall=estimate, f1=estimate, auc=estimate)

    assert from_document(PerClass[Estimate], to_document(result)) == result


def test_a_whole_number_serves_where_a_float_is_wanted() -> None:
    document = to_document(EXAMPLE) | {"share": 1}

    share = from_document(Outer, document).share

    assert share == 1
    assert isinstance(share, float)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"count": 2.5}, "count: expected int, got 2.5"),
        ({"count": True}, "count: expected int, got True"),
        ({"share": "0.5"}, "share: expected float, got '0.5'"),
        ({"share": False}, "share: expected float, got False"),
        ({"name": None}, "name: expected str, got None"),
        ({"inner": {"value": 1.0, "flag": 1}}, "inner.flag: expected bool, got 1"),
        ({"inner": [1.0, True]}, "inner: expected the keys"),
        ({"rows": [[1], [2, "x"]]}, r"rows\[1\]\[1\]: expected int, got 'x'"),
        ({"rows": "12"}, "rows: expected a list"),
        ({"extra": 1}, "document: expected the keys .*'extra'"),
    ],
)
def test_a_document_of_another_form_is_refused_by_place(change: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        from_document(Outer, to_document(EXAMPLE) | change)


def test_what_json_lacks_is_refused() -> None:
    with pytest.raises(DataError, match="infinite"):
        to_document(Estimate(math.inf, 0.0, 0.0, 1))
    with pytest.raises(DataError, match="a set cannot be written"):
        to_document({1})
