import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dermassist.tuning.memetic.plan import Move
from dermassist.tuning.memetic.population import Individual, Population

lawful = settings(max_examples=50, deadline=None)


def individual(number: int, cost: float, root: int | None = None) -> Individual:
    move = None if root is None else Move(root=root, base=root, anchor=root, axis="x", step=0.1)
    return Individual(number, np.zeros(1), cost, move)


def test_an_improving_move_takes_its_lines_place_and_a_failing_one_none() -> None:
    people = Population()
    for each in (individual(0, 3.0), individual(1, 2.0), individual(2, 2.5, root=0)):
        people.add(each)
    people.add(individual(3, 9.0, root=1))
    assert [leader.number for leader in people.best(10)] == [1, 2]
    assert len(people) == 2
    assert people.root_of(people[2]) == 0
    people.add(individual(4, 1.0, root=0))
    assert [leader.number for leader in people.best(1)] == [4]


def test_of_equals_the_older_trial_stays() -> None:
    people = Population()
    for each in (individual(0, 1.0), individual(1, 1.0, root=0), individual(2, 1.0)):
        people.add(each)
    assert [leader.number for leader in people.best(9)] == [0, 2]


def test_a_move_from_an_unknown_root_founds_a_line() -> None:
    people = Population()
    people.add(individual(5, 1.0, root=3))
    assert people.root_of(people[5]) == 5


@lawful
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.one_of(st.none(), st.integers(0, 9))), max_size=40)
)
def test_ranking_equals_the_plain_definition(rows: list[tuple[int, int | None]]) -> None:
    people, lines = Population(), dict[int, list[Individual]]()
    for number, (cost, wanted) in enumerate(rows):
        root = wanted if wanted in lines else None
        each = individual(number, float(cost), root)
        people.add(each)
        lines.setdefault(number if root is None else root, []).append(each)
    leaders = [min(line, key=lambda each: each.rank) for line in lines.values()]
    expected = sorted(leaders, key=lambda each: each.rank)
    assert [x.number for x in people.best(99)] == [x.number for x in expected]
    assert [people.root_of(x) for x in people.best(99)] == [
        next(root for root, line in lines.items() if x in line) for x in expected
    ]


def test_the_best_trials_include_moves_that_failed() -> None:
    people = Population()
    for number, cost in enumerate([3.0, 1.0, 2.0]):
        people.add(Individual(number, np.zeros(1), cost))
    failed = Move(root=1, base=1, anchor=1, axis="x", step=0.1)
    people.add(Individual(3, np.zeros(1), 1.5, failed))
    assert people.finished == 4
    assert [each.number for each in people.best_trials(3)] == [1, 3, 2]
    assert [each.number for each in people.best(3)] == [1, 2, 0]
