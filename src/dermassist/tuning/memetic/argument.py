"""Checks of a caller's numbers; a refusal names the argument, its range and the value got."""

from __future__ import annotations

from numbers import Integral, Real


def check_count(name: str, value: object, *, at_least: int) -> None:
    """Refuse anything but an integer of at least ``at_least``.

    Raises:
        ValueError: the value is no integer or is too small.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < at_least:  # type: ignore[operator]  # whole is tested first
        raise ValueError(f"{name} must be an integer of at least {at_least}, got {value!r}")


def check_fraction(name: str, value: object) -> None:
    """Refuse anything but a number from 0 to 1.

    Raises:
        ValueError: the value is no number or lies outside [0, 1].
    """
    if not (_is_number(value) and 0.0 <= value <= 1.0):  # type: ignore[operator]  # is a number
        raise ValueError(f"{name} must be a number from 0 to 1, got {value!r}")


def check_above_zero(name: str, value: object, *, at_most: float) -> None:
    """Refuse anything but a number above 0 and up to ``at_most``.

    Raises:
        ValueError: the value is no number or lies outside (0, ``at_most``].
    """
    if not (_is_number(value) and 0.0 < value <= at_most):  # type: ignore[operator]  # is a number
        raise ValueError(f"{name} must be a number above 0 and at most {at_most}, got {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
