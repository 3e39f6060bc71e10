"""How long the memetic sampler itself takes a trial near 1,000 trials, in memory.

    python benchmarks/sampler_overhead.py

The limit is 5 ms of this process's own time. Exits with 1 if it is missed. That a search which goes
on reads all earlier trials once, in its first trial, is left out and printed beside it.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution

from dermassist.tuning import MemeticSampler

TRIALS = 950
MEASURED = 50
PARAMETERS = 8
LIMIT_S = 0.005


def main() -> None:
    """Measure and print."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # On levels alone, moves are also chosen among by what the trials so far suggest.
    kinds = {"floats": FloatDistribution(0.0, 1.0), "levels": FloatDistribution(0.0, 1.0, step=0.2)}
    spent = {
        name: _spent({f"x{i}": kind for i in range(PARAMETERS)}) for name, kind in kinds.items()
    }
    for name, (first, each) in spent.items():
        print(
            f"{name}: {1e3 * each:.2f} ms a trial, limit {1e3 * LIMIT_S:g} ms "
            f"(the first, which reads {TRIALS}: {1e3 * first:.0f} ms)"
        )
    sys.exit(0 if max(each for _, each in spent.values()) <= LIMIT_S else 1)


def _spent(space: dict[str, BaseDistribution]) -> tuple[float, float]:
    """Return the processor seconds of the first trial after many others, and the mean later on."""
    study = optuna.create_study(sampler=MemeticSampler(seed=0))
    for point in np.random.default_rng(0).integers(6, size=(TRIALS, PARAMETERS)) / 5:
        params = dict(zip(space, point.tolist(), strict=True))
        study.add_trial(
            optuna.create_trial(params=params, distributions=space, value=_height(point.tolist()))
        )
    first = _asked(study, space)
    return first, statistics.mean(_asked(study, space) for _ in range(MEASURED))


def _asked(study: optuna.Study, space: dict[str, BaseDistribution]) -> float:
    """Return the processor seconds of one ask, which is where the sampler works."""
    started = time.process_time()
    trial = study.ask(space)
    spent = time.process_time() - started
    study.tell(trial, _height(list(trial.params.values())))
    return spent


def _height(point: list[float]) -> float:
    return sum((x - 0.3) ** 2 for x in point)


if __name__ == "__main__":
    main()
