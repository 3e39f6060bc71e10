"""A memetic search for Optuna: genetic search, its best members refined by hill climbing."""

from __future__ import annotations

import importlib.util

from dermassist.errors import MissingExtraError

if importlib.util.find_spec("optuna") is None:
    raise MissingExtraError("The memetic search", extra="tune")

from dermassist.tuning.memetic.local_search import PatternSearch
from dermassist.tuning.memetic.mutation import PolynomialMutation
from dermassist.tuning.memetic.plan import Move, Origin, Plan, plan_of
from dermassist.tuning.memetic.sampler import MemeticSampler
from dermassist.tuning.memetic.sbx import SimulatedBinaryCrossover
from dermassist.tuning.memetic.selection import TournamentSelection
from dermassist.tuning.memetic.uniform import UniformCrossover

__all__ = [
    "MemeticSampler",
    "Move",
    "Origin",
    "PatternSearch",
    "Plan",
    "PolynomialMutation",
    "SimulatedBinaryCrossover",
    "TournamentSelection",
    "UniformCrossover",
    "plan_of",
]
