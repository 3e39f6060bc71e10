"""Which points count as neighbours on a coarse grid."""

from itertools import compress
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
from dermassist.tuning.memetic.neighbourhood import neighbours, neighbours_each

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
    found = neighbours(SPACE.encode(here)[None], SPACE, changes=changes)
    points = [SPACE.decode(point) for point in found.points]
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
    for there, changed in zip(points, found.changed, strict=True):
        assert list(compress(SPACE.names, changed)) == differs(here, there)


@pytest.mark.parametrize("changes", [1, 2, 3])
def test_so_many_neighbours_has_a_point_that_lies_on_no_edge(changes: int) -> None:
    inside = SPACE.encode({"kind": "b", "count": 2, "share": 0.5})[None]
    found = neighbours(inside, SPACE, changes=changes)
    assert neighbours_each(SPACE, changes=changes) == len(found.points) > 0


def test_a_neighbour_is_its_own_key() -> None:
    start = SPACE.encode({"kind": "c", "count": 3, "share": 0.25})
    for point in neighbours(start[None], SPACE, changes=2).points:
        assert tuple(point.tolist()) == SPACE.key(SPACE.decode(point))


def test_each_neighbour_names_the_point_it_lies_beside() -> None:
    corners = [{"kind": "a", "count": 1, "share": 0.0}, {"kind": "c", "count": 4, "share": 1.0}]
    points = np.array([SPACE.encode(corner) for corner in corners])
    found = neighbours(points, SPACE, changes=1)
    assert set(found.origins.tolist()) == {0, 1}
    for point, origin in zip(found.points, found.origins, strict=True):
        assert len(differs(corners[origin], SPACE.decode(point))) == 1


def test_where_too_few_axes_can_change_there_are_no_neighbours() -> None:
    space = SearchSpace({"n": IntDistribution(0, 3)})
    assert len(neighbours(np.array([[0.125]]), space, changes=2).points) == 0
