"""The first points: a Latin hypercube, one axis at a time.

Source: McKay, Beckman, Conover, "A comparison of three methods for selecting values of input
variables", Technometrics 21 (1979). Each parameter's range is cut into as many strata as there are
first points, and every stratum gets one. A column needs only the parameter's name and the trial's
number, so trials that run in parallel, or before the other parameters are known, fit together.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

import numpy as np

_COLUMN, _CELL = 0, 1


class Chance(NamedTuple):
    """What chance follows from.

    Attributes:
        entropy: the sampler's seed, at least 0.
        design: decides which stratum each of the first points gets, at least 0; the same for all
            points that are to fit together, also where their entropy is drawn anew.
    """

    entropy: int
    design: int


def stratified(name: str, *, row: int, rows: int, chance: Chance) -> float:
    """Return the coordinate in [0, 1) of one parameter in one of the first points.

    Args:
        name: the parameter.
        row: number of the trial; from ``rows`` on the coordinate is merely uniform.
        rows: number of first points, hence of strata.
        chance: what it follows from.
    """
    tag = zlib.crc32(name.encode())
    inside = np.random.default_rng([chance.entropy, tag, _CELL, row]).random()
    if row >= rows:
        return float(inside)
    order = np.random.default_rng([chance.design, tag, _COLUMN]).permutation(rows)
    return float((order[row] + inside) / rows)
