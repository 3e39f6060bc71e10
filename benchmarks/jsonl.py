"""A file of JSON lines that a program killed at any point can go on with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a file, none where there is no file.

    A last line that was cut off by a kill is left out.
    """
    if not path.exists():
        return []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [json.loads(line) for line in whole.splitlines() if line]


def append_line(path: Path, value: Mapping[str, Any]) -> None:
    """Add an object, after dropping a last line that was cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
        file.write(json.dumps(value).encode() + b"\n")
