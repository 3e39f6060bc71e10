"""The functions and seeds on which the memetic sampler's defaults were chosen.

None of them is among the declared ones of ``functions.py``: other landscapes, other instances,
other seeds. The tables (``tabulated.py``) stand for grids of trainings; they were declared before
the search was fitted to them, and nothing was chosen on the table of real trainings.

Sources: Hansen, Finck, Ros, Auger, INRIA RR-6829 (2009) for sphere, discus, sharp ridge and
different powers; Griewank, "Generalized descent for global optimization", J Optim Theory Appl 34
(1981); Salomon, "Re-evaluating genetic algorithm performance under coordinate rotation",
BioSystems 39 (1996); Rahnamayan, Tizhoosh, Salama, "Opposition-based differential evolution"
(2008) for Alpine, Zakharov and Schwefel's problem 1.2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.functions import Problem, continuous
from benchmarks.landscape import placed
from benchmarks.tabulated import tabulated
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from dermassist.tuning import MemeticSampler, PatternSearch, PolynomialMutation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.functions import Params
    from benchmarks.landscape import Vector
    from optuna.samplers import BaseSampler

    from dermassist.tuning.memetic.encoding import Point, SearchSpace

SEEDS: tuple[int, ...] = tuple(range(101, 121))
CONFIRMING_SEEDS: tuple[int, ...] = tuple(range(501, 521))


def _sphere(z: Vector) -> float:
    return float(z @ z)


def _discus(z: Vector) -> float:
    return float(1e4 * z[0] ** 2 + z[1:] @ z[1:])


def _sharp_ridge(z: Vector) -> float:
    return float(z[0] ** 2 + 100.0 * np.sqrt(z[1:] @ z[1:]))


def _different_powers(z: Vector) -> float:
    power = 2.0 + 4.0 * np.arange(z.size) / (z.size - 1)
    return float(np.sqrt(np.sum(np.abs(z) ** power)))


def _griewank(z: Vector) -> float:
    wide = 20.0 * z
    waves = np.prod(np.cos(wide / np.sqrt(np.arange(1, z.size + 1))))
    return float(1.0 + wide @ wide / 4000.0 - waves)


def _salomon(z: Vector) -> float:
    radius = math.sqrt(z @ z)
    return 1.0 - math.cos(2.0 * math.pi * radius) + 0.1 * radius


def _alpine(z: Vector) -> float:
    return float(np.sum(np.abs(z * np.sin(z) + 0.1 * z)))


def _zakharov(z: Vector) -> float:
    linear = 0.5 * np.arange(1, z.size + 1) @ z
    return float(z @ z + linear**2 + linear**4)


def _schwefel_12(z: Vector) -> float:
    return float(np.sum(np.cumsum(z) ** 2))


_MIXED_VALUE = placed(_different_powers, name="mixed_powers", size=7, rotate=True)
_MIXED_SPACE: dict[str, BaseDistribution] = {
    "rate0": FloatDistribution(1e-5, 1.0, log=True),
    "rate1": FloatDistribution(1e-5, 1.0, log=True),
    "count": IntDistribution(1, 1024, log=True),
    "whole": IntDistribution(-5, 5),
    "x0": FloatDistribution(-5.0, 5.0),
    "x1": FloatDistribution(-5.0, 5.0),
    "choice": CategoricalDistribution(("a", "b", "c", "d")),
}


def _mixed(params: Params) -> float:
    shift = {"a": -3.0, "b": -1.0, "c": 1.5, "d": 3.0}[params["choice"]]
    logs = [2.0 * math.log10(params[name]) + 5.0 for name in ("rate0", "rate1")]
    count = math.log2(params["count"]) - 5.0
    rest = [params["whole"], params["x0"], params["x1"], shift]
    return _MIXED_VALUE(np.array([*logs, count, *rest], dtype=np.float64))


#: Tables on which the choice is made, and others, with other seeds, that then confirm it once.
_TABLES = tuple(tabulated(f"pilot_table_{place}") for place in range(40))
_KEPT_BACK = tuple(tabulated(f"confirm_table_{place}") for place in range(40))

FUNCTIONS: tuple[Problem, ...] = (
    continuous("pilot_sphere", _sphere, size=8, rotate=False),
    continuous("pilot_alpine", _alpine, size=6, rotate=False),
    continuous("pilot_different_powers", _different_powers, size=5, rotate=False),
    continuous("pilot_discus", _discus, size=6, rotate=True),
    continuous("pilot_sharp_ridge", _sharp_ridge, size=6, rotate=True),
    continuous("pilot_griewank", _griewank, size=6, rotate=True),
    continuous("pilot_salomon", _salomon, size=5, rotate=True),
    continuous("pilot_zakharov", _zakharov, size=7, rotate=True),
    continuous("pilot_schwefel_12", _schwefel_12, size=10, rotate=True),
    Problem("pilot_mixed", "mixed", _MIXED_SPACE, _mixed),
)


class LevelMutation(PolynomialMutation):
    """Polynomial mutation that goes to another level at least, where there are levels."""

    def mutant(self, point: Point, *, space: SearchSpace, rng: np.random.Generator) -> Point:
        """Return a changed copy of a point of the unit cube, shape (d,), still within the cube."""
        chosen = rng.random(point.size) < 1.0 / point.size
        shift = self.shift(point, rng.random(point.size))
        every = PolynomialMutation(probability=1.0).mutant(point, space=space, rng=rng)
        changed = np.where(space.ordered, np.clip(point + shift, 0.0, 1.0), every)
        for axis, dimension in enumerate(space.dimensions):
            if dimension.ordered and dimension.cells is not None:
                here = dimension.from_unit(point[axis])
                ways = (shift[axis], -np.copysign(1e-12, shift[axis]))  # the other way at an end
                moved = [dimension.moved(point[axis], way) for way in ways]
                changed[axis] = next((x for x in moved if dimension.from_unit(x) != here), moved[0])
        return np.where(chosen, changed, point)


#: Versions of the memetic sampler that are compared.
VERSIONS: Mapping[str, Callable[[int], BaseSampler]] = {
    "as it is": lambda seed: MemeticSampler(seed=seed),
    "axes in turn": lambda seed: MemeticSampler(
        seed=seed, local_search=PatternSearch(guided=False)
    ),
    "two moves": lambda seed: MemeticSampler(seed=seed, local_search=PatternSearch(moves=2)),
    "three elites": lambda seed: MemeticSampler(
        seed=seed, local_search=PatternSearch(elites=3, moves=2)
    ),
    "a level at least": lambda seed: MemeticSampler(seed=seed, mutation=LevelMutation()),
    "a level at least, without climbing": lambda seed: MemeticSampler(
        seed=seed, mutation=LevelMutation(), local_search=None
    ),
}


def chosen(group: str, *, confirm: bool) -> tuple[tuple[Problem, ...], tuple[int, ...]]:
    """Return the problems of a group (``tables`` or ``functions``) and the samplers' seeds."""
    seeds = CONFIRMING_SEEDS if confirm else SEEDS
    if group == "functions":
        return FUNCTIONS, seeds
    return _KEPT_BACK if confirm else _TABLES, seeds
