"""Why a trial tries the point it tries: the note that the sampler leaves in the study's storage.

The notes and the trials' results are all the state there is. Any process that reads them knows
the population, every climb and every point that someone is trying at the moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna.trial import FrozenTrial

#: Name of the trial's system attribute that holds the plan.
PLAN_KEY = "memetic:plan"


class Origin(StrEnum):
    """How a point came about."""

    START = "start"
    CHILD = "child"
    MOVE = "move"


@dataclass(frozen=True)
class Move:
    """One step of a hill climb; the integers are trial numbers.

    Attributes:
        root: the individual that was born where this climb began.
        base: the best point of the climb, from which the step leaves.
        anchor: where the sweep over the axes that ``base`` is part of began.
        axis: the parameter that changes; None where several do, as in a pattern move.
        step: length of the step as a fraction of a parameter's range.
    """

    root: int
    base: int
    anchor: int
    axis: str | None
    step: float


@dataclass(frozen=True)
class Plan:
    """What a trial is for.

    Attributes:
        generation: 0 for the first points, then counted up.
        origin: first point, child of two parents, or move of a climb.
        values: each parameter's value in Optuna's internal representation.
        parents: trial numbers of a child's parents.
        reach: length of the first step of a climb from a child, as a fraction of the range.
        move: the step, where the trial is one.
    """

    generation: int
    origin: Origin
    values: Mapping[str, float]
    parents: tuple[int, ...] = ()
    reach: float | None = None
    move: Move | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types, which every Optuna storage can keep."""
        note: dict[str, Any] = {
            "generation": self.generation,
            "origin": self.origin.value,
            "values": dict(self.values),
        }
        if self.parents:
            note["parents"] = list(self.parents)
        if self.reach is not None:
            note["reach"] = self.reach
        if self.move is not None:
            note["move"] = dict(vars(self.move))
        return note

    @classmethod
    def from_json(cls, note: Mapping[str, Any]) -> Plan:
        """Return the plan that ``to_json`` wrote."""
        move = note.get("move")
        return cls(
            generation=note["generation"],
            origin=Origin(note["origin"]),
            values=note["values"],
            parents=tuple(note.get("parents", ())),
            reach=note.get("reach"),
            move=None if move is None else Move(**move),
        )


def plan_of(trial: FrozenTrial) -> Plan | None:
    """Return what the memetic sampler meant a trial for, or None where it chose nothing."""
    note = trial.system_attrs.get(PLAN_KEY)
    return None if note is None else Plan.from_json(note)
