"""One process of several on one case book; started by processes.py."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from dermassist.cases import CaseBook
from dermassist.errors import CaseError
from dermassist.patient import PatientDetails

from .made import assessment_of, image_bytes
from .processes import READY

ROUNDS = 12
#: Bytes of an image that needs much room.
LARGE = 300_000
#: What a deleted case must leave nowhere.
MARK = "unmistakable"
_OF_AN_ENGINE = ("begin", "before_cursor_execute", "after_cursor_execute", "commit")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def open_book(folder: Path) -> None:
    with CaseBook.open(folder):
        say("opened")


def save_and_delete(folder: Path) -> None:
    """Save twice and delete once, again and again; say what is kept."""
    with CaseBook.open(folder) as book:
        for k in range(ROUNDS):
            image = image_bytes(os.getpid() * ROUNDS + k)
            kept, gone = (book.save(assessment_of(image), image).case_id for _ in range(2))
            book.delete(gone)
            say(kept)


def save_and_die(folder: Path) -> None:
    """Die with a large case still in the journal."""
    image = image_bytes(size=LARGE)
    say(CaseBook.open(folder).save(assessment_of(image), image).case_id)
    os.kill(os.getpid(), signal.SIGKILL)


def read_without_room(folder: Path) -> None:
    """Read every image, and try to save one, where no file may grow beyond a few pages."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGE // 2, LARGE // 2))
    image = image_bytes(1, size=LARGE)
    with CaseBook.open(folder) as book:
        for summary in book.search():
            say(f"{summary.case_id} {len(book.image(summary.case_id))}")
        try:
            book.save(assessment_of(image), image)
        except CaseError as error:
            say(str(error))


def save_marked(book: CaseBook) -> str:
    """Save a case whose every part holds the mark."""
    image = MARK.encode() * 5000
    patient = PatientDetails(name=MARK, remarks=f"{MARK} " * 200)
    return book.save(assessment_of(image, name=f"{MARK}.jpg"), image, patient=patient).case_id


def die_opening(folder: Path) -> None:
    die_at_every_step(folder, prepare=lambda _: "", work=lambda place, _: CaseBook.open(place))


def die_saving(folder: Path) -> None:
    def prepare(place: Path) -> str:
        CaseBook.open(place).close()
        return ""

    die_at_every_step(
        folder, prepare=prepare, work=lambda place, _: save_marked(CaseBook.open(place))
    )


def die_deleting(folder: Path) -> None:
    def prepare(place: Path) -> str:
        with CaseBook.open(place) as book:
            return save_marked(book)

    die_at_every_step(
        folder, prepare=prepare, work=lambda place, case_id: CaseBook.open(place).delete(case_id)
    )


def die_at_every_step(
    folder: Path, *, prepare: Callable[[Path], str], work: Callable[[Path, str], Any]
) -> None:
    """Let a copy of this process die at the first step of a work, another at the second, ...

    Each works in a folder of its own, named by its number. Says of each the number and its steps.
    """
    for last in count():
        place = folder / str(last)
        prepared = prepare(place)
        reading, writing = os.pipe()
        if os.fork() == 0:
            kill_at(last, report_to=writing)
            work(place, prepared)
            os._exit(0)
        os.close(writing)
        _, status = os.wait()
        with os.fdopen(reading) as steps:
            say(f"{last} {steps.read().replace(chr(10), ',').rstrip(',')}")
        if not os.WIFSIGNALED(status):
            return


def kill_at(last: int, *, report_to: int) -> None:
    """Make this process kill itself at one step of its work with the database."""
    steps = count()

    def step(name: str) -> None:
        os.write(report_to, f"{name}\n".encode())
        if next(steps) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def step_named(name: str) -> Callable[..., None]:
        return lambda *_: step(name)

    for name in _OF_AN_ENGINE:
        event.listen(Engine, name, step_named(name))
    event.listen(Session, "after_commit", step_named("committed"))


_TASKS = {
    "open": open_book,
    "save and delete": save_and_delete,
    "save and die": save_and_die,
    "read without room": read_without_room,
    "die opening": die_opening,
    "die saving": die_saving,
    "die deleting": die_deleting,
}

if __name__ == "__main__":
    say(READY)
    sys.stdin.readline()
    _TASKS[sys.argv[1]](Path(sys.argv[2]))
