"""The functions and seeds on which the memetic sampler's defaults were chosen.

None of them is among the declared ones of ``functions.py``: other landscapes, other instances,
other seeds. The tables imitate a grid of trainings: a bowl in five parameters with interactions,
on a few levels each, and a fixed noise.

Sources: Hansen, Finck, Ros, Auger, INRIA RR-6829 (2009) for sphere, discus, sharp ridge and
different powers; Griewank, "Generalized descent for global optimization", J Optim Theory Appl 34
(1981); Salomon, "Re-evaluating genetic algorithm performance under coordinate rotation",
BioSystems 39 (1996); Rahnamayan, Tizhoosh, Salama, "Opposition-based differential evolution"
(2008) for Alpine, Zakharov and Schwefel's problem 1.2.
"""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.functions import Problem, continuous
from benchmarks.landscape import placed, random_rotation
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

if TYPE_CHECKING:
    from benchmarks.functions import Params
    from benchmarks.landscape import Vector

SEEDS: tuple[int, ...] = tuple(range(101, 121))


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


def _table(name: str, *, unordered: bool) -> Problem:
    """Return a bowl on 6 x 4 x 4 x 3 x 4 levels with interactions and a fixed noise."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    levels = np.array([6, 4, 4, 3, 4])
    centre, turn = rng.uniform(0.15, 0.85, 5), random_rotation(rng, 5)
    mix = 0.6 * np.eye(5) + 0.4 * turn
    weight = np.array([4.0, 0.7, 0.5, 0.4, 1.0])
    noise = 0.05 * rng.standard_normal(levels)

    def value(params: Params) -> float:
        cell = np.array([params[f"p{i}"] for i in range(5)])
        z = mix @ (cell / (levels - 1) - centre)
        return float(weight @ z**2 + noise[tuple(cell)])

    def axis(i: int) -> BaseDistribution:
        if unordered or i == 3:
            return CategoricalDistribution(tuple(range(int(levels[i]))))
        return IntDistribution(0, int(levels[i]) - 1)

    return Problem(name, "mixed", {f"p{i}": axis(i) for i in range(5)}, value)


PROBLEMS: tuple[Problem, ...] = (
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
    *(_table(f"pilot_table_{i}", unordered=False) for i in range(6)),
    *(_table(f"pilot_choices_{i}", unordered=True) for i in range(2)),
)
