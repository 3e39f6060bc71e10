"""The samplers that are compared, each as it comes unless said otherwise."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, RandomSampler, TPESampler

import dermassist.tuning.memetic
from dermassist.tuning import MemeticSampler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MEMETIC = "Memetic"
PLAIN = "Memetic without climbing"
#: NSGA-II with one objective is a plain genetic search. Its default of 50 members would see only
#: four generations in 200 evaluations, so it gets the population of the memetic search.
CONTENDERS: Mapping[str, Callable[[int], BaseSampler]] = {
    "Random": lambda seed: RandomSampler(seed=seed),
    "TPE": lambda seed: TPESampler(seed=seed),
    "CMA-ES": lambda seed: CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "NSGA-II": lambda seed: NSGAIISampler(seed=seed, population_size=10),
    PLAIN: lambda seed: MemeticSampler(seed=seed, local_search=None),
    MEMETIC: lambda seed: MemeticSampler(seed=seed),
}


def fingerprint(contender: str, sources: tuple[Path, ...]) -> str:
    """Return 12 hex digits that change with the contender's program and with the given files."""
    files = list(sources)
    digest = hashlib.sha256(contender.encode())
    for package in ("optuna", "cmaes", "numpy"):
        digest.update(f"{package} {version(package)}".encode())
    if contender in (MEMETIC, PLAIN):
        files += sorted(Path(dermassist.tuning.memetic.__path__[0]).glob("*.py"))
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
