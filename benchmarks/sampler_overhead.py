"""How long the memetic sampler itself takes a trial near 1,000 trials, in memory.

    python benchmarks/sampler_overhead.py

The limit is 5 ms of this process's own time. Exits with 1 if it is missed.
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
    space: dict[str, BaseDistribution] = {
        f"x{i}": FloatDistribution(0.0, 1.0) for i in range(PARAMETERS)
    }
    sampler = MemeticSampler(seed=0)
    study = optuna.create_study(sampler=sampler)
    for point in np.random.default_rng(0).random((TRIALS, PARAMETERS)):
        params = dict(zip(space, point.tolist(), strict=True))
        study.add_trial(
            optuna.create_trial(params=params, distributions=space, value=_height(point.tolist()))
        )
    spent = statistics.mean(_asked(study, space) for _ in range(MEASURED))
    print(f"{1e3 * spent:.2f} ms a trial, limit {1e3 * LIMIT_S:g} ms")
    sys.exit(0 if spent <= LIMIT_S else 1)


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
