"""Frozen results as JSON-safe documents, and back, driven by their own field types.

A document is what ``json`` takes: dictionaries by field name, lists, numbers, texts. nan, which
JSON lacks, is ``null``.
"""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from dermassist.errors import DataError

Result = TypeVar("Result")


def to_document(value: object) -> Any:
    """Return the JSON-safe form of a result: a dataclass, tuple, number, text or ``None``.

    Raises:
        DataError: a value that has no such form, or an infinite number.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_document(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [to_document(item) for item in value]
    if isinstance(value, float):
        return _finite_or_null(value)
    if value is None or isinstance(value, str | int):
        return value
    raise DataError(f"a {type(value).__name__} cannot be written into a document")


def from_document(kind: type[Result], document: object) -> Result:
    """Read what ``to_document`` wrote.

    Args:
        kind: the dataclass to read, with its type arguments if it has any (``Overall[Estimate]``).
        document: what was read from JSON.

    Raises:
        DataError: a key is missing or unknown, or a value is of another type; names the place.
    """
    return cast("Result", _read(kind, document, place=""))


def _finite_or_null(value: float) -> float | None:
    if math.isinf(value):
        raise DataError("an infinite number cannot be written into a document")
    return None if math.isnan(value) else float(value)


def _read(kind: Any, document: object, *, place: str) -> object:
    origin = get_origin(kind) or kind
    if origin in (Union, UnionType):
        (some,) = set(get_args(kind)) - {NoneType}
        return None if document is None else _read(some, document, place=place)
    if is_dataclass(origin):
        return _read_dataclass(kind, document, place=place)
    if origin is tuple:
        return _read_tuple(kind, document, place=place)
    if kind is float and document is None:
        return math.nan
    wanted = (float, int) if kind is float else kind
    if not isinstance(document, wanted) or (isinstance(document, bool) and kind is not bool):
        raise DataError(f"{place or 'document'}: expected {kind.__name__}, got {document!r:.80}")
    return float(document) if isinstance(document, int) and kind is float else document


def _read_tuple(kind: Any, document: object, *, place: str) -> tuple[object, ...]:
    if not isinstance(document, list):
        raise DataError(f"{place or 'document'}: expected a list, got {document!r:.80}")
    item = get_args(kind)[0]
    return tuple(_read(item, entry, place=f"{place}[{i}]") for i, entry in enumerate(document))


def _read_dataclass(kind: Any, document: object, *, place: str) -> object:
    owner: Any = get_origin(kind) or kind
    arguments = dict(zip(getattr(owner, "__parameters__", ()), get_args(kind), strict=True))
    names = {field.name for field in fields(owner)}
    if not isinstance(document, dict) or set(document) != names:
        found = sorted(map(str, document)) if isinstance(document, dict) else repr(document)[:80]
        raise DataError(f"{place or 'document'}: expected the keys {sorted(names)}, got {found}")
    hints = get_type_hints(owner)
    return owner(
        **{
            name: _read(
                arguments.get(hints[name], hints[name]),
                document[name],
                place=f"{place}.{name}".lstrip("."),
            )
            for name in names
        }
    )
