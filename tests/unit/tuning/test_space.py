"""The declared search space: what it becomes, and what is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from dermassist.config import ModelSection, OptimisationSection, TrainingConfig
from dermassist.errors import ConfigError
from dermassist.tuning.space import (
    PARAMETERS,
    hyperparameters_of,
    params_of,
    read_space,
    with_params,
)

RECIPE = TrainingConfig()


def space_of(**values: Any) -> dict[str, Any]:
    return dict(read_space(values, RECIPE, where="search.toml"))


def test_a_declared_space_becomes_optunas_distributions() -> None:
    space = space_of(
        learning_rate={"low": 1e-4, "high": 1e-2, "log": True},
        weight_decay={"low": 0, "high": 1},
        dropout={"low": 0.0, "high": 0.6, "step": 0.2},
        batch_size={"choices": [16, 32]},
        frozen_layers={"low": 0, "high": 18},
    )
    assert space == {
        "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
        "weight_decay": FloatDistribution(0.0, 1.0),
        "dropout": FloatDistribution(0.0, 0.6, step=0.2),
        "batch_size": CategoricalDistribution((16, 32)),
        "frozen_layers": IntDistribution(0, 18),
    }


def test_whole_parameters_take_logarithms_and_steps() -> None:
    assert space_of(batch_size={"low": 8, "high": 64, "log": True}) == {
        "batch_size": IntDistribution(8, 64, log=True)
    }
    assert space_of(frozen_layers={"low": 0, "high": 18, "step": 6}) == {
        "frozen_layers": IntDistribution(0, 18, step=6)
    }


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, r"\[space\] is empty; declare at least one of learning_rate"),
        ({"momentum": {"low": 0.0, "high": 1.0}}, "unknown parameter space.momentum; known are"),
        ({"dropout": 0.3}, "space.dropout must be a table of low and high"),
        ({"dropout": {"low": 0.0, "hihg": 0.5}}, "space.dropout must be a table"),
        ({"dropout": {}}, "needs either low and high, or choices alone"),
        ({"dropout": {"low": 0.1}}, "needs either low and high, or choices alone"),
        ({"dropout": {"low": 0.1, "high": 0.2, "choices": [0.1]}}, "or choices alone"),
        ({"dropout": {"low": 0.5, "high": 0.5}}, "is empty: low 0.5 is not below high 0.5"),
        ({"dropout": {"low": 0.5, "high": 0.1}}, "is empty: low 0.5 is not below high 0.1"),
        ({"dropout": {"low": "a", "high": 0.1}}, "low must be finite numbers, got 'a'"),
        ({"dropout": {"low": 0.0, "high": float("inf")}}, "high must be finite numbers"),
        ({"dropout": {"low": float("nan"), "high": 0.5}}, "low must be finite numbers"),
        ({"dropout": {"low": False, "high": 0.5}}, "low must be finite numbers"),
        ({"dropout": {"low": 0.0, "high": 0.5, "log": True}}, "so low must be above 0"),
        ({"dropout": {"low": 0.1, "high": 0.5, "log": 1}}, "log must be true or false"),
        (
            {"dropout": {"low": 0.1, "high": 0.5, "log": True, "step": 0.1}},
            "both log and step, which contradict each other",
        ),
        ({"dropout": {"low": 0.0, "high": 0.5, "step": 0.3}}, "in whole steps, got 0.3"),
        ({"dropout": {"low": 0.0, "high": 0.5, "step": 0}}, "in whole steps, got 0"),
        ({"dropout": {"low": 0.0, "high": 0.5, "step": 1.0}}, "in whole steps, got 1.0"),
        (
            {"dropout": {"low": 0.0, "high": 1.0}},
            "space.dropout: dropout must be from 0.0 to below",
        ),
        ({"learning_rate": {"low": 0.0, "high": 0.1}}, "learning_rate must be from 1e-08"),
        ({"frozen_layers": {"low": 0, "high": 20}}, "frozen_layers must be from 0 to 19"),
        ({"frozen_layers": {"low": 0.0, "high": 5}}, "low must be whole numbers, got 0.0"),
        ({"batch_size": {"choices": 16}}, "choices must be a list of whole numbers"),
        ({"batch_size": {"choices": [16, "b"]}}, "choices must be a list of whole numbers"),
        ({"batch_size": {"choices": []}}, "two or more different values"),
        ({"batch_size": {"choices": [16]}}, "two or more different values"),
        ({"batch_size": {"choices": [16, 16]}}, "two or more different values"),
        ({"batch_size": {"choices": [1, 16]}}, "batch_size must be from 2, got 1"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read_space(values, RECIPE, where="search.toml")
    assert str(caught.value).startswith("search.toml: ")


def test_found_values_replace_the_recipes_and_nothing_else() -> None:
    params = {
        "learning_rate": 2e-3,
        "weight_decay": 0.1,
        "dropout": 0.5,
        "batch_size": 16,
        "frozen_layers": 7,
    }
    assert set(params) == set(PARAMETERS)
    assert with_params(RECIPE, params) == TrainingConfig(
        model=ModelSection(dropout=0.5, frozen_layers=7),
        optimisation=OptimisationSection(learning_rate=2e-3, weight_decay=0.1, batch_size=16),
    )
    with pytest.raises(ConfigError, match="dropout"):
        with_params(RECIPE, {"dropout": 1.5})


@pytest.mark.parametrize(
    ("values", "inside"),
    [
        ({"dropout": {"low": 0.0, "high": 0.6}}, True),
        ({"dropout": {"low": 0.3, "high": 0.6}}, False),
        ({"dropout": {"low": 0.0, "high": 0.6, "step": 0.1}}, True),
        ({"dropout": {"low": 0.0, "high": 0.6, "step": 0.15}}, False),
        ({"dropout": {"low": 0.2, "high": 0.6, "step": 0.4}}, True),
        ({"batch_size": {"choices": [16, 32]}}, True),
        ({"batch_size": {"choices": [16, 64]}}, False),
        ({"frozen_layers": {"low": 0, "high": 9, "step": 3}}, True),
        ({"frozen_layers": {"low": 1, "high": 9}}, False),
        (
            {"dropout": {"low": 0.0, "high": 0.6}, "batch_size": {"choices": [16, 64]}},
            False,
        ),
    ],
)
def test_the_recipes_own_point_counts_only_where_the_space_holds_it(
    values: dict[str, Any], inside: bool
) -> None:
    own = params_of(RECIPE, read_space(values, RECIPE, where="x"))
    assert (own is not None) is inside
    if own is not None:
        assert with_params(RECIPE, own) == RECIPE


@given(
    low=st.floats(1e-6, 0.4),
    width=st.floats(1e-6, 0.5),
    place=st.floats(0.0, 1.0),
    log=st.booleans(),
)
def test_every_point_of_a_range_can_be_trained(
    low: float, width: float, place: float, log: bool
) -> None:
    space = space_of(dropout={"low": low, "high": low + width, "log": log})
    value = min(low + place * width, low + width)
    recipe = with_params(RECIPE, {"dropout": value})
    assert params_of(recipe, space) == {"dropout": value}


def test_hyperparameters_move_from_one_recipe_to_another() -> None:
    values = {
        "learning_rate": 2e-4,
        "weight_decay": 0.2,
        "dropout": 0.4,
        "batch_size": 16,
        "frozen_layers": 4,
    }
    assert hyperparameters_of(with_params(RECIPE, values)) == values
    assert set(values) == set(PARAMETERS)
    longer = TrainingConfig(optimisation=OptimisationSection(epochs=99))
    moved = with_params(longer, hyperparameters_of(with_params(RECIPE, values)))
    assert with_params(moved, hyperparameters_of(longer)) == longer
    assert moved.optimisation.epochs == 99
