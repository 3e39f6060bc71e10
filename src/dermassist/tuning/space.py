"""The searched parameters: the paper's five, each with a range or a list of choices.

Source: section VIII of the DermAssist paper, which names learning rate, weight decay, dropout
rate, batch size and number of frozen layers, but no ranges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from dermassist.errors import ConfigError

if TYPE_CHECKING:
    from dermassist.config import TrainingConfig

    Space = Mapping[str, BaseDistribution]
    Params = Mapping[str, Any]

_RANGE_KEYS = {"low", "high", "log", "step"}
_CHOICE_KEYS = {"choices"}


@dataclass(frozen=True)
class Parameter:
    """Where a parameter stands in a recipe, and whether it counts something."""

    section: Literal["model", "optimisation"]
    whole: bool

    def fits(self, value: object) -> bool:
        """Tell whether a value from a TOML file has the parameter's type and is finite."""
        if self.whole:
            return type(value) is int
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type] # a number by the first test


PARAMETERS: Mapping[str, Parameter] = {
    "learning_rate": Parameter("optimisation", whole=False),
    "weight_decay": Parameter("optimisation", whole=False),
    "dropout": Parameter("model", whole=False),
    "batch_size": Parameter("optimisation", whole=True),
    "frozen_layers": Parameter("model", whole=True),
}


def read_space(
    values: Mapping[str, Any], recipe: TrainingConfig, *, where: str
) -> dict[str, BaseDistribution]:
    """Build the search space that a TOML table declares.

    Args:
        values: by parameter, ``{low, high}`` with an optional ``log = true`` or ``step``, or
            ``{choices}``.
        recipe: what the parameters are put into; it says which values are allowed.
        where: the file, for messages.

    Raises:
        ConfigError: the space is empty or contradicts itself, a parameter is unknown, or a value
            has the wrong type or is not allowed in a recipe.
    """
    if not values:
        raise ConfigError(
            f"{where}: [space] is empty; declare at least one of {', '.join(PARAMETERS)}"
        )
    for name in values:
        if name not in PARAMETERS:
            raise ConfigError(
                f"{where}: unknown parameter space.{name}; known are {', '.join(PARAMETERS)}"
            )
    space: dict[str, BaseDistribution] = {}
    for name, declared in values.items():
        place = f"{where}: space.{name}"
        space[name] = _distribution(declared, PARAMETERS[name], place=place)
        _check_allowed(recipe, name, space[name], place=place)
    return space


def with_params(recipe: TrainingConfig, params: Params) -> TrainingConfig:
    """Return the recipe with these parameters in place of its own.

    Raises:
        ConfigError: a value is out of its range.
    """
    changed = recipe
    for name, value in params.items():
        section = PARAMETERS[name].section
        changed = replace(changed, **{section: replace(getattr(changed, section), **{name: value})})
    return changed


def hyperparameters_of(recipe: TrainingConfig) -> dict[str, Any]:
    """Return the recipe's values of all parameters that can be searched."""
    return {
        name: getattr(getattr(recipe, parameter.section), name)
        for name, parameter in PARAMETERS.items()
    }


def params_of(recipe: TrainingConfig, space: Space) -> dict[str, Any] | None:
    """Return the recipe's own point of the space, or None where it lies outside."""
    own = hyperparameters_of(recipe)
    params = {name: own[name] for name in space}
    inside = all(_holds(space[name], value) for name, value in params.items())
    return params if inside else None


def _distribution(declared: object, parameter: Parameter, *, place: str) -> BaseDistribution:
    keys = set(declared) if isinstance(declared, Mapping) else set()
    if not isinstance(declared, Mapping) or not keys <= _RANGE_KEYS | _CHOICE_KEYS:
        raise ConfigError(
            f"{place} must be a table of low and high (and log or step), or of choices, "
            f"got {declared!r}"
        )
    if keys == _CHOICE_KEYS:
        return _choices(declared["choices"], parameter, place=place)
    if not {"low", "high"} <= keys <= _RANGE_KEYS:
        raise ConfigError(f"{place} needs either low and high, or choices alone, got {declared!r}")
    return _range(declared, parameter, place=place)


def _choices(choices: object, parameter: Parameter, *, place: str) -> CategoricalDistribution:
    if not isinstance(choices, list) or not all(map(parameter.fits, choices)):
        raise ConfigError(f"{place}.choices must be a list of {_kind(parameter)}, got {choices!r}")
    if len(choices) < 2 or len(set(choices)) < len(choices):
        raise ConfigError(f"{place}.choices must be two or more different values, got {choices!r}")
    return CategoricalDistribution(choices if parameter.whole else [float(v) for v in choices])


def _range(declared: Mapping[str, Any], parameter: Parameter, *, place: str) -> BaseDistribution:
    for key in declared.keys() - {"log"}:
        if not parameter.fits(declared[key]):
            raise ConfigError(f"{place}.{key} must be {_kind(parameter)}, got {declared[key]!r}")
    low, high, step = declared["low"], declared["high"], declared.get("step")
    log = declared.get("log", False)
    if type(log) is not bool:
        raise ConfigError(f"{place}.log must be true or false, got {log!r}")
    if not low < high:
        raise ConfigError(
            f"{place} is empty: low {low} is not below high {high}; for one fixed value, leave the "
            "parameter out and set it in the recipe"
        )
    if log and step is not None:
        raise ConfigError(f"{place} has both log and step, which contradict each other")
    if log and low <= 0:
        raise ConfigError(f"{place} is logarithmic, so low must be above 0, got {low}")
    if step is not None and not _divides(step, high - low):
        raise ConfigError(
            f"{place}.step must lead from low {low} to high {high} in whole steps, got {step}"
        )
    if parameter.whole:
        return IntDistribution(low, high, log=log, step=1 if step is None else step)
    return FloatDistribution(low, high, log=log, step=step)


def _kind(parameter: Parameter) -> str:
    return "whole numbers" if parameter.whole else "finite numbers"


def _check_allowed(
    recipe: TrainingConfig, name: str, distribution: BaseDistribution, *, place: str
) -> None:
    """Refuse values that no training could be configured with."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            extremes: tuple[Any, ...] = choices
        case FloatDistribution(low=low, high=high) | IntDistribution(low=low, high=high):
            extremes = (low, high)
    for value in extremes:
        try:
            with_params(recipe, {name: value})
        except ConfigError as error:
            raise ConfigError(f"{place}: {error}") from None


def _holds(distribution: BaseDistribution, value: float) -> bool:
    match distribution:
        case CategoricalDistribution(choices=choices):
            return value in choices
        case FloatDistribution(low=low, high=high, step=None):
            return low <= value <= high
        case (
            FloatDistribution(low=low, high=high, step=float(step))
            | IntDistribution(low=low, high=high, step=step)
        ):
            return value == low or (value <= high and _divides(step, value - low))
    return False


def _divides(step: float, length: float) -> bool:
    """Tell whether a length is one or more whole steps, but for rounding."""
    if step <= 0:
        return False
    steps = length / step
    return round(steps) >= 1 and abs(steps - round(steps)) < 1e-9
