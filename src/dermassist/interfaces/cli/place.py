"""Where a command may write: over earlier results of its own kind, never over anything else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from dermassist.errors import ConfigError


def check_replaceable(
    path: Path, what: str, is_one: Callable[[Path], bool], *, remedy: str = "name another file"
) -> None:
    """Refuse to write over a file of something else, such as one that the command reads.

    Args:
        path: of the file to write. One that is empty or not there yet may be written.
        what: such a file is, as the refusal says it.
        is_one: tells of a file that is there whether it is.
        remedy: what to do, beside removing the file.

    Raises:
        ConfigError: something else stands there.
        OSError: the file cannot be read.
    """
    if path.is_file() and path.stat().st_size > 0 and not is_one(path):
        raise ConfigError(f"{path}: exists and is no {what}; {remedy}, or remove it")


def check_no_input(source: Path, targets: Iterable[Path]) -> None:
    """Refuse to write over the file that is read.

    Raises:
        ConfigError: it is one of the targets.
    """
    place = os.path.realpath(source)
    if any(os.path.realpath(target) == place for target in targets):
        raise ConfigError(f"{source}: would be replaced by a result; name another folder")


def holds_keys(path: Path, *keys: str) -> bool:
    """Tell whether a file is a JSON object with all of these keys.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(values, dict) and set(keys) <= set(values)
