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
#: Variances of what a trial's cost may owe to chance, in units of the costs' own.
_NOISES = (0.03, 0.1, 0.3, 1.0)
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
        noise = _chance(apart, scores)
        self._weights = _relevance(apart, scores, noise=noise)
        likeness = _likeness(apart, self._weights)
        self._pull = np.linalg.solve(_smoothed(likeness, noise), scores)  # (n,)
        #: The lowest guess at any of the trials: what chance has not given to the best of them.
        self.lowest = float((likeness @ self._pull).min())

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


def _smoothed(likeness: Matrix, noise: float) -> Matrix:
    return likeness + noise * np.eye(len(likeness))


def _chance(apart: Matrix, scores: Matrix) -> float:
    """Return the noise with which the trials are told best by each other, all axes alike."""
    likeness = _likeness(apart, np.full(apart.shape[-1], _REACH**-2))
    return min(_NOISES, key=lambda noise: _left_out_error(likeness, scores, noise=noise))


def _relevance(apart: Matrix, scores: Matrix, *, noise: float) -> Matrix:
    """Return the weight of each axis' squared distance, shape (d,).

    One axis after the other is stretched where the trials are then told better by the others.
    """
    weights = np.full(apart.shape[-1], _REACH**-2)
    least = _left_out_error(_likeness(apart, weights), scores, noise=noise)
    for axis in range(weights.size):
        stretched = weights.copy()
        stretched[axis] /= _STRETCH**2
        error = _left_out_error(_likeness(apart, stretched), scores, noise=noise)
        if error < least:
            weights, least = stretched, error
    return weights


def _left_out_error(likeness: Matrix, scores: Matrix, *, noise: float) -> float:
    """Return the sum of squared errors of each trial's score as told by all the others."""
    inverse = np.linalg.inv(_smoothed(likeness, noise))
    return float(np.sum(((inverse @ scores) / np.diag(inverse)) ** 2))
