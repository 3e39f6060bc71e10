"""The contract that Optuna's own samplers are tested against."""

from collections.abc import Callable

import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from dermassist.tuning import MemeticSampler, PatternSearch, UniformCrossover


class TestMemeticSampler(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    @pytest.fixture(params=["default", "evolving at once", "plain genetic"])
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        variants: dict[str, Callable[[], BaseSampler]] = {
            "default": lambda: MemeticSampler(seed=0),
            # with two first points, the short studies of the contract reach every operator
            "evolving at once": lambda: MemeticSampler(
                population_size=2, local_search=PatternSearch(moves=2), seed=0
            ),
            "plain genetic": lambda: MemeticSampler(
                population_size=2, crossover=UniformCrossover(), local_search=None, seed=0
            ),
        }
        return variants[request.param]
