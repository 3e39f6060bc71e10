"""Values that a stored file states, taken for what they should be or refused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def only_value_errors() -> Iterator[None]:
    """Let what is of another kind than it should be, be refused as a value is."""
    try:
        yield
    except (TypeError, AttributeError, IndexError, OverflowError) as error:
        raise ValueError(f"a part is not of the kind that it should be ({error})") from error


def number(value: Any, name: str, low: float = 0.0, high: float = math.inf) -> float:
    """Return a finite number within bounds.

    Raises:
        ValueError: it lies outside, or is not finite.
    """
    given = float(value)
    # Written so that nan is refused as well.
    if not (low <= given <= high and math.isfinite(given)):
        raise ValueError(f"{name} must lie in {low:g}..{high:g}, got {value!r}")
    return given


def whole(value: Any, name: str) -> int:
    """Return a whole number above 0.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number above 0, got {value!r}")
    return value


def text(value: Any, name: str) -> str:
    """Return a text.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, got {value!r}")
    return value


def truth(value: Any, name: str) -> bool:
    """Return true or false.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be true or false, got {value!r}")
    return value


def truth_or_none(value: Any, name: str) -> bool | None:
    """Return true, false, or ``None`` where that is stated.

    Raises:
        TypeError: it is something else.
    """
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"{name} must be true, false or null, got {value!r}")
    return value


def texts(values: Any, name: str) -> tuple[str, ...]:
    """Return a list of texts as a tuple.

    Raises:
        TypeError: it is something else, a single text included.
    """
    # A text is a sequence of texts as well, of single letters.
    if not isinstance(values, list | tuple):
        raise TypeError(f"{name} must be a list of texts, got {values!r}")
    return tuple(text(value, name) for value in values)
