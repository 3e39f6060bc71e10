"""The problems on which the search is improved: what they are, and that no test is among them."""

import itertools

import numpy as np
import pytest
from benchmarks import functions, pilot, sampler_pilot, table_replay
from benchmarks.contender import PLAIN
from benchmarks.functions import Problem
from benchmarks.tabulated import tabulated
from optuna.distributions import CategoricalDistribution, IntDistribution

TABLES = [
    *pilot.chosen("tables", confirm=False)[0][:5],
    *pilot.chosen("tables", confirm=True)[0][:5],
]


def values_of(problem: Problem) -> list[float]:
    levels = [
        each.choices if isinstance(each, CategoricalDistribution) else range(each.high + 1)  # type: ignore[attr-defined] # an integer
        for each in problem.space.values()
    ]
    points = (dict(zip(problem.space, point, strict=True)) for point in itertools.product(*levels))
    return [problem.evaluate(point) for point in points]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_made_up_table_is_a_coarse_grid_with_one_best_point(table: Problem) -> None:
    values = values_of(table)
    assert 4 <= len(table.space) <= 6
    assert 150 <= len(values) <= 3000
    assert (min(values), values.count(0.0)) == (0.0, 1)
    assert {type(each) for each in table.space.values()} <= {
        IntDistribution,
        CategoricalDistribution,
    }


def test_a_table_follows_from_its_name_alone() -> None:
    first, again, other = (tabulated(name) for name in ("a", "a", "b"))
    assert values_of(first) == values_of(again) != values_of(other)


def test_nothing_that_tests_the_search_has_chosen_it() -> None:
    used = [pilot.chosen(g, confirm=c) for g in ("tables", "functions") for c in (False, True)]
    names = {problem.name for problems, _ in used for problem in problems}
    assert not names & {problem.name for problem in functions.PROBLEMS}
    seeds = {seed for _, own in used for seed in own}
    assert not seeds & {*functions.SEEDS, *table_replay.SEEDS}
    chosen, confirming = (pilot.chosen("tables", confirm=c) for c in (False, True))
    assert not {p.name for p in chosen[0]} & {p.name for p in confirming[0]}
    assert not set(chosen[1]) & set(confirming[1])


def test_the_comparison_worked_by_hand() -> None:
    # Two problems with two seeds. Against the plain search: better, equal; worse, better.
    values = np.array([[[0.2, 0.4], [0.1, 0.4]], [[1.0, 5.0], [3.0, 0.0]]])
    rows = sampler_pilot._table(values, (PLAIN, "new")).splitlines()[2:]
    # ranks of the new one: 1, 1.5; 2, 1. Regret over the spread: 1/3, 4/3; 3/5, 0
    assert rows[0] == "| new | 1.375 | 62.5 % | 0.5667 |"
    assert rows[1].startswith(f"| {PLAIN} | 1.625 | 50.0 % |")
