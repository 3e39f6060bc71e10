"""What happens when a command is told to end by whoever runs it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Commands whose training answers the signal itself, at the end of a batch.
ANSWERED_BY_TRAINING = frozenset({"train", "protocol"})


@contextmanager
def ending_as_interrupted() -> Iterator[None]:
    """Let SIGTERM within end the work as Ctrl-C does: what is done is kept, nothing half stays.

    ``docker stop``, systemd and batch schedulers send it, and kill after some seconds. Where
    somebody else answers it already, or this is no main thread, nothing is changed.
    """
    free = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not free or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(number: int, _frame: object) -> None:
    # Some send it twice (timeout to the process and to its group): saving must not be cut off.
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
