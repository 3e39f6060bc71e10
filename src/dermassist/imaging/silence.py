"""Keeping Pillow's warnings from users while images are read, also when many threads read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_PILLOW = r"PIL\."


class _Silence:
    """Silences Pillow's warnings from the first reader's entry to the last reader's exit.

    ``warnings.catch_warnings`` alone restores the process's filters in the order in which
    threads leave, which can leave warnings off for good.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._readers = 0
        self._restorer = warnings.catch_warnings()

    def enter(self) -> None:
        with self._lock:
            if self._readers == 0:
                self._restorer = warnings.catch_warnings()
                self._restorer.__enter__()
                warnings.filterwarnings("ignore", module=_PILLOW)
            self._readers += 1

    def leave(self) -> None:
        with self._lock:
            self._readers -= 1
            if self._readers == 0:
                self._restorer.__exit__(None, None, None)


_SILENCE = _Silence()


@contextmanager
def pillow_silenced() -> Iterator[None]:
    """Ignore warnings raised inside Pillow.

    They concern odd metadata, which is not used, and sizes, for which limits stricter than
    Pillow's are enforced.
    """
    _SILENCE.enter()
    try:
        yield
    finally:
        _SILENCE.leave()
