"""Hyperparameter search. Public names are loaded when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dermassist.tuning.memetic import (
        MemeticSampler,
        PatternSearch,
        PolynomialMutation,
        SimulatedBinaryCrossover,
        TournamentSelection,
        UniformCrossover,
        plan_of,
    )

__all__ = [
    "MemeticSampler",
    "PatternSearch",
    "PolynomialMutation",
    "SimulatedBinaryCrossover",
    "TournamentSelection",
    "UniformCrossover",
    "plan_of",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dermassist.tuning import memetic  # noqa: PLC0415 - optuna is loaded when it is needed

    return getattr(memetic, name)


def __dir__() -> list[str]:
    return sorted(__all__)
