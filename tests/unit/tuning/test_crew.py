"""Who is asked when: worker processes are stood in for by threads that this test drives."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, cast

import pytest
from optuna.trial import TrialState

from dermassist.tuning import crew as crew_module
from dermassist.tuning.crew import Crew
from dermassist.tuning.worker import Begun, Ended, Job, Ready

_PATIENCE_S = 20.0
_MOMENT_S = 0.3


class Stub:
    """The far end of a line: says what the test tells it to say."""

    exitcode = -9

    def __init__(self, line: Connection) -> None:
        self.line = line

    def says(self, message: object) -> None:
        self.line.send(message)

    def is_asked(self, within_s: float) -> bool:
        if not self.line.poll(within_s):
            return False
        self.line.recv()
        return True

    def dies(self) -> None:
        self.line.close()

    def join(self) -> None:
        """A process that has died is joined at once."""

    def kill(self) -> None:
        if not self.line.closed:
            self.line.close()


class StubbedCrew(Crew):
    """A crew whose processes are stubs."""

    def __init__(self, *, workers: int) -> None:
        super().__init__(cast("Job", None), workers=workers, give_back=self._note)
        self.stubs: list[Stub] = []
        self.given_back: list[int] = []

    def _note(self, number: int) -> None:
        self.given_back.append(number)

    def _start(self) -> None:
        here, there = multiprocessing.Pipe()
        stub = Stub(there)
        self.stubs.append(stub)
        self._workers[here] = crew_module._Worker(cast("Any", stub), here)

    def started(self, place: int) -> Stub:
        """Return a stub as soon as it is there."""
        until = time.monotonic() + _PATIENCE_S
        while len(self.stubs) <= place:
            assert time.monotonic() < until
            time.sleep(0.01)
        return self.stubs[place]


class Search:
    """Runs a crew in a thread of its own until ``wanted`` trials were asked for."""

    def __init__(self, crew: Crew, *, wanted: int) -> None:
        self.crew = crew
        self.wanted = wanted
        self.ended: list[Ended] = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        for ended in self.crew.run(lambda: self.wanted - len(self.ended) - self.crew.asked):
            self.ended.append(ended)

    def finish(self) -> None:
        self.thread.join(_PATIENCE_S)
        assert not self.thread.is_alive()


@pytest.fixture
def crew() -> Iterator[StubbedCrew]:
    with StubbedCrew(workers=2) as started:
        yield started


def complete(number: int) -> Ended:
    return Ended(number, TrialState.COMPLETE)


def test_nobody_is_asked_while_another_is_choosing_its_point(crew: StubbedCrew) -> None:
    search = Search(crew, wanted=2)
    first, second = crew.stubs
    first.says(Ready())
    assert first.is_asked(_PATIENCE_S)
    second.says(Ready())
    # The first has not yet said which point it got: asked now, the second could get the same.
    assert not second.is_asked(_MOMENT_S)
    first.says(Begun(0))
    assert second.is_asked(_PATIENCE_S)
    second.says(Begun(1))
    first.says(complete(0))
    second.says(complete(1))
    search.finish()
    assert [ended.number for ended in search.ended] == [0, 1]


def test_an_idle_worker_that_died_is_replaced_and_no_longer_counted(crew: StubbedCrew) -> None:
    search = Search(crew, wanted=1)
    busy, idle = crew.stubs
    busy.says(Ready())
    assert busy.is_asked(_PATIENCE_S)
    busy.says(Begun(0))
    idle.says(Ready())
    idle.dies()
    replacement = crew.started(2)
    replacement.says(Ready())
    # Two have been idle, one of them is dead: the search must wait for the busy one.
    search.thread.join(_MOMENT_S)
    assert search.thread.is_alive()
    busy.says(complete(0))
    search.finish()
    assert [ended.number for ended in search.ended] == [0]
    assert crew.given_back == []


def test_the_trial_of_a_worker_that_died_is_given_back(crew: StubbedCrew) -> None:
    search = Search(crew, wanted=1)
    first, second = crew.stubs
    first.says(Ready())
    assert first.is_asked(_PATIENCE_S)
    first.says(Begun(7))
    first.dies()
    second.says(Ready())
    assert second.is_asked(_PATIENCE_S)
    second.says(Begun(8))
    second.says(complete(8))
    crew.started(2).says(Ready())
    search.finish()
    assert crew.given_back == [7]
    assert [ended.number for ended in search.ended] == [8]
