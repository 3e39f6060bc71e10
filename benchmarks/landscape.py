"""Classical test landscapes, each with its minimum of 0 at the origin, and how they are placed.

Sources: Hansen, Finck, Ros, Auger, "Real-parameter black-box optimization benchmarking 2009:
noiseless functions definitions", INRIA RR-6829 (ellipsoid, Rastrigin, Rosenbrock, rotation and
shift of an instance); Ackley, "A connectionist machine for genetic hillclimbing" (1987); Laguna
and Marti, "Experimental testing of advanced scatter search designs", J Glob Optim 33 (2005) (Levy).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    Landscape = Callable[[Vector], float]


def ellipsoid(z: Vector) -> float:
    """Return a quadratic whose axes differ by a factor of 1000 in length (condition 1e6)."""
    weight = 10.0 ** (6.0 * np.arange(z.size) / (z.size - 1))
    return float(weight @ (z * z))


def rastrigin(z: Vector) -> float:
    """Return a quadratic bowl under a cosine of period 1: about ten local minima an axis."""
    return float(np.sum(10.0 * (1.0 - np.cos(2.0 * np.pi * z)) + z * z))


def rosenbrock(z: Vector) -> float:
    """Return the banana valley of Rosenbrock, moved so that its minimum lies at the origin."""
    y = z + 1.0
    return float(np.sum(100.0 * (y[1:] - y[:-1] ** 2) ** 2 + (y[:-1] - 1.0) ** 2))


def ackley(z: Vector) -> float:
    """Return a narrow funnel in a plain of small ripples."""
    root_mean_square = np.sqrt(np.mean(z * z))
    ripple = np.exp(np.mean(np.cos(2.0 * np.pi * z)))
    return float(20.0 * (1.0 - np.exp(-0.2 * root_mean_square)) + np.e - ripple)


def levy(z: Vector) -> float:
    """Return the function of Levy: sine ripples whose height grows away from the minimum."""
    w = 1.0 + z / 4.0
    middle = (w[:-1] - 1.0) ** 2 * (1.0 + 10.0 * np.sin(np.pi * w[:-1] + 1.0) ** 2)
    edge = np.sin(np.pi * w[0]) ** 2 + (w[-1] - 1.0) ** 2 * (1.0 + np.sin(2.0 * np.pi * w[-1]) ** 2)
    return float(edge + np.sum(middle))


def ripple(z: Vector) -> float:
    """Return a small bumpy term, 0 at the origin and below 2 an axis, that imitates noise."""
    return float(np.sum(1.0 - np.cos(7.0 * z)))


def placed(landscape: Landscape, *, name: str, size: int, rotate: bool) -> Landscape:
    """Return the landscape with a minimum somewhere in [-4, 4]^size, rotated if asked.

    The place and the rotation depend on ``name`` alone, so an instance never changes.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    centre = rng.uniform(-4.0, 4.0, size)
    turn = random_rotation(rng, size) if rotate else np.eye(size)

    def value(x: Vector) -> float:
        return landscape(turn @ (x - centre))

    return value


def random_rotation(rng: np.random.Generator, size: int) -> Vector:
    """Return an orthogonal matrix, shape (size, size), uniform over the orthogonal group."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    rotation: Vector = q * np.sign(np.diag(r))
    return rotation
