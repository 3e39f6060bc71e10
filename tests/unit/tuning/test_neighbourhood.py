"""Which points count as neighbours on a coarse grid."""

from typing import Any

import numpy as np
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from dermassist.tuning.memetic.encoding import SearchSpace
from dermassist.tuning.memetic.neighbourhood import neighbours

GRID: dict[str, BaseDistribution] = {
    "kind": CategoricalDistribution(("a", "b", "c")),
    "count": IntDistribution(1, 4, log=True),
    "share": FloatDistribution(0.0, 1.0, step=0.25),
}
SPACE = SearchSpace(GRID)
LEVELS: dict[str, list[Any]] = {"count": [1, 2, 3, 4], "share": [0.0, 0.25, 0.5, 0.75, 1.0]}
Params = dict[str, Any]


def differs(here: Params, there: Params) -> list[str]:
    return [name for name in GRID if here[name] != there[name]]


def one_level_away(here: Params, there: Params) -> bool:
    return all(
        abs(levels.index(here[name]) - levels.index(there[name])) <= 1
        for name, levels in LEVELS.items()
    )


@pytest.mark.parametrize("changes", [1, 2])
@pytest.mark.parametrize(
    "here",
    [{"kind": "b", "count": 2, "share": 0.5}, {"kind": "a", "count": 1, "share": 1.0}],
    ids=["inside", "corner"],
)
def test_neighbours_are_all_points_one_level_away_on_so_many_axes(
    here: Params, changes: int
) -> None:
    found = list(neighbours(SPACE.encode(here), SPACE, changes=changes))
    points = [SPACE.decode(point) for point, _ in found]
    every = [
        {"kind": kind, "count": count, "share": share}
        for kind in "abc"
        for count in LEVELS["count"]
        for share in LEVELS["share"]
    ]
    expected = [
        there
        for there in every
        if len(differs(here, there)) == changes and one_level_away(here, there)
    ]
    assert sorted(points, key=str) == sorted(expected, key=str)
    for there, (_, axes) in zip(points, found, strict=True):
        assert [SPACE.names[axis] for axis in axes] == differs(here, there)


def test_a_neighbour_is_known_by_its_coordinates() -> None:
    start = SPACE.encode({"kind": "c", "count": 3, "share": 0.25})
    for point, _ in neighbours(start, SPACE, changes=2):
        assert SPACE.key_of_middle(point) == SPACE.key(SPACE.decode(point))


def test_the_point_itself_is_left_as_it_is() -> None:
    start = SPACE.encode({"kind": "c", "count": 3, "share": 0.25})
    before = start.copy()
    list(neighbours(start, SPACE, changes=1))
    np.testing.assert_array_equal(start, before)
