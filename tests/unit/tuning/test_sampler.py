"""The sampler in a study: repeatability, resuming, parallel work, odd trials and odd spaces."""

import contextlib
import copy
import itertools
import math
import pickle
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from dermassist.tuning import (
    MemeticSampler,
    PatternSearch,
    PolynomialMutation,
    TournamentSelection,
    plan_of,
)
from dermassist.tuning.memetic import sampler as sampler_module
from dermassist.tuning.memetic import strategy
from dermassist.tuning.memetic.estimate import Estimate
from dermassist.tuning.memetic.neighbourhood import Neighbours, neighbours
from dermassist.tuning.memetic.plan import PLAN_KEY, Origin, Plan
from dermassist.tuning.memetic.population import Individual

Point = NDArray[np.float64]

SPACE: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-5, 1e-1, log=True),
    "drop": FloatDistribution(0.0, 0.6),
    "layers": IntDistribution(0, 18),
    "batch": CategoricalDistribution((16, 32, 64)),
}
SMALL: dict[str, BaseDistribution] = {
    "n": IntDistribution(0, 3),
    "c": CategoricalDistribution(("p", "q", "r")),
}


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def cost(params: dict[str, Any]) -> float:
    return float(
        (math.log10(params["rate"]) + 3.2) ** 2
        + (params["drop"] - 0.2) ** 2
        + ((params["layers"] - 5) / 9) ** 2
        + {16: 0.3, 32: 0.0, 64: 0.1}[params["batch"]]
    )


def run(study: optuna.Study, trials: int, *, sign: float = 1.0) -> None:
    for _ in range(trials):
        trial = study.ask(SPACE)
        study.tell(trial, sign * cost(trial.params))


def points(study: optuna.Study) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials]


def searched(trials: int, *, seed: int = 0, **options: Any) -> optuna.Study:
    study = optuna.create_study(sampler=MemeticSampler(seed=seed, **options))
    run(study, trials)
    return study


def test_it_searches_better_than_chance() -> None:
    random = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    run(random, 80)
    assert searched(80).best_value < random.best_value / 4


def test_every_part_of_the_search_takes_its_turn() -> None:
    plans = [plan_of(trial) for trial in searched(80).trials]
    origins = Counter(plan.origin for plan in plans if plan is not None)
    assert set(origins) == {Origin.START, Origin.CHILD, Origin.MOVE}
    generations = [plan.generation for plan in plans if plan is not None]
    assert generations == sorted(generations)
    without = [plan_of(trial) for trial in searched(80, local_search=None).trials]
    assert not any(plan.move for plan in without if plan is not None)


def test_a_seed_repeats_and_another_differs() -> None:
    first = points(searched(50, seed=3))
    assert points(searched(50, seed=3)) == first
    assert points(searched(50, seed=4)) != first


def test_without_a_seed_two_samplers_differ_and_reseeding_forgets_the_seed() -> None:
    unseeded = [MemeticSampler(), MemeticSampler()]
    reseeded = [MemeticSampler(seed=1), MemeticSampler(seed=1)]
    reseeded[0].reseed_rng()
    for pair in (unseeded, reseeded):
        studies = [optuna.create_study(sampler=sampler) for sampler in pair]
        for study in studies:
            run(study, 3)
        assert points(studies[0]) != points(studies[1])


def test_a_search_resumed_from_a_file_equals_one_never_stopped(tmp_path: Path) -> None:
    for _ in range(4):
        # a new storage, study and sampler each time, as in a new process
        resumed = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(tmp_path / "journal"))),
            study_name="s",
            load_if_exists=True,
            sampler=MemeticSampler(seed=5),
        )
        run(resumed, 9)
    assert points(resumed) == points(searched(36, seed=5))


def test_a_copied_or_pickled_sampler_goes_on_alike() -> None:
    study = searched(20, seed=2)
    expected = points(searched(30, seed=2))
    for twin in (copy.deepcopy(study.sampler), pickle.loads(pickle.dumps(study.sampler))):
        other = optuna.create_study(sampler=twin)
        other.add_trials(study.trials)
        run(other, 10)
        assert points(other) == expected


def test_one_sampler_serves_two_studies_without_mixing_them() -> None:
    sampler = MemeticSampler(seed=0)
    studies = [optuna.create_study(sampler=sampler) for _ in range(2)]
    for _ in range(30):
        for study in studies:
            run(study, 1)
    assert points(studies[0]) == points(studies[1]) == points(searched(30))


def test_maximising_mirrors_minimising() -> None:
    study = optuna.create_study(direction="maximize", sampler=MemeticSampler(seed=0))
    run(study, 50, sign=-1.0)
    assert points(study) == points(searched(50))


def test_no_point_is_tried_twice_before_a_finite_space_is_exhausted() -> None:
    study = optuna.create_study(sampler=MemeticSampler(seed=0, population_size=4))
    for _ in range(15):
        trial = study.ask(SMALL)
        study.tell(trial, trial.params["n"])
    keys = [tuple(point.values()) for point in points(study)]
    assert len(set(keys[:12])) == 12
    assert len(keys) == 15


def test_pruned_and_failed_points_stay_tried_but_have_no_offspring() -> None:
    study = optuna.create_study(sampler=MemeticSampler(seed=0, population_size=4))
    for index in range(60):
        trial = study.ask(SPACE)
        if index % 3 == 1:
            trial.report(-100.0, step=0)
            study.tell(trial, state=TrialState.PRUNED)
        elif index % 3 == 2:
            study.tell(trial, state=TrialState.FAIL)
        else:
            study.tell(trial, cost(trial.params))
    assert len({tuple(point.values()) for point in points(study)}) == 60
    bad = {trial.number for trial in study.trials if trial.state != TrialState.COMPLETE}
    for plan in filter(None, map(plan_of, study.trials)):
        used = {plan.move.base, plan.move.root} if plan.move else set(plan.parents)
        assert not used & bad


@pytest.mark.parametrize("given", [0, 1])
def test_a_trial_pruned_before_it_had_all_parameters_changes_nothing(given: int) -> None:
    study = optuna.create_study(sampler=MemeticSampler(seed=0, population_size=4))
    run(study, 10)
    trial = study.ask(dict(list(SPACE.items())[:given]))
    study.tell(trial, state=TrialState.PRUNED)
    run(study, 10)
    planned = [plan_of(each) for each in study.trials[11:]]
    assert all(plan is not None and plan.values.keys() == SPACE.keys() for plan in planned)


@pytest.mark.parametrize("state", [TrialState.PRUNED, TrialState.FAIL])
def test_it_goes_on_at_random_while_nothing_completes(state: TrialState) -> None:
    study = optuna.create_study(sampler=MemeticSampler(seed=0, population_size=4))
    for _ in range(20):
        study.tell(study.ask(SPACE), state=state)
    assert len({tuple(point.values()) for point in points(study)}) == 20


def test_a_queued_point_is_not_planned_as_well() -> None:
    sampler = MemeticSampler(seed=0, population_size=4)
    study = optuna.create_study(sampler=sampler)
    for _ in range(9):
        trial = study.ask(SMALL)
        study.tell(trial, trial.params["n"])
    every = [{"n": n, "c": c} for n in range(4) for c in ("p", "q", "r")]
    free, *queued = [point for point in every if point not in points(study)]
    for point in queued:
        study.enqueue_trial(point)
    # Begun by another process, which does not take what is queued here.
    storage = study._storage
    begun = storage.get_trial(storage.create_new_trial(study._study_id))
    space = sampler.infer_relative_search_space(study, begun)
    assert sampler.sample_relative(study, begun, space) == free


def test_trials_that_never_finish_block_nobody_and_keep_their_points() -> None:
    study = searched(12)
    orphans = [study.ask(SPACE).params for _ in range(8)]
    run(study, 60)
    assert len({tuple(point.values()) for point in points(study)}) == 80
    newest = plan_of(study.trials[-1])
    assert newest is not None
    assert newest.generation > 3
    assert [t.params for t in study.trials if t.state == TrialState.RUNNING] == orphans


def test_two_samplers_on_one_storage_never_hold_the_same_point() -> None:
    storage = InMemoryStorage()
    name = optuna.create_study(storage=storage).study_name
    workers = [
        optuna.load_study(study_name=name, storage=storage, sampler=MemeticSampler(seed=7))
        for _ in range(2)
    ]
    for _ in range(30):
        pair = [worker.ask(SPACE) for worker in workers]
        for worker, trial in zip(workers, reversed(pair), strict=True):
            worker.tell(trial.number, cost(trial.params))
    assert len({tuple(point.values()) for point in points(workers[0])}) == 60


class RivalStorage(InMemoryStorage):
    """A storage in which another process plans the very same point at the very same time."""

    rival: int | None = None
    #: whether the rival has its result before the first process looks again
    quick = False

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        super().set_trial_system_attr(trial_id, key, value)
        if key == PLAN_KEY and self.rival is not None:
            rival, self.rival = self.rival, None
            super().set_trial_system_attr(rival, key, value)
            if self.quick:
                for name, each in SPACE.items():
                    self.set_trial_param(rival, name, value["values"][name], each)
                self.set_trial_state_values(rival, TrialState.COMPLETE, [9.0])


@pytest.mark.parametrize("quick", [False, True])
def test_a_point_that_another_process_announced_meanwhile_is_given_up(*, quick: bool) -> None:
    storage = RivalStorage()
    storage.quick = quick
    study = optuna.create_study(storage=storage, sampler=MemeticSampler(seed=0))
    run(study, 25)
    rival = storage.create_new_trial(study._study_id)
    storage.rival = rival
    run(study, 1)
    plan, taken = plan_of(study.trials[-1]), plan_of(storage.get_trial(rival))
    assert plan is not None
    assert taken is not None
    assert plan.values != taken.values
    assert study.trials[-1].params == {
        name: each.to_external_repr(plan.values[name]) for name, each in SPACE.items()
    }


class LockstepStorage(InMemoryStorage):
    """A storage in which two processes plan, announce and look at the very same moments."""

    def __init__(self) -> None:
        super().__init__()
        self.step: threading.Barrier | None = None

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._wait(key)
        super().set_trial_system_attr(trial_id, key, value)
        self._wait(key)

    def _wait(self, key: str) -> None:
        if key == PLAN_KEY and self.step is not None:
            with contextlib.suppress(threading.BrokenBarrierError):
                self.step.wait()


def test_two_processes_in_lockstep_part_at_once() -> None:
    storage = LockstepStorage()
    study = optuna.create_study(storage=storage)
    others = [
        optuna.load_study(
            study_name=study.study_name, storage=storage, sampler=MemeticSampler(seed=0)
        )
        for _ in range(2)
    ]
    run(others[0], 25)

    def work(own: optuna.Study, step: threading.Barrier) -> None:
        trial = own.ask(SPACE)
        step.abort()  # the other one goes on alone
        own.tell(trial, cost(trial.params))

    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            storage.step = threading.Barrier(2)
            list(pool.map(work, others, [storage.step] * 2))
    assert len({tuple(point.values()) for point in points(study)}) == 65


def test_threads_share_a_sampler() -> None:
    study = optuna.create_study(sampler=MemeticSampler(seed=0))
    study.optimize(lambda t: cost(suggested(t)), n_trials=40, n_jobs=4)
    assert len({tuple(sorted(point.items())) for point in points(study)}) == 40


@pytest.mark.parametrize("seed", [4, None])
def test_first_points_of_threads_fit_together(seed: int | None) -> None:
    # Optuna draws the sampler's chance anew before every trial that runs beside others.
    study = optuna.create_study(sampler=MemeticSampler(seed=seed))
    study.optimize(
        lambda t: t.suggest_float("x", 0.0, 1.0) + t.suggest_float("y", 0.0, 1.0),
        n_trials=10,
        n_jobs=2,
    )
    for name in ("x", "y"):
        assert sorted(int(10 * trial.params[name]) for trial in study.trials) == list(range(10))


@pytest.mark.parametrize("pickled", [False, True])
def test_threads_that_begin_at_once_share_one_design(
    monkeypatch: pytest.MonkeyPatch, *, pickled: bool
) -> None:
    both, numbers = threading.Barrier(2), itertools.count()

    def drawn() -> int:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(timeout=0.5)  # only threads that draw at once meet here
        return next(numbers)

    monkeypatch.setattr(sampler_module, "_drawn_entropy", drawn)
    own = MemeticSampler()
    if pickled:
        own = pickle.loads(pickle.dumps(own))
    with ThreadPoolExecutor(2) as pool:
        assert len(set(pool.map(lambda _: own._drawn.design, range(2)))) == 1


@pytest.mark.parametrize(("choices", "guided"), [(8, {1, 2}), (30, {1}), (300, set())])
def test_many_choices_are_not_all_looked_at_for_every_move(
    choices: int, guided: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []

    def counted(points: Any, space: Any, *, changes: int) -> Neighbours:
        found = neighbours(points, space, changes=changes)
        looked.append((changes, len(found.points)))
        return found

    monkeypatch.setattr(strategy, "neighbours", counted)
    study = optuna.create_study(sampler=MemeticSampler(seed=0))
    study.optimize(
        lambda t: sum(t.suggest_categorical(name, range(choices)) for name in "abcde"),
        n_trials=60,
    )
    assert {changes for changes, _ in looked} == guided
    assert max((count for _, count in looked), default=0) <= 10_000
    # Climbs go on without a look at all neighbours.
    assert any(plan.move for plan in map(plan_of, study.trials) if plan is not None)


def suggested(trial: Trial) -> dict[str, Any]:
    return {name: trial._suggest(name, each) for name, each in SPACE.items()}


def bred(children: int, **options: Any) -> list[FrozenTrial]:
    """Return the children of twelve points between 0.1 and 0.3, of which the first is the best."""
    study = optuna.create_study(sampler=MemeticSampler(seed=0, local_search=None, **options))
    space: dict[str, BaseDistribution] = {name: FloatDistribution(0.0, 1.0) for name in "xy"}
    for rank in range(12):
        place = 0.1 + rank / 60
        study.add_trial(
            optuna.create_trial(
                params={"x": place, "y": place}, distributions=space, value=float(rank)
            )
        )
    for _ in range(children):
        study.ask(space)
    return study.trials[12:]


def test_parents_are_chosen_by_tournament() -> None:
    # A tournament of 64 among ten is lost by the best once in 850 times.
    plans = map(plan_of, bred(20, selection=TournamentSelection(64)))
    assert sum(plan is not None and set(plan.parents) == {0, 1} for plan in plans) >= 18


@dataclass(frozen=True)
class FarCrossover:
    """A crossover whose children lie where neither parents nor small mutations do."""

    probability: float

    def child(
        self, first: Point, second: Point, *, ordered: NDArray[np.bool_], rng: np.random.Generator
    ) -> Point:
        return np.full_like(first, 0.9)


@pytest.mark.parametrize(
    ("probability", "fewest", "most"), [(0.0, 0, 0), (0.3, 12, 48), (1.0, 100, 100)]
)
def test_parents_are_crossed_as_often_as_the_crossover_says(
    probability: float, fewest: int, most: int
) -> None:
    # Of 100 with 0.3 it is 30, give or take four standard deviations of 4.6. Every axis mutates a
    # little, so that no child is one that has been tried and none is drawn again.
    children = bred(
        100,
        crossover=FarCrossover(probability),
        mutation=PolynomialMutation(probability=1.0, eta=1000.0),
    )
    assert fewest <= sum(trial.params["x"] > 0.6 for trial in children) <= most


def test_trials_of_another_origin_are_parents_too() -> None:
    study = optuna.create_study(sampler=MemeticSampler(seed=0))
    paper = {"rate": 10**-3.2, "drop": 0.2, "layers": 5, "batch": 32}
    study.enqueue_trial(paper)
    run(study, 11)
    assert study.trials[0].params == paper
    run(study, 30)
    plans = [plan for plan in map(plan_of, study.trials) if plan is not None]
    assert any(0 in plan.parents for plan in plans)
    assert any(plan.move is not None and plan.move.root == 0 for plan in plans)


def test_once_the_best_is_at_its_summit_the_next_best_is_climbed() -> None:
    grid: dict[str, BaseDistribution] = {"n": IntDistribution(0, 9), "m": IntDistribution(0, 9)}
    climbing = PatternSearch(elites=1, first_step=0.1, last_step=0.1)
    study = optuna.create_study(
        sampler=MemeticSampler(seed=0, population_size=2, local_search=climbing)
    )
    summit_and_around = {(3, 3): 0.0, (2, 3): 9.0, (4, 3): 9.0, (3, 2): 9.0, (3, 4): 9.0}
    for (n, m), value in {**summit_and_around, (8, 8): 0.5}.items():
        study.add_trial(
            optuna.create_trial(params={"n": n, "m": m}, distributions=grid, value=value)
        )
    child, move = (study.ask(grid) for _ in range(2))
    study.tell(child, 9.0)
    plan = plan_of(study.trials[move.number])
    assert plan is not None
    assert plan.move is not None
    assert plan.move.base == 5
    assert abs(move.params["m"] - 8) + abs(move.params["n"] - 8) == 1


def first_move(telling: str, *, guided: bool) -> tuple[Plan, dict[str, Any]]:
    """Return the first move on a grid of which one axis matters, and its point."""
    grid: dict[str, BaseDistribution] = {"n": IntDistribution(0, 6), "m": IntDistribution(0, 6)}
    study = optuna.create_study(
        sampler=MemeticSampler(seed=0, population_size=2, local_search=PatternSearch(guided=guided))
    )
    # the more of the telling one the better, and the best so far lies in the middle of both
    for n, m in [(0, 3), (1, 6), (3, 0), (3, 2), (1, 1), (2, 4), (0, 0), (4, 4)]:
        point = {"n": n, "m": m} if telling == "n" else {"n": m, "m": n}
        study.add_trial(
            optuna.create_trial(params=point, distributions=grid, value=-point[telling])
        )
    study.ask(grid)
    move = study.ask(grid)
    plan = plan_of(study.trials[move.number])
    assert plan is not None
    return plan, move.params


@pytest.mark.parametrize("telling", ["n", "m"])
def test_on_levels_the_move_comes_first_that_the_trials_so_far_favour(telling: str) -> None:
    plan, params = first_move(telling, guided=True)
    assert plan.move is not None
    assert (plan.move.base, plan.move.axis) == (7, telling)
    assert params[telling] > 4


def test_on_levels_the_best_of_many_trials_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[float]] = []

    class Watched(Estimate):
        def __init__(self, individuals: Sequence[Individual], **kwargs: Any) -> None:
            asked.append([each.cost for each in individuals])
            super().__init__(individuals, **kwargs)

    monkeypatch.setattr(strategy, "Estimate", Watched)
    grid: dict[str, BaseDistribution] = {f"n{axis}": IntDistribution(0, 6) for axis in range(3)}
    study = optuna.create_study(sampler=MemeticSampler(seed=0, population_size=2))
    for cost in range(200):
        point = {"n0": cost % 7, "n1": cost // 7 % 7, "n2": cost // 49}
        study.add_trial(optuna.create_trial(params=point, distributions=grid, value=float(cost)))
    study.ask(grid)
    study.ask(grid)
    assert asked == [[float(cost) for cost in range(40)]]


def test_on_levels_a_move_may_leave_from_any_member() -> None:
    """The best lies alone among bad points; all others say that more of ``n`` is better."""
    grid: dict[str, BaseDistribution] = {"n": IntDistribution(0, 6), "m": IntDistribution(0, 6)}
    study = optuna.create_study(sampler=MemeticSampler(seed=0))
    around = [(n, m) for n in range(6) for m in range(7) if (n + m) % 2]
    for n, m in around:
        study.add_trial(
            optuna.create_trial(
                params={"n": n, "m": m},
                distributions=grid,
                value=-9.0 if (n, m) == (0, 3) else -float(n),
            )
        )
    for _ in range(5):
        study.tell(study.ask(grid), 0.0)
    move = study.ask(grid)
    plan = plan_of(study.trials[move.number])
    assert plan is not None
    assert plan.move is not None
    base = study.trials[plan.move.base].params
    assert base != {"n": 0, "m": 3}
    assert move.params["n"] > 3


def test_on_levels_a_move_goes_two_ways_at_once_where_no_single_one_promises_more() -> None:
    """Points are good on the diagonal, the better the farther; (2, 3) is new, but off it."""
    grid: dict[str, BaseDistribution] = {"n": IntDistribution(0, 4), "m": IntDistribution(0, 4)}
    study = optuna.create_study(sampler=MemeticSampler(seed=0, population_size=2))
    new = {(2, 3), (3, 3), (4, 4)}
    tried = [(n, m) for n in range(5) for m in range(5) if (n, m) not in new]
    for n, m in tried:
        study.add_trial(
            optuna.create_trial(
                params={"n": n, "m": m}, distributions=grid, value=abs(n - m) - n / 10
            )
        )
    child, move = (study.ask(grid) for _ in range(2))
    assert child.params != {"n": 3, "m": 3}
    assert move.params == {"n": 3, "m": 3}
    plan = plan_of(study.trials[move.number])
    assert plan is not None
    assert plan.move is not None
    assert (plan.move.base, plan.move.axis) == (tried.index((2, 2)), None)


@pytest.mark.parametrize("telling", ["n", "m"])
def test_unguided_the_axes_take_turns(telling: str) -> None:
    plan, _ = first_move(telling, guided=False)
    assert plan.move is not None
    # Optuna sorts parameters by name, so "m" is the first axis of the sweep
    assert plan.move.axis == "m"


def test_a_fixed_parameter_stays_fixed() -> None:
    study = optuna.create_study(sampler=MemeticSampler(seed=0))
    for _ in range(25):
        study.enqueue_trial({"layers": 4})
    run(study, 25)
    assert {trial.params["layers"] for trial in study.trials} == {4}


def test_parameters_of_a_branch_are_drawn_on_their_own() -> None:
    study = optuna.create_study(sampler=MemeticSampler(seed=0, population_size=4))

    def objective(trial: Trial) -> float:
        x = trial.suggest_float("x", -1.0, 1.0)
        if trial.suggest_categorical("kind", ["a", "b"]) == "a":
            return x**2 + trial.suggest_int("only_a", 0, 5)
        return x**2 + trial.suggest_float("only_b", 1e-3, 1.0, log=True)

    study.optimize(objective, n_trials=40)
    planned = [set(plan.values) for plan in map(plan_of, study.trials) if plan is not None]
    assert planned[-1] == {"x", "kind"}
    assert {frozenset(trial.params) for trial in study.trials} == {
        frozenset({"x", "kind", "only_a"}),
        frozenset({"x", "kind", "only_b"}),
    }


def test_the_choice_of_a_branch_is_learned() -> None:
    study = optuna.create_study(sampler=MemeticSampler(seed=0, population_size=4))
    cost_of = {"a": 0.0, "b": 5.0, "c": 7.0, "d": 9.0}

    def objective(trial: Trial) -> float:
        kind = trial.suggest_categorical("kind", list(cost_of))
        return cost_of[kind] + trial.suggest_float(f"only_{kind}", 0.0, 1.0)

    study.optimize(objective, n_trials=120)
    late = Counter(trial.params["kind"] for trial in study.trials[60:])
    # By chance it would be 15 of 60.
    assert late["a"] > 25
    assert late.total() - late["a"] > 10


def test_what_is_drawn_at_random_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    study = optuna.create_study(sampler=MemeticSampler(seed=0, population_size=4))
    for wanted in ("x", "x", "y", "y", "z", "x"):
        study.tell(study.ask({wanted: FloatDistribution(0.0, 1.0)}), 1.0)
    said = [record.getMessage() for record in caplog.records]
    assert [line.partition(" is drawn at random from trial ")[::2] for line in said] == [
        ("y", "2 on, because not every complete trial has it with this range"),
        ("z", "4 on, because not every complete trial has it with this range"),
        ("x", "5 on, because not every complete trial has it with this range"),
    ]
    caplog.clear()
    searched(20)
    assert not caplog.records


def test_it_works_under_a_hyperband_pruner() -> None:
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9)
    study = optuna.create_study(sampler=MemeticSampler(seed=0, population_size=4), pruner=pruner)

    def objective(trial: Trial) -> float:
        value = cost(suggested(trial))
        for step in range(9):
            trial.report(value + 1.0 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    study.optimize(objective, n_trials=40)
    assert len({tuple(sorted(point.items())) for point in points(study)}) == 40
    assert {t.state for t in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}


def test_more_than_one_objective_is_refused_with_a_way_out() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=MemeticSampler())
    with pytest.raises(ValueError, match=r"one objective, but this study has 2: use .*NSGAII"):
        study.ask(SPACE)
