"""The case book. Public names are loaded when they are first used: they need the extra ``app``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dermassist.cases.archive import export_cases
    from dermassist.cases.book import CaseBook
    from dermassist.cases.case import Case, CaseChangedError, CaseQuery, CaseSummary
    from dermassist.outcome import Outcome

__all__ = [
    "Case",
    "CaseBook",
    "CaseChangedError",
    "CaseQuery",
    "CaseSummary",
    "Outcome",
    "export_cases",
]

_MODULES = {"CaseBook": "book", "export_cases": "archive"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    from dermassist.errors import MissingExtraError  # noqa: PLC0415

    try:
        module = import_module(f"{__name__}.{_MODULES.get(name, 'case')}")
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "sqlalchemy":
            raise
        raise MissingExtraError("The case book", extra="app") from error
    return getattr(module, name)
