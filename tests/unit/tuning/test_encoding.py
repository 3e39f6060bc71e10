import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from dermassist.tuning.memetic.encoding import SearchSpace, dimension_of

lawful = settings(max_examples=50, deadline=None)
DISTRIBUTIONS: list[BaseDistribution] = [
    FloatDistribution(-3.0, 7.0),
    FloatDistribution(-1e308, 1e308),
    FloatDistribution(1e-7, 10.0, log=True),
    FloatDistribution(1e-300, 1e300, log=True),
    FloatDistribution(-10.2, 10.2, step=0.1),
    FloatDistribution(0.0, 0.75, step=0.25),
    IntDistribution(-4, 9),
    IntDistribution(3, 19, step=4),
    IntDistribution(1, 1000, log=True),
    CategoricalDistribution(("a", None, 3, True)),
]


@pytest.mark.parametrize(
    ("distribution", "value", "coordinate"),
    [
        (FloatDistribution(-1.0, 3.0), 0.0, 0.25),
        (FloatDistribution(1e-4, 1.0, log=True), 1e-3, 0.25),
        (FloatDistribution(0.0, 1.0, step=0.25), 0.25, 0.3),  # the second of five cells
        (IntDistribution(0, 3), 3, 0.875),  # the fourth of four cells
        (IntDistribution(2, 8, step=2), 4, 0.375),
        # log(2 / 0.5) / log(32.5 / 0.5): cells of integers begin half below them
        (IntDistribution(1, 32, log=True), 2, math.log(4) / math.log(65)),
        (CategoricalDistribution(("x", "y")), "y", 0.75),
    ],
)
def test_coordinates_worked_by_hand(
    distribution: BaseDistribution, value: Any, coordinate: float
) -> None:
    assert dimension_of(distribution).to_unit(value) == pytest.approx(coordinate)
    assert dimension_of(distribution).from_unit(coordinate) == pytest.approx(value)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=repr)
@lawful
@given(coordinate=st.floats(0.0, 1.0))
def test_every_coordinate_is_a_value_that_comes_back(
    distribution: BaseDistribution, coordinate: float
) -> None:
    dimension = dimension_of(distribution)
    value = dimension.from_unit(coordinate)
    assert distribution._contains(distribution.to_internal_repr(value))
    assert 0.0 <= dimension.to_unit(value) <= 1.0
    again = dimension.from_unit(dimension.to_unit(value))
    if dimension.cells is None:
        assert again == pytest.approx(value, rel=1e-9, abs=1e300 * 1e-7)
    else:
        assert again == value
        assert type(again) is type(value)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS[4:], ids=repr)
def test_cells_count_the_values_and_have_one_identity_each(distribution: BaseDistribution) -> None:
    dimension = dimension_of(distribution)
    assert dimension.cells is not None
    values = [dimension.from_unit(dimension.middle(cell)) for cell in range(dimension.cells)]
    assert all(distribution._contains(distribution.to_internal_repr(value)) for value in values)
    assert len({dimension.identity(value) for value in values}) == dimension.cells
    fine = [dimension.from_unit(u) for u in np.linspace(0.0, 1.0, 20_000)]
    assert {repr(value) for value in fine} == {repr(value) for value in values}


@pytest.mark.parametrize("distribution", DISTRIBUTIONS[4:9], ids=repr)
def test_a_tiny_step_still_reaches_the_next_value(distribution: BaseDistribution) -> None:
    dimension = dimension_of(distribution)
    assert dimension.cells is not None
    for cell in range(dimension.cells - 1):
        here, there = dimension.middle(cell), dimension.middle(cell + 1)
        assert dimension.from_unit(dimension.moved(here, 1e-6)) == dimension.from_unit(there)
        assert dimension.from_unit(dimension.moved(there, -1e-6)) == dimension.from_unit(here)


@lawful
@given(
    distribution=st.sampled_from(DISTRIBUTIONS[:9]),
    start=st.floats(0.0, 1.0),
    step=st.floats(-0.5, 0.5).filter(lambda s: s != 0.0),
)
def test_a_step_stays_in_the_cube(
    distribution: BaseDistribution, start: float, step: float
) -> None:
    assert 0.0 <= dimension_of(distribution).moved(start, step) <= 1.0


def test_a_value_outside_its_range_counts_as_the_nearest_bound() -> None:
    assert dimension_of(FloatDistribution(0.0, 1.0)).to_unit(7.0) == 1.0
    assert dimension_of(IntDistribution(0, 3)).to_unit(-5) == 0.125
    assert dimension_of(FloatDistribution(1e-3, 1.0, log=True)).to_unit(1e-9) == 0.0


def test_an_unknown_distribution_is_refused_by_name() -> None:
    class Odd(BaseDistribution):
        def to_internal_repr(self, param_value_in_external_repr: Any) -> float:
            return 0.0

        def single(self) -> bool:
            return False

        def _contains(self, param_value_in_internal_repr: float) -> bool:
            return True

    with pytest.raises(ValueError, match=r"Odd\(\).*float, integer or category"):
        dimension_of(Odd())


def test_points_of_a_finite_space_are_all_counted() -> None:
    space = SearchSpace({"n": IntDistribution(1, 4, log=True), "c": DISTRIBUTIONS[-1]})
    assert space.number_of_points == 16
    points = [tuple(space.decode(space.nth(index)).values()) for index in range(16)]
    assert len({repr(point) for point in points}) == 16
    assert np.array_equal(space.nth(16), space.nth(0))
    with_float = SearchSpace({"n": IntDistribution(0, 1), "x": FloatDistribution(0, 1)})
    assert with_float.number_of_points == math.inf


def test_a_key_ignores_other_parameters_and_tells_close_floats_apart() -> None:
    space = SearchSpace({"x": FloatDistribution(0.0, 1.0), "n": IntDistribution(0, 3)})
    assert space.key({"x": 0.5, "n": 1, "y": 2}) == space.key({"n": 1, "x": 0.5})
    assert space.key({"x": 0.5, "n": 1}) != space.key({"x": math.nextafter(0.5, 1), "n": 1})
    assert space.key({"x": 0.5, "n": 1}) != space.key({"x": 0.5, "n": 2})


def test_the_space_holds_only_trials_with_the_same_distributions() -> None:
    space = SearchSpace({"x": FloatDistribution(0.0, 1.0)})
    assert space.holds({"x": FloatDistribution(0.0, 1.0), "y": IntDistribution(0, 1)})
    assert not space.holds({"x": FloatDistribution(0.0, 2.0)})
    assert not space.holds({})
