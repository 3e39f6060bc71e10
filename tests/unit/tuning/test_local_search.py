"""The pattern search, driven by a tiny hill climber that answers its candidates one by one."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from dermassist.tuning import PatternSearch
from dermassist.tuning.memetic.encoding import SearchSpace
from dermassist.tuning.memetic.local_search import Climb
from dermassist.tuning.memetic.plan import Move
from dermassist.tuning.memetic.population import Individual, Population
from dermassist.tuning.memetic.strategy import climb_of

PLANE: dict[str, BaseDistribution] = {
    "x": FloatDistribution(0.0, 1.0),
    "y": FloatDistribution(0.0, 1.0),
}


def born(*point: float, number: int = 0, cost: float = 1.0) -> Individual:
    return Individual(number, np.array(point), cost)


def at_birth(root: Individual) -> Climb:
    return Climb(root=root, base=root, anchor=root)


def points(found: Iterator[tuple[NDArray[np.float64], Move]], count: int) -> list[list[float]]:
    return [np.round(next(found)[0], 6).tolist() for _ in range(count)]


def climbed(
    search: PatternSearch,
    space: SearchSpace,
    cost: Callable[[Mapping[str, Any]], float],
    **start: Any,
) -> tuple[Individual, list[Individual]]:
    """Climb from ``start`` until no candidate is left; return the summit and every trial."""
    people, seen, trials = Population(), set[tuple[float, ...]](), list[Individual]()

    def evaluate(point: NDArray[np.float64], move: Move | None) -> None:
        params = space.decode(point)
        seen.add(space.key(params))
        reach = None if move is None else move.step
        trials.append(Individual(len(trials), space.encode(params), cost(params), move, reach))
        people.add(trials[-1])

    evaluate(space.encode(start), None)
    while True:
        (base,) = people.best(1)
        fresh = (
            (point, move)
            for point, move in search.candidates(climb_of(base, people), space)
            if space.key(space.decode(point)) not in seen
        )
        chosen = next(fresh, None)
        if chosen is None:
            return base, trials
        evaluate(*chosen)


def test_a_sweep_tries_the_longer_side_first_then_halves() -> None:
    search = PatternSearch(first_step=0.2, last_step=0.1)
    found = search.candidates(at_birth(born(0.3, 0.75)), SearchSpace(PLANE))
    assert points(found, 4) == [[0.5, 0.75], [0.1, 0.75], [0.3, 0.55], [0.3, 0.95]]
    assert points(found, 4) == [[0.4, 0.75], [0.2, 0.75], [0.3, 0.65], [0.3, 0.85]]
    assert next(found, None) is None


def test_after_a_gain_the_sweep_goes_on_then_the_gain_is_repeated() -> None:
    root = born(0.3, 0.3)
    move = Move(root=0, base=0, anchor=0, axis="x", step=0.2)
    better = Individual(3, np.array([0.5, 0.3]), 0.5, move)
    found = PatternSearch(first_step=0.2).candidates(
        Climb(root=root, base=better, anchor=root), SearchSpace(PLANE)
    )
    # the rest of the sweep is y alone; the pattern move adds (0.2, 0) once more;
    # the next sweep begins with x, in the direction that has paid
    assert points(found, 4) == [[0.5, 0.5], [0.5, 0.1], [0.7, 0.3], [0.7, 0.3]]


def test_a_candidate_says_where_it_comes_from() -> None:
    found = PatternSearch().candidates(at_birth(born(0.3, 0.3, number=7)), SearchSpace(PLANE))
    assert next(found)[1] == Move(root=7, base=7, anchor=7, axis="x", step=0.2)


def test_steps_stop_at_the_bounds_and_a_move_to_nowhere_is_left_out() -> None:
    search = PatternSearch(first_step=0.2, last_step=0.2)
    found = search.candidates(at_birth(born(1.0, 0.1)), SearchSpace(PLANE))
    assert [p.tolist() for p, _ in found] == [[0.8, 0.1], [1.0, pytest.approx(0.3)], [1.0, 0.0]]


def test_a_category_has_every_other_one_as_neighbour() -> None:
    space = SearchSpace({"c": CategoricalDistribution(("p", "q", "r")), "n": IntDistribution(0, 2)})
    root = Individual(0, space.encode({"c": "q", "n": 0}), 1.0)
    search = PatternSearch(first_step=0.1, last_step=0.1)
    found = [space.decode(point) for point, _ in search.candidates(at_birth(root), space)]
    assert found == [{"c": "p", "n": 0}, {"c": "r", "n": 0}, {"c": "q", "n": 1}]


def test_a_pattern_move_leaves_categories_alone() -> None:
    space = SearchSpace({"c": CategoricalDistribution(("p", "q")), "x": FloatDistribution(0, 1)})
    root = Individual(0, space.encode({"c": "p", "x": 0.2}), 1.0)
    move = Move(root=0, base=0, anchor=0, axis="x", step=0.2)
    base = Individual(1, space.encode({"c": "q", "x": 0.4}), 0.5, move)
    found = PatternSearch().candidates(Climb(root=root, base=base, anchor=root), space)
    assert space.decode(next(found)[0]) == {"c": "q", "x": pytest.approx(0.6)}


def test_a_climb_from_a_child_begins_with_half_its_parents_distance() -> None:
    space = SearchSpace({**PLANE, "c": CategoricalDistribution(("p", "q"))})
    search = PatternSearch(first_step=0.2, last_step=0.01)
    mother, father = np.array([0.5, 0.5, 0.25]), np.array([0.44, 0.6, 0.75])
    assert search.reach(mother, father, space=space) == pytest.approx(0.05)
    assert search.reach(mother, np.array([0.5, 0.501, 0.25]), space=space) == 0.01
    assert search.reach(mother, np.array([0.0, 0.5, 0.25]), space=space) == 0.2
    child = Individual(2, np.array([0.5, 0.5, 0.25]), 1.0, reach=0.05)
    assert next(search.candidates(at_birth(child), space))[1].step == 0.05


@pytest.mark.parametrize("start", [(0.9, 0.05), (0.0, 0.0), (0.31, 0.47)])
def test_it_finds_the_minimum_of_a_quadratic_with_interaction(start: tuple[float, float]) -> None:
    def cost(p: Mapping[str, Any]) -> float:
        u, v = p["x"] - 0.37, p["y"] - 0.81
        return float(u * u + 2.0 * v * v + 1.2 * u * v)

    space = SearchSpace(PLANE)
    summit, trials = climbed(PatternSearch(), space, cost, x=start[0], y=start[1])
    assert space.decode(summit.point) == pytest.approx({"x": 0.37, "y": 0.81}, abs=0.003)
    assert len(trials) < 150
    assert summit.cost == min(trial.cost for trial in trials)


def test_it_finds_a_minimum_on_the_edge_of_a_mixed_space() -> None:
    space = SearchSpace(
        {
            "rate": FloatDistribution(1e-5, 1e-1, log=True),
            "layers": IntDistribution(0, 18),
            "batch": CategoricalDistribution((16, 32, 64)),
            "drop": FloatDistribution(0.0, 0.5, step=0.1),
        }
    )

    def cost(p: Mapping[str, Any]) -> float:
        return float(
            abs(np.log10(p["rate"]) + 3.0) + p["layers"] + (p["batch"] != 64) + abs(p["drop"] - 0.5)
        )

    summit, _ = climbed(PatternSearch(), space, cost, rate=1e-5, layers=17, batch=16, drop=0.0)
    best = space.decode(summit.point)
    assert (best["layers"], best["batch"], best["drop"]) == (0, 64, 0.5)
    assert np.log10(best["rate"]) == pytest.approx(-3.0, abs=0.02)


def test_steps_only_ever_halve_within_a_climb() -> None:
    space = SearchSpace(PLANE)
    search = PatternSearch(first_step=0.25, last_step=0.01)
    _, trials = climbed(search, space, lambda p: (p["x"] - 0.4) ** 2 + p["y"] ** 2, x=0.9, y=0.9)
    steps = [trial.move.step for trial in trials if trial.move is not None]
    assert steps == sorted(steps, reverse=True)
    assert set(steps) <= {0.25, 0.125, 0.0625, 0.03125, 0.015625}
    assert min(steps) == 0.015625


@pytest.mark.parametrize(
    ("distribution", "coarse"),
    [
        (FloatDistribution(0.0, 1.0), False),
        (FloatDistribution(0.0, 0.6, step=0.1), True),
        (IntDistribution(0, 6), True),
        (IntDistribution(0, 7), False),
        (CategoricalDistribution(tuple(range(20))), True),
    ],
)
def test_the_trials_are_asked_where_a_first_step_is_one_level(
    distribution: BaseDistribution, *, coarse: bool
) -> None:
    space = SearchSpace({"a": IntDistribution(0, 1), "b": distribution})
    assert PatternSearch().guides(space) == coarse
    assert not PatternSearch(guided=False).guides(space)
    finer = PatternSearch(first_step=0.05)
    assert finer.guides(space) == (coarse or distribution == IntDistribution(0, 7))
