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

    from dermassist.tuning.memetic.population import Individual

    Matrix = NDArray[np.float64]

#: Distance in the cube over which a trial has a say, and how far apart two categories are.
_REACH, _APART = 0.5, 0.5
#: Variances of what a trial's cost may owe to chance, in units of the costs' own.
_NOISES = (0.03, 0.1, 0.3, 1.0)
#: How much farther a trial's say reaches along a parameter that hardly matters.
_STRETCH = 4.0
#: How many of the best trials are asked, and how many once a search is long: its best ones lie
#: close together and tell as much, and a guess takes time as the cube of their number.
_MOST, _MOST_OF_MANY, _MANY = 64, 40, 128


class Estimate:
    """A guess of the cost at any point, on a scale of its own; lower is better.

    Costs count by their rank alone, so neither one very bad trial nor the costs' unit matters.

    Args:
        individuals: finished trials, at least one; ``worth_asking`` tells how many of the best.
        ordered: which axes have an order, shape (d,).
    """

    def __init__(self, individuals: Sequence[Individual], *, ordered: NDArray[np.bool_]) -> None:
        self._points = np.array([each.point for each in individuals])  # (n, d)
        self._ordered = ordered
        scores = _scores(np.array([each.cost for each in individuals]))
        apart = _squared_distances(self._points, ordered=ordered)
        noise, self._weights, exponent = _fitted(apart, scores)
        likeness = np.exp(exponent)
        self._pull = np.linalg.solve(_smoothed(likeness, noise), scores)  # (n,)
        #: The lowest guess at any of the trials: what chance has not given to the best of them.
        self.lowest = float((likeness @ self._pull).min())

    def at(self, points: Matrix) -> Matrix:
        """Return the guesses, shape (m,), for m points of the unit cube, shape (m, d)."""
        # |a - b|^2 as a^2 + b^2 - 2ab: one product of matrices instead of an array (m, n, d)
        scale = np.sqrt(self._weights * self._ordered)
        there, here = points * scale, self._points * scale
        apart = there @ (-2.0 * here.T)
        apart += np.sum(there**2, axis=1)[:, None]
        apart += np.sum(here**2, axis=1)
        for axis in np.flatnonzero(~self._ordered):
            other = points[:, axis, None] != self._points[:, axis]
            apart += self._weights[axis] * _APART**2 * other
        guesses: Matrix = np.exp(-0.5 * apart) @ self._pull
        return guesses


def worth_asking(finished: int) -> int:
    """Return how many of the best trials a guess should ask, of so many that are finished."""
    return _MOST if finished <= _MANY else _MOST_OF_MANY


def _scores(costs: Matrix) -> Matrix:
    """Return the ranks of costs, shape (n,), with mean 0 and variance 1 unless all are equal."""
    own = np.sort(costs)
    ranks = np.searchsorted(own, costs, "left") + np.searchsorted(own, costs, "right")
    scores: Matrix = (ranks - ranks.mean()) / (ranks.std() or 1.0)
    return scores


def _squared_distances(points: Matrix, *, ordered: NDArray[np.bool_]) -> Matrix:
    """Return how far points are from each other, axis by axis, shape (d, n, n)."""
    apart: Matrix = points.T[:, :, None] - points.T[:, None, :]
    apart[~ordered] = _APART * (apart[~ordered] != 0.0)
    apart *= apart
    return apart


def _fitted(apart: Matrix, scores: Matrix) -> tuple[float, Matrix, Matrix]:
    """Return the noise, each axis' weight, shape (d,), and the logarithm of likeness, (n, n).

    The noise is that with which the trials are told best by each other, all axes alike. Then one
    axis after the other is stretched where the trials are told better so.

    Args:
        apart: squared distances, shape (d, n, n).
        scores: of the trials, shape (n,).
    """
    weights = np.full(len(apart), _REACH**-2)
    exponent = -0.5 * np.tensordot(weights, apart, 1)
    errors = [_left_out_error(np.exp(exponent), scores, noise=noise) for noise in _NOISES]
    least = min(errors)
    noise = _NOISES[errors.index(least)]
    for axis, distances in enumerate(apart):
        stretched = weights[axis] / _STRETCH**2
        closer = exponent + 0.5 * (weights[axis] - stretched) * distances
        error = _left_out_error(np.exp(closer), scores, noise=noise)
        if error < least:
            weights[axis], exponent, least = stretched, closer, error
    return noise, weights, exponent


def _left_out_error(likeness: Matrix, scores: Matrix, *, noise: float) -> float:
    """Return the sum of squared errors of each trial's score as told by all the others."""
    inverse = np.linalg.inv(_smoothed(likeness, noise))
    return float(np.sum(((inverse @ scores) / np.diag(inverse)) ** 2))


def _smoothed(likeness: Matrix, noise: float) -> Matrix:
    """Return the covariance of trials, shape (n, n), whose results owe as much to chance."""
    covariance = likeness.copy()
    np.fill_diagonal(covariance, 1.0 + noise)
    return covariance
