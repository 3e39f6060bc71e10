"""The declared test functions, seeds and budget of the sampler benchmark.

This file was fixed before the operators of the memetic sampler were tuned, and the tuning never
looked at these functions or seeds (it used those of ``pilot.py``). Every function has the minimum
0 and is minimised. To change anything here makes the published table void.

``hartmann`` is not separable but not rotated either; it counts as rotated. The search space of
``training_like`` is that of a real training; its values are made up.

Sources beside the landscapes: Styblinski and Tang, "Experiments in nonconvex optimization",
Neural Networks 3 (1990); Hartman, "Some experiments in global optimization" (1973), six
dimensions, as tabulated by Dixon and Szegö, "Towards global optimisation 2" (1978).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from benchmarks.landscape import (
    ackley,
    ellipsoid,
    levy,
    placed,
    rastrigin,
    ripple,
    rosenbrock,
)
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.landscape import Landscape, Vector

    Params = Mapping[str, Any]

#: Seeds of the samplers, one run each.
SEEDS: tuple[int, ...] = tuple(range(2001, 2026))
#: Evaluations of one run; the ranking uses the best value found by then.
EVALUATIONS = 200
#: An earlier look at the same runs: the budget of a hyperparameter search with real trainings.
EARLY_EVALUATIONS = 60


@dataclass(frozen=True)
class Problem:
    """One function to minimise (its minimum is 0) over an Optuna search space."""

    name: str
    family: Literal["separable", "rotated", "mixed"]
    space: Mapping[str, BaseDistribution]
    evaluate: Callable[[Params], float]


def continuous(name: str, landscape: Landscape, *, size: int, rotate: bool) -> Problem:
    """Return a problem over ``size`` floats in [-5, 5] whose instance depends on its name alone."""
    value = placed(landscape, name=name, size=size, rotate=rotate)
    return Problem(
        name=name,
        family="rotated" if rotate else "separable",
        space={f"x{i}": FloatDistribution(-5.0, 5.0) for i in range(size)},
        evaluate=lambda params: value(_vector(params, size)),
    )


def _vector(params: Params, size: int) -> Vector:
    return np.array([params[f"x{i}"] for i in range(size)], dtype=np.float64)


def _styblinski_tang(params: Params) -> float:
    x = _vector(params, 6)
    return float(np.sum(x**4 - 16.0 * x**2 + 5.0 * x) / 2.0 + 6 * 39.166165703771416)


_HARTMANN_HEIGHT = np.array([1.0, 1.2, 3.0, 3.2])
_HARTMANN_WIDTH = np.array(
    [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ]
)
_HARTMANN_CENTRE = np.array(
    [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ]
)
_HARTMANN_MINIMUM = -3.322368011415512


def _hartmann(params: Params) -> float:
    x = _vector(params, 6)
    distance = np.sum(_HARTMANN_WIDTH * (x - _HARTMANN_CENTRE) ** 2, axis=1)
    return float(-_HARTMANN_HEIGHT @ np.exp(-distance) - _HARTMANN_MINIMUM)


def _log_rosenbrock(params: Params) -> float:
    # five rates over six decades each; the valley bends in their logarithms
    x = np.array([math.log10(params[f"rate{i}"]) for i in range(5)])
    return rosenbrock((x + 3.0) * 0.8)


#: On the lattice, so that the minimum is still 0: four integers, two steps of 0.25, two floats.
_INTEGER_CENTRE = np.array([13.0, 30.0, 22.0, 7.0, -1.25, 2.75, 0.83, -3.61])


def _integer_rastrigin(params: Params) -> float:
    whole = [(params[f"n{i}"] - _INTEGER_CENTRE[i]) / 4.0 for i in range(4)]
    stepped = [params[f"s{i}"] - _INTEGER_CENTRE[4 + i] for i in range(2)]
    smooth = [params[f"x{i}"] - _INTEGER_CENTRE[6 + i] for i in range(2)]
    return rastrigin(np.array([*whole, *stepped, *smooth]))


_INTEGER_SPACE: dict[str, BaseDistribution] = {
    **{f"n{i}": IntDistribution(0, 40) for i in range(4)},
    **{f"s{i}": FloatDistribution(-5.0, 5.0, step=0.25) for i in range(2)},
    **{f"x{i}": FloatDistribution(-5.0, 5.0) for i in range(2)},
}

#: What each choice costs and how far it moves the minimum of the four floats.
_KERNELS = {"linear": (1.5, -2.0), "cubic": (0.0, 1.0), "radial": (0.4, 0.0), "none": (3.0, 2.5)}
_SCALINGS = {"range": (0.6, -1.0), "variance": (0.0, 0.5), "rank": (1.0, 1.5)}


def _categorical_ackley(params: Params) -> float:
    kernel_cost, kernel_shift = _KERNELS[params["kernel"]]
    scaling_cost, scaling_shift = _SCALINGS[params["scaling"]]
    centre = np.array([kernel_shift, -kernel_shift, scaling_shift, kernel_shift - scaling_shift])
    return ackley(_vector(params, 4) - centre) + kernel_cost + scaling_cost


_CATEGORICAL_SPACE: dict[str, BaseDistribution] = {
    "kernel": CategoricalDistribution(tuple(_KERNELS)),
    "scaling": CategoricalDistribution(tuple(_SCALINGS)),
    **{f"x{i}": FloatDistribution(-5.0, 5.0) for i in range(4)},
}


def _training_like(params: Params) -> float:
    """Imitate a validation error: the best learning rate grows with the batch, and so on."""
    batch = math.log2(params["batch_size"] / 32.0)
    rate = math.log10(params["learning_rate"]) + 3.3 - 0.25 * batch
    decay = math.log10(params["weight_decay"]) + 3.0 + 0.4 * rate
    frozen = (params["frozen_layers"] - 4) / 6.0 - 0.2 * rate
    drop = (params["dropout"] - 0.25) * 2.0 + 0.15 * decay
    bowl = 0.08 * rate**2 + 0.012 * decay**2 + 0.02 * frozen**2 + 0.06 * drop**2 + 0.004 * batch**2
    return float(bowl + 0.002 * ripple(np.array([rate, decay, frozen, drop])))


_TRAINING_SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(1e-5, 1e-1, log=True),
    "weight_decay": FloatDistribution(1e-6, 1e-1, log=True),
    "dropout": FloatDistribution(0.0, 0.6),
    "batch_size": CategoricalDistribution((16, 32, 64, 128)),
    "frozen_layers": IntDistribution(0, 18),
}

_UNIT_SPACE = {f"x{i}": FloatDistribution(0.0, 1.0) for i in range(6)}
_BOX_SPACE = {f"x{i}": FloatDistribution(-5.0, 5.0) for i in range(6)}
_LOG_SPACE = {f"rate{i}": FloatDistribution(1e-6, 1.0, log=True) for i in range(5)}

PROBLEMS: tuple[Problem, ...] = (
    continuous("separable_ellipsoid", ellipsoid, size=8, rotate=False),
    continuous("separable_rastrigin", rastrigin, size=5, rotate=False),
    Problem("styblinski_tang", "separable", _BOX_SPACE, _styblinski_tang),
    continuous("rotated_ellipsoid", ellipsoid, size=8, rotate=True),
    continuous("rotated_rosenbrock", rosenbrock, size=6, rotate=True),
    continuous("rotated_rastrigin", rastrigin, size=5, rotate=True),
    continuous("rotated_ackley", ackley, size=10, rotate=True),
    continuous("rotated_levy", levy, size=7, rotate=True),
    Problem("hartmann", "rotated", _UNIT_SPACE, _hartmann),
    Problem("log_rosenbrock", "mixed", _LOG_SPACE, _log_rosenbrock),
    Problem("integer_rastrigin", "mixed", _INTEGER_SPACE, _integer_rastrigin),
    Problem("categorical_ackley", "mixed", _CATEGORICAL_SPACE, _categorical_ackley),
    Problem("training_like", "mixed", _TRAINING_SPACE, _training_like),
)
