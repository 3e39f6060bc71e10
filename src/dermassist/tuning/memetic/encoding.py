"""The search space as a unit cube.

Every parameter is one coordinate in [0, 1]. A continuous one is mapped linearly, or in its
logarithm. One with finitely many values (stepped floats, integers, categories) divides [0, 1] into
one cell a value, and its point is the middle of the cell, so that a uniform coordinate is a
uniform choice of value. Integers on a log scale get cells as wide as they are in the logarithm.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Point = NDArray[np.float64]
    Key = tuple[float, ...]


class Dimension(ABC):
    """One parameter; ``cells`` is its number of values, None where it is continuous."""

    cells: int | None
    #: False where the values have no order, so that only "another one" is a neighbour.
    ordered: bool = True

    @abstractmethod
    def to_unit(self, value: Any) -> float:
        """Return the coordinate in [0, 1] of a parameter value."""

    @abstractmethod
    def from_unit(self, coordinate: float) -> Any:
        """Return the parameter value, a plain Python object, at a coordinate in [0, 1]."""

    def identity(self, value: Any) -> float:
        """Return a number that two values share exactly when they are the same value."""
        return self.to_unit(value)

    def middle(self, cell: int) -> float:
        """Return the coordinate of the value number ``cell``, counted from 0."""
        return (cell + 0.5) / (self.cells or 1)

    def moved(self, coordinate: float, step: float) -> float:
        """Return the coordinate after a step, at least one cell long and kept within [0, 1]."""
        if self.cells is None:
            return min(max(coordinate + step, 0.0), 1.0)
        cells = max(round(abs(step) * self.cells), 1)
        cell = math.floor(coordinate * self.cells) + (cells if step > 0 else -cells)
        return self.middle(min(max(cell, 0), self.cells - 1))


@dataclass(frozen=True)
class Continuous(Dimension):
    """A float from ``low`` to ``high``, spread evenly or evenly in its logarithm."""

    low: float
    high: float
    log: bool
    cells = None

    def to_unit(self, value: Any) -> float:
        """Return the coordinate in [0, 1]; a value out of range counts as the nearer bound."""
        inside = min(max(float(value), self.low), self.high)
        if self.log:
            return (math.log(inside) - math.log(self.low)) / self._span
        # halved, because the range of two finite floats need not be one
        return (inside / 2 - self.low / 2) / (self.high / 2 - self.low / 2)

    def from_unit(self, coordinate: float) -> float:
        """Return the float at a coordinate in [0, 1]."""
        if self.log:
            value = math.exp(math.log(self.low) + coordinate * self._span)
        else:
            value = self.low * (1.0 - coordinate) + self.high * coordinate
        return float(min(max(value, self.low), self.high))

    def identity(self, value: Any) -> float:
        """Return the value itself: a trip through the cube may change its last bit."""
        return float(value)

    @property
    def _span(self) -> float:
        return math.log(self.high) - math.log(self.low)


@dataclass(frozen=True)
class Stepped(Dimension):
    """The numbers ``low``, ``low + step``, ... up to ``high``, integers if ``whole``."""

    low: float
    high: float
    step: float
    whole: bool

    @property
    def cells(self) -> int:  # type: ignore[override]  # computed where the base class has a field
        """Return the number of values."""
        return round((self.high - self.low) / self.step) + 1

    def to_unit(self, value: Any) -> float:
        """Return the middle of the cell of the value nearest to ``value``."""
        index = round((float(value) - self.low) / self.step)
        return (min(max(index, 0), self.cells - 1) + 0.5) / self.cells

    def from_unit(self, coordinate: float) -> float | int:
        """Return the number whose cell holds the coordinate."""
        index = min(math.floor(coordinate * self.cells), self.cells - 1)
        if self.whole:
            return int(self.low) + index * int(self.step)
        return float(min(self.low + index * self.step, self.high))


@dataclass(frozen=True)
class LogInteger(Dimension):
    """The integers from ``low`` to ``high``; each cell is as wide as its integer's logarithm."""

    low: int
    high: int

    @property
    def cells(self) -> int:  # type: ignore[override]  # computed where the base class has a field
        """Return the number of values."""
        return self.high - self.low + 1

    def to_unit(self, value: Any) -> float:
        """Return the coordinate of an integer."""
        inside = min(max(float(value), self.low), self.high)
        return math.log(inside / (self.low - 0.5)) / self._span

    def from_unit(self, coordinate: float) -> int:
        """Return the integer whose cell holds the coordinate."""
        value = round((self.low - 0.5) * math.exp(coordinate * self._span))
        return min(max(value, self.low), self.high)

    def middle(self, cell: int) -> float:
        """Return the coordinate of the integer number ``cell``, counted from 0."""
        return self.to_unit(self.low + cell)

    def moved(self, coordinate: float, step: float) -> float:
        """Return the coordinate after a step that reaches the next integer at least."""
        value = self.from_unit(coordinate)
        goal = self.from_unit(min(max(coordinate + step, 0.0), 1.0))
        if goal == value:
            goal = min(max(value + (1 if step > 0 else -1), self.low), self.high)
        return self.to_unit(goal)

    @property
    def _span(self) -> float:
        return math.log((self.high + 0.5) / (self.low - 0.5))


@dataclass(frozen=True)
class Categorical(Dimension):
    """One of several values without an order."""

    distribution: CategoricalDistribution
    ordered = False

    @property
    def cells(self) -> int:  # type: ignore[override]  # computed where the base class has a field
        """Return the number of choices."""
        return len(self.distribution.choices)

    def to_unit(self, value: Any) -> float:
        """Return the middle of the cell of a choice."""
        return (self.distribution.to_internal_repr(value) + 0.5) / self.cells

    def from_unit(self, coordinate: float) -> Any:
        """Return the choice whose cell holds the coordinate."""
        return self.distribution.choices[min(math.floor(coordinate * self.cells), self.cells - 1)]


def dimension_of(distribution: BaseDistribution) -> Dimension:
    """Return how a parameter of this distribution is laid into the cube.

    Raises:
        ValueError: the distribution is none of Optuna's three.
    """
    match distribution:
        case FloatDistribution(low=low, high=high, step=float(step)):
            return Stepped(low, high, step, whole=False)
        case FloatDistribution(low=low, high=high, log=log):
            return Continuous(low, high, log)
        case IntDistribution(low=low, high=high, log=True):
            return LogInteger(low, high)
        case IntDistribution(low=low, high=high, step=step):
            return Stepped(low, high, step, whole=True)
        case CategoricalDistribution():
            return Categorical(distribution)
    raise ValueError(f"no way to search {distribution!r}: expected a float, integer or category")


class SearchSpace:
    """Named parameters as the unit cube [0, 1]^d; a point has shape (d,)."""

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self.distributions = dict(distributions)
        self.names = tuple(distributions)
        self.dimensions = tuple(dimension_of(each) for each in distributions.values())
        #: Which axes have an order, shape (d,).
        self.ordered = np.array([each.ordered for each in self.dimensions], dtype=np.bool_)

    @property
    def size(self) -> int:
        """Return d, the number of parameters."""
        return len(self.names)

    @property
    def number_of_points(self) -> float:
        """Return how many different points there are; infinite with any continuous parameter."""
        return math.prod(math.inf if each.cells is None else each.cells for each in self.dimensions)

    def encode(self, params: Mapping[str, Any]) -> Point:
        """Return the point, shape (d,), of parameter values that may hold more names."""
        pairs = zip(self.names, self.dimensions, strict=True)
        return np.array([each.to_unit(params[name]) for name, each in pairs])

    def decode(self, point: Point) -> dict[str, Any]:
        """Return the parameter values at a point; coordinates beyond the cube are clipped."""
        inside = np.clip(point, 0.0, 1.0).tolist()
        pairs = zip(self.names, self.dimensions, inside, strict=True)
        return {name: each.from_unit(coordinate) for name, each, coordinate in pairs}

    def nth(self, index: int) -> Point:
        """Return one of the points of a finite space, counted round and round, shape (d,)."""
        point = np.empty(self.size)
        for axis, dimension in enumerate(self.dimensions):
            index, cell = divmod(index, dimension.cells or 1)
            point[axis] = dimension.middle(cell)
        return point

    def key(self, params: Mapping[str, Any]) -> Key:
        """Return what tells these parameter values from others, equal for equal values."""
        pairs = zip(self.names, self.dimensions, strict=True)
        return tuple(each.identity(params[name]) for name, each in pairs)

    def holds(self, distributions: Mapping[str, BaseDistribution]) -> bool:
        """Tell whether a trial with these distributions is a point of this space."""
        return all(distributions.get(name) == own for name, own in self.distributions.items())
