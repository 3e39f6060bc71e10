"""The first points: a Latin hypercube, one axis at a time.

Source: McKay, Beckman, Conover, "A comparison of three methods for selecting values of input
variables", Technometrics 21 (1979). Each parameter's range is cut into as many strata as there are
first points, and every stratum gets one. A column needs only the parameter's name and the trial's
number, so trials that run in parallel, or before the other parameters are known, fit together.
"""

from __future__ import annotations

import zlib

import numpy as np

_COLUMN, _CELL = 0, 1


def stratified(name: str, *, row: int, rows: int, entropy: int) -> float:
    """Return the coordinate in [0, 1) of one parameter in one of the first points.

    Args:
        name: the parameter.
        row: number of the trial; from ``rows`` on the coordinate is merely uniform.
        rows: number of first points, hence of strata.
        entropy: the sampler's seed, at least 0.
    """
    tag = zlib.crc32(name.encode())
    chance = np.random.default_rng([entropy, tag, _CELL, row]).random()
    if row >= rows:
        return float(chance)
    order = np.random.default_rng([entropy, tag, _COLUMN]).permutation(rows)
    return float((order[row] + chance) / rows)
