"""Tournament selection of parents.

Source: Goldberg and Deb, "A comparative analysis of selection schemes used in genetic algorithms",
Foundations of Genetic Algorithms 1 (1991), section 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dermassist.tuning.memetic.argument import check_count

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class TournamentSelection:
    """Draw ``size`` members with replacement and let the best of them be a parent.

    Args:
        size: members a tournament, at least 1; a larger one prefers the best more strongly.

    Raises:
        ValueError: ``size`` is no integer or below 1.
    """

    size: int = 2

    def __post_init__(self) -> None:
        check_count("size", self.size, at_least=1)

    def pick(self, count: int, rng: np.random.Generator) -> int:
        """Return the rank of one winner among ``count`` members that are sorted best first."""
        return int(rng.integers(count, size=self.size).min())

    def pick_pair(self, count: int, rng: np.random.Generator) -> tuple[int, int]:
        """Return the ranks of two different winners among at least two sorted members."""
        first = self.pick(count, rng)
        second = self.pick(count - 1, rng)
        return first, second + (second >= first)
