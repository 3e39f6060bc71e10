"""What finished trials suggest about points that nobody has tried.

Sources: Rasmussen and Williams, "Gaussian processes for machine learning" (2006), equations 2.25
(the mean) and 5.12 (the error where a point is left out); Ong, Nair, Keane, "Evolutionary
optimization of computationally expensive problems via surrogate modeling", AIAA Journal 41 (2003):
a memetic search whose local search asks a model before it asks for an evaluation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dermassist.tuning.memetic.encoding import Point
    from dermassist.tuning.memetic.population import Individual

    Matrix = NDArray[np.float64]

#: Distance in the cube over which a trial has a say, and how far apart two categories are.
_REACH, _APART = 0.5, 0.5
#: Variance of what a trial's cost owes to chance, in units of the costs' own.
_NOISE = 0.1
#: How much farther a trial's say reaches along a parameter that hardly matters.
_STRETCH = 4.0
#: The best trials that are asked, which bounds the time it takes.
_MOST = 64


class Estimate:
    """A guess of the cost at any point, on a scale of its own; lower is better.

    Costs count by their rank alone, so neither one very bad trial nor the costs' unit matters.

    Args:
        individuals: finished trials, at least one.
        ordered: which axes have an order, shape (d,).
    """

    def __init__(self, individuals: Sequence[Individual], *, ordered: NDArray[np.bool_]) -> None:
        best = sorted(individuals, key=lambda each: each.rank)[:_MOST]
        self._points = np.array([each.point for each in best])  # (n, d)
        self._ordered = ordered
        scores = _scores(np.array([each.cost for each in best]))
        apart = self._squared_distances(self._points)
        self._weights = _relevance(apart, scores)
        self._pull = np.linalg.solve(_smoothed(apart, self._weights), scores)  # (n,)

    def at(self, points: Sequence[Point]) -> Matrix:
        """Return the guesses, shape (m,), for m points of the unit cube, shape (d,) each."""
        apart = self._squared_distances(np.array(points))
        guesses: Matrix = _likeness(apart, self._weights) @ self._pull
        return guesses

    def _squared_distances(self, points: Matrix) -> Matrix:
        """Return, axis by axis, how far points are from the trials, shape (m, n, d)."""
        apart: Matrix = np.abs(points[:, None, :] - self._points[None, :, :])
        squared: Matrix = np.where(self._ordered, apart, _APART * (apart > 0.0)) ** 2
        return squared


def _scores(costs: Matrix) -> Matrix:
    """Return the ranks of costs, shape (n,), with mean 0 and variance 1 unless all are equal."""
    own = np.sort(costs)
    ranks = np.searchsorted(own, costs, "left") + np.searchsorted(own, costs, "right")
    scores: Matrix = (ranks - ranks.mean()) / (ranks.std() or 1.0)
    return scores


def _likeness(apart: Matrix, weights: Matrix) -> Matrix:
    """Return the squared-exponential kernel, shape (m, n), of squared distances (m, n, d)."""
    likeness: Matrix = np.exp(-0.5 * (apart @ weights))
    return likeness


def _smoothed(apart: Matrix, weights: Matrix) -> Matrix:
    return _likeness(apart, weights) + _NOISE * np.eye(len(apart))


def _relevance(apart: Matrix, scores: Matrix) -> Matrix:
    """Return the weight of each axis' squared distance, shape (d,).

    One axis after the other is stretched where the trials are then told better by the others.
    """
    weights = np.full(apart.shape[-1], _REACH**-2)
    least = _left_out_error(apart, weights, scores)
    for axis in range(weights.size):
        stretched = weights.copy()
        stretched[axis] /= _STRETCH**2
        error = _left_out_error(apart, stretched, scores)
        if error < least:
            weights, least = stretched, error
    return weights


def _left_out_error(apart: Matrix, weights: Matrix, scores: Matrix) -> float:
    """Return the sum of squared errors of each trial's score as told by all the others."""
    inverse = np.linalg.inv(_smoothed(apart, weights))
    return float(np.sum(((inverse @ scores) / np.diag(inverse)) ** 2))
