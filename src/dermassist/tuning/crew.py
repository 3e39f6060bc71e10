"""Worker processes: started, given candidates, replaced when they die, and ended."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Self

from dermassist.errors import DermAssistError
from dermassist.tuning.worker import Begun, Ended, Job, Message, Ready, Refused, work

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess
    from types import TracebackType

#: Deaths of workers without a result between them before the search gives up.
_MOST_DEATHS = 3


class SearchError(DermAssistError):
    """A search that cannot go on although it was declared rightly."""


@dataclass
class _Worker:
    """A process, the end of the line to it, and the trial that it evaluates, if it does."""

    process: SpawnProcess
    line: Connection
    asked: bool = False
    trial: int | None = None


class Crew:
    """Some worker processes; leaving the context ends them at once, whatever they do.

    Args:
        job: what each of them is given.
        workers: how many there are.
        give_back: called with the number of a trial whose process has died.
    """

    def __init__(self, job: Job, *, workers: int, give_back: Callable[[int], None]) -> None:
        self._job = job
        self._size = workers
        self._give_back = give_back
        self._workers: dict[Connection, _Worker] = {}
        self._deaths = 0

    def __enter__(self) -> Self:
        for _ in range(self._size):
            self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers.values():
            # Not a gentler signal: Lightning would answer it at the end of the batch.
            worker.process.kill()
        for worker in self._workers.values():
            worker.process.join()
            _hear_out(worker)
            worker.line.close()

    @property
    def trials(self) -> set[int]:
        """Return the numbers of the trials that are evaluated here or were when this ended."""
        return {each.trial for each in self._workers.values() if each.trial is not None}

    @property
    def asked(self) -> int:
        """Return how many candidates are being evaluated here, those not yet begun included."""
        return sum(worker.asked for worker in self._workers.values())

    @property
    def _beginning(self) -> bool:
        """Tell whether a worker was asked for a candidate and has not yet said which."""
        return any(each.asked and each.trial is None for each in self._workers.values())

    def run(self, wanted: Callable[[], int]) -> Iterator[Ended]:
        """Yield every trial that ends, until none is wanted and none is evaluated any more.

        Args:
            wanted: says how many candidates more are to be evaluated than are asked for by now.

        Raises:
            DermAssistError: a worker cannot evaluate anything.
            SearchError: workers die again and again.
        """
        idle: list[_Worker] = []
        while True:
            # One after the other: on SQLite, two that begin at once get the same queued point.
            if idle and not self._beginning and wanted() > 0:
                _ask(idle.pop())
            if len(idle) == len(self._workers):
                return
            # One message at a time, so that an idle worker waits for nobody else's news.
            worker = self._workers[wait(list(self._workers))[0]]  # type: ignore[index] # a line, as given
            match _heard(worker.line):
                case Ready():
                    idle.append(worker)
                case Begun(number):
                    worker.trial = number
                case Ended() as ended:
                    worker.asked, worker.trial = False, None
                    self._deaths = 0
                    idle.append(worker)
                    yield ended
                case Refused(error):
                    raise error
                case None:
                    idle = [each for each in idle if each is not worker]
                    self._replace(worker)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=work, args=(self._job, there), daemon=True)
        with _interrupts_ignored():
            process.start()
        there.close()
        self._workers[here] = _Worker(process, here)

    def _replace(self, dead: _Worker) -> None:
        """Bury a worker that was killed and start another.

        Raises:
            SearchError: it died by itself, or too many were killed.
        """
        del self._workers[dead.line]
        dead.line.close()
        dead.process.join()
        if dead.trial is not None:
            self._give_back(dead.trial)
        status = dead.process.exitcode or 0
        if status >= 0:
            raise SearchError(
                f"a worker process ended with status {status}, which is a fault of the program; "
                "what it said stands above"
            )
        self._deaths += 1
        if self._deaths == _MOST_DEATHS:
            raise SearchError(
                f"{_MOST_DEATHS} worker processes in a row were killed, the last by signal "
                f"{-status}; memory may be short: give fewer --workers or smaller batches, then "
                "run the same command to go on"
            )
        self._start()


def _ask(worker: _Worker) -> None:
    worker.asked = True
    # One that has died meanwhile is found when its line is listened to.
    with suppress(OSError):
        worker.line.send(True)


def _heard(line: Connection) -> Message | None:
    """Return the next message, or None from a process that has gone."""
    try:
        message: Message = line.recv()
    except (EOFError, OSError):
        return None
    return message


def _hear_out(dead: _Worker) -> None:
    """Note what a process that has gone had begun or ended while nobody listened."""
    while (message := _heard(dead.line)) is not None:
        match message:
            case Begun(number):
                dead.trial = number
            case Ended():
                dead.trial = None


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Let processes that are started within ignore Ctrl-C: it is for their parent to end them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
