"""Searches that train nothing, with real worker processes."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from dermassist.config import TrainingConfig
from dermassist.tuning.declaration import Declaration, ProxySection, SearchSection
from dermassist.tuning.search import SearchOutcome, SearchSettings, run_search
from dermassist.tuning.space import read_space

from .fake_objective import Fake

SPACE = {
    "dropout": {"low": 0.0, "high": 0.6, "step": 0.05},
    "frozen_layers": {"low": 0, "high": 18},
    "batch_size": {"choices": [16, 32, 64]},
}


def declared(trials: int = 12, **search: Any) -> Declaration:
    recipe = TrainingConfig()
    return Declaration(
        recipe=recipe,
        space=read_space(SPACE, recipe, where="search.toml"),
        proxy=ProxySection(images=10, size_px=32, epochs=3),
        search=SearchSection(trials=trials, **search),
    )


Search = Callable[..., SearchOutcome]


@pytest.fixture
def search(tmp_path: Path) -> Iterator[Search]:
    """Return a function that searches in ``tmp_path / "run"`` with a fake objective."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    outcomes: list[SearchOutcome] = []

    def run(
        declaration: Declaration | None = None,
        *,
        folder: str = "run",
        fake: Fake | None = None,
        **settings: Any,
    ) -> SearchOutcome:
        objective = fake or Fake(tmp_path / "notes")
        place = SearchSettings(tmp_path / folder, **settings)
        outcome = run_search(declaration or declared(), place, prepare=objective.prepare)
        outcomes.append(outcome)
        return outcome

    yield run
    for outcome in outcomes:
        outcome.study._storage.remove_session()


def with_trials(declaration: Declaration, trials: int) -> Declaration:
    return replace(declaration, search=replace(declaration.search, trials=trials))
