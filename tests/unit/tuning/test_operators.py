"""Selection, crossover, mutation and the first design, against laws and cases worked by hand."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from dermassist.tuning import (
    MemeticSampler,
    PatternSearch,
    PolynomialMutation,
    SimulatedBinaryCrossover,
    TournamentSelection,
    UniformCrossover,
)
from dermassist.tuning.memetic.design import Chance, stratified
from dermassist.tuning.memetic.encoding import SearchSpace

lawful = settings(max_examples=50, deadline=None)
Point = NDArray[np.float64]

UNIT = arrays(np.float64, 4, elements=st.floats(0.0, 1.0))
CHANCE = arrays(np.float64, 4, elements=st.floats(0.0, 1.0, exclude_max=True))
ALL_ORDERED = np.ones(4, dtype=np.bool_)
MIXED = SearchSpace(
    {
        "a": FloatDistribution(0.0, 1.0),
        "b": CategoricalDistribution(("p", "q", "r")),
        "c": IntDistribution(0, 9),
        "d": FloatDistribution(1e-3, 1.0, log=True),
    }
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


class TestTournament:
    def test_the_best_wins_as_often_as_the_arithmetic_says(self) -> None:
        # of 4 members, the best is in a tournament of 2 unless both draws miss it: 1 - (3/4)^2
        generator, draws = rng(), 20_000
        wins = sum(TournamentSelection(2).pick(4, generator) == 0 for _ in range(draws))
        assert wins / draws == pytest.approx(7 / 16, abs=0.012)

    @lawful
    @given(seed=st.integers(0, 2**32), count=st.integers(2, 9), size=st.integers(1, 4))
    def test_a_pair_is_two_different_members(self, seed: int, count: int, size: int) -> None:
        first, second = TournamentSelection(size).pick_pair(count, rng(seed))
        assert first != second
        assert 0 <= first < count
        assert 0 <= second < count


class TestSimulatedBinaryCrossover:
    @lawful
    @given(first=UNIT, second=UNIT, chance=CHANCE, eta=st.floats(0.5, 30.0))
    def test_children_keep_the_mean_of_their_parents(
        self, first: Point, second: Point, chance: Point, eta: float
    ) -> None:
        near, far = SimulatedBinaryCrossover(eta=eta).spread(first, second, chance)
        # far spreads lose absolute precision, so the tolerance grows with them
        tolerance = 1e-12 * (1.0 + np.abs(near).max())
        np.testing.assert_allclose((near + far) / 2, (first + second) / 2, atol=tolerance)

    def test_spread_worked_by_hand(self) -> None:
        # eta 1: u = 0.125 contracts by sqrt(0.25) = 0.5, u = 0.875 expands by sqrt(4) = 2,
        # u = 0.5 gives back the parents
        first, second = np.array([0.2, 0.2, 0.2]), np.array([0.6, 0.6, 0.6])
        near, far = SimulatedBinaryCrossover(eta=1.0).spread(
            first, second, np.array([0.125, 0.875, 0.5])
        )
        np.testing.assert_allclose(near, [0.3, 0.0, 0.2], atol=1e-15)
        np.testing.assert_allclose(far, [0.5, 0.8, 0.6])

    @lawful
    @given(seed=st.integers(0, 2**32), first=UNIT, second=UNIT)
    def test_siblings_lie_mirrored_about_the_mean_of_their_parents(
        self, seed: int, first: Point, second: Point
    ) -> None:
        # with the same chance, parents in the other order make the sibling
        child, sibling = (
            SimulatedBinaryCrossover().child(*parents, ordered=ALL_ORDERED, rng=rng(seed))
            for parents in ((first, second), (second, first))
        )
        tolerance = 1e-12 * (1.0 + np.abs(child).max())
        np.testing.assert_allclose(child + sibling, first + second, atol=tolerance)

    @pytest.mark.parametrize("eta", [1.0, 15.0])
    def test_half_of_the_coordinates_are_new_and_fall_as_the_paper_says(self, eta: float) -> None:
        axes = 20_000
        first, second = np.full(axes, 0.4), np.full(axes, 0.6)
        child = SimulatedBinaryCrossover(eta=eta).child(
            first, second, ordered=np.ones(axes, dtype=np.bool_), rng=rng()
        )
        # one coordinate in two is crossed; of those, one in two lies between the parents, and one
        # in two of these is pulled in by less than the median of beta: beta^(eta + 1) = 1/2
        distance = np.abs(child - 0.5) / 0.1
        kept = np.isin(child, (0.4, 0.6))
        assert kept.mean() == pytest.approx(1 / 2, abs=0.015)
        assert (~kept & (distance < 1.0)).mean() == pytest.approx(1 / 4, abs=0.015)
        median = 0.5 ** (1.0 / (eta + 1.0))
        assert (~kept & (distance < median)).mean() == pytest.approx(1 / 8, abs=0.01)
        # as near to the one parent as to the other
        assert (child < 0.5).mean() == pytest.approx(1 / 2, abs=0.015)
        assert (~kept & (child < 0.5)).mean() == pytest.approx(1 / 4, abs=0.015)

    @lawful
    @given(seed=st.integers(0, 2**32), first=UNIT, second=UNIT)
    def test_axes_without_order_get_a_parents_value(
        self, seed: int, first: Point, second: Point
    ) -> None:
        child = SimulatedBinaryCrossover().child(first, second, ordered=~ALL_ORDERED, rng=rng(seed))
        assert all(child[i] in (first[i], second[i]) for i in range(4))


class TestUniformCrossover:
    @lawful
    @given(seed=st.integers(0, 2**32), first=UNIT, second=UNIT)
    def test_every_coordinate_is_a_parents(self, seed: int, first: Point, second: Point) -> None:
        child = UniformCrossover().child(first, second, ordered=ALL_ORDERED, rng=rng(seed))
        assert all(child[i] in (first[i], second[i]) for i in range(4))

    def test_the_share_of_the_second_parent_is_the_exchange(self) -> None:
        zeros, ones = np.zeros(20_000), np.ones(20_000)
        crossover = UniformCrossover(exchange=0.3)
        child = crossover.child(zeros, ones, ordered=ones.astype(np.bool_), rng=rng())
        assert child.mean() == pytest.approx(0.3, abs=0.015)


class TestPolynomialMutation:
    @lawful
    @given(point=UNIT, chance=CHANCE, eta=st.floats(0.5, 100.0))
    def test_no_shift_leaves_the_bounds(self, point: Point, chance: Point, eta: float) -> None:
        moved = point + PolynomialMutation(eta=eta).shift(point, chance)
        assert np.all(moved >= -1e-12)
        assert np.all(moved <= 1 + 1e-12)

    def test_shift_worked_by_hand(self) -> None:
        # eta 1 at 0.5: u = 0 reaches the lower bound, 0.5 stays, 1 reaches the upper bound;
        # u = 0.25: 0.5 + 0.5 * 0.25 = 0.625, square root 0.790569, minus 1
        mutation = PolynomialMutation(eta=1.0)
        middle = np.full(4, 0.5)
        shift = mutation.shift(middle, np.array([0.0, 0.25, 0.5, 1.0]))
        np.testing.assert_allclose(shift, [-0.5, -0.209431, 0.0, 0.5], atol=1e-6)

    def test_probability_0_changes_nothing_and_1_changes_every_axis(self) -> None:
        point = np.array([0.31, 0.5, 0.45, 0.77])
        never, always = PolynomialMutation(probability=0.0), PolynomialMutation(probability=1.0)
        np.testing.assert_array_equal(never.mutant(point, space=MIXED, rng=rng()), point)
        assert np.all(always.mutant(point, space=MIXED, rng=rng()) != point)

    @lawful
    @given(seed=st.integers(0, 2**32))
    def test_a_category_becomes_another_one(self, seed: int) -> None:
        point = MIXED.encode({"a": 0.3, "b": "q", "c": 4, "d": 0.1})
        mutant = PolynomialMutation(probability=1.0).mutant(point, space=MIXED, rng=rng(seed))
        assert MIXED.decode(mutant)["b"] in ("p", "r")

    def test_one_axis_in_d_mutates_by_default(self) -> None:
        generator, point = rng(), np.full(4, 0.5)
        changed = [
            np.count_nonzero(PolynomialMutation().mutant(point, space=MIXED, rng=generator) - point)
            for _ in range(4000)
        ]
        assert np.mean(changed) == pytest.approx(1.0, abs=0.06)

    def test_few_levels_seldom_change(self) -> None:
        # What the page says of coarse grids; all but the categories' moves stay in their cell.
        coarse = SearchSpace({name: IntDistribution(0, 3) for name in "abcd"})
        generator, point = rng(), coarse.encode(dict.fromkeys("abcd", 1))
        changed = [
            sum(value != 1 for value in coarse.decode(mutant).values())
            for mutant in (
                PolynomialMutation().mutant(point, space=coarse, rng=generator) for _ in range(4000)
            )
        ]
        assert 0.0 < np.mean(changed) < 0.1

    def test_a_single_axis_mutates_every_second_time(self) -> None:
        space = SearchSpace({"b": MIXED.distributions["b"]})
        generator, point = rng(), space.encode({"b": "q"})
        mutants = [
            space.decode(PolynomialMutation().mutant(point, space=space, rng=generator))["b"]
            for _ in range(4000)
        ]
        assert mutants.count("q") / 4000 == pytest.approx(0.5, abs=0.03)


class TestDesign:
    @lawful
    @given(name=st.text(min_size=1), rows=st.integers(1, 30), entropy=st.integers(0, 2**63))
    def test_every_stratum_gets_one_point(self, name: str, rows: int, entropy: int) -> None:
        column = [
            stratified(name, row=row, rows=rows, chance=Chance(entropy, entropy))
            for row in range(rows)
        ]
        assert sorted(int(u * rows) for u in column) == list(range(rows))

    def test_later_rows_are_uniform_and_repeatable(self) -> None:
        late = [stratified("x", row=row, rows=5, chance=Chance(1, 1)) for row in range(5, 2005)]
        assert late == [
            stratified("x", row=row, rows=5, chance=Chance(1, 1)) for row in range(5, 2005)
        ]
        assert np.histogram(late, bins=4, range=(0, 1))[0] == pytest.approx(500, abs=75)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MemeticSampler(population_size=1), "population_size .* at least 2, got 1"),
        (lambda: MemeticSampler(population_size=4.0), "population_size .*integer.* got 4.0"),  # type: ignore[arg-type]  # the mistake
        (lambda: MemeticSampler(seed=-3), "seed .* at least 0, got -3"),
        (lambda: MemeticSampler(seed=True), "seed .*integer.* got True"),
        (lambda: TournamentSelection(0), "size .* at least 1, got 0"),
        (lambda: SimulatedBinaryCrossover(probability=1.5), "probability .*from 0 to 1, got 1.5"),
        (lambda: SimulatedBinaryCrossover(eta=0.0), "eta .* above 0 .*got 0.0"),
        (lambda: UniformCrossover(exchange=-0.1), "exchange .*from 0 to 1, got -0.1"),
        (lambda: UniformCrossover(probability=float("nan")), "probability .*got nan"),
        (lambda: PolynomialMutation(probability="often"), "probability .*got 'often'"),  # type: ignore[arg-type]  # the mistake
        (lambda: PolynomialMutation(eta=-1), "eta .* above 0 .*got -1"),
        (lambda: PatternSearch(elites=0), "elites .* at least 1, got 0"),
        (lambda: PatternSearch(moves=0), "moves .* at least 1, got 0"),
        (lambda: PatternSearch(first_step=0.6), "first_step .* at most 0.5, got 0.6"),
        (lambda: PatternSearch(last_step=0.4), "last_step .* at most 0.2, got 0.4"),
    ],
)
def test_a_bad_argument_is_named_with_its_range_and_value(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
