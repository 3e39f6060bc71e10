"""What a contest of samplers adds up to: quartiles, ranks and paired tests.

Sources: Demšar, "Statistical comparisons of classifiers over multiple data sets", J Mach Learn Res
7 (2006), section 3.1.3 (signed ranks over problems) and 3.2.2 (mean ranks); Wilcoxon, "Individual
comparisons by ranking methods", Biometrics Bulletin 1 (1945).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata, wilcoxon

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


#: Of the bootstrap: the ends of a 95 % interval then scatter by about a hundredth of its width.
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Score:
    """One contender on one problem, over all seeds; lower is better throughout."""

    problem: str
    contender: str
    lower_quartile: float
    median: float
    upper_quartile: float
    mean_rank: float
    #: Two-sided signed-rank test of the champion against this contender over the seeds.
    p_value: float


@dataclass(frozen=True)
class Duel:
    """The champion against one contender over all problems."""

    contender: str
    mean_rank: float
    champion_mean_rank: float
    problems_won: int
    problems_lost: int
    #: Two-sided signed-rank test on the problems' mean ranks.
    p_value: float


@dataclass(frozen=True)
class PairedDifference:
    """Mean of the champion's advantage over a contender, seed by seed, with its 95 % interval."""

    contender: str
    mean: float
    low: float
    high: float


def scored(
    values: NDArray[np.float64], *, problem: str, contenders: Sequence[str], champion: str
) -> list[Score]:
    """Return each contender's score on one problem from values of shape (contenders, seeds)."""
    ranks = rankdata(values, axis=0).mean(axis=1)
    best = values[contenders.index(champion)]
    quartiles = np.percentile(values, [25, 50, 75], axis=1)
    return [
        Score(
            problem=problem,
            contender=contender,
            lower_quartile=float(quartiles[0, i]),
            median=float(quartiles[1, i]),
            upper_quartile=float(quartiles[2, i]),
            mean_rank=float(ranks[i]),
            p_value=signed_rank_p(best, values[i]),
        )
        for i, contender in enumerate(contenders)
    ]


def duels(scores: Sequence[Score], *, contenders: Sequence[str], champion: str) -> list[Duel]:
    """Return how the champion fared against every contender, itself included."""
    own = _ranks(scores, champion)
    return [_duel(contender, own, _ranks(scores, contender)) for contender in contenders]


def paired_differences(
    values: NDArray[np.float64], *, contenders: Sequence[str], champion: str, seed: int = 0
) -> list[PairedDifference]:
    """Return by how much the champion's values are lower than each contender's, itself left out.

    Args:
        values: shape (contenders, seeds); lower is better.
        contenders: names of the rows.
        champion: one of them.
        seed: of the bootstrap over seeds (percentile intervals).
    """
    rows = np.random.default_rng(seed).integers(values.shape[1], size=(_RESAMPLES, values.shape[1]))
    differences = values - values[contenders.index(champion)]
    return [
        PairedDifference(contender, float(own.mean()), *_central(own[rows].mean(axis=1)))
        for contender, own in zip(contenders, differences, strict=True)
        if contender != champion
    ]


def _central(draws: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def signed_rank_p(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the two-sided p of the signed-rank test for pairs; 1 where all pairs are equal."""
    if np.array_equal(first, second):
        return 1.0
    return float(wilcoxon(first, second).pvalue)


def _ranks(scores: Sequence[Score], contender: str) -> NDArray[np.float64]:
    return np.array([score.mean_rank for score in scores if score.contender == contender])


def _duel(contender: str, own: NDArray[np.float64], other: NDArray[np.float64]) -> Duel:
    return Duel(
        contender=contender,
        mean_rank=float(other.mean()),
        champion_mean_rank=float(own.mean()),
        problems_won=int(np.sum(own < other)),
        problems_lost=int(np.sum(own > other)),
        p_value=signed_rank_p(own, other),
    )
