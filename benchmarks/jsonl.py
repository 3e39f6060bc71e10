"""A file of JSON lines that a program killed at any point can go on with."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from dermassist.lock import sole_use_of

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


def sole_writer_of(path: Path) -> AbstractContextManager[None]:
    """Keep other processes from adding to a file: each would cut off what the other is writing.

    Raises:
        InUseError: another process writes to it.
    """
    refusal = f"another process adds to {path.name}; wait for it, or give another file"
    return sole_use_of(path.parent, lock=f"{path.name}.lock", refusal=refusal)


def append_line(path: Path, value: Mapping[str, Any]) -> None:
    """Add an object, after dropping a last line that was cut off; be the only one who writes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
        file.write(json.dumps(value).encode() + b"\n")
