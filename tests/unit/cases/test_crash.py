"""Wherever a process dies, the next one finds every case whole or not at all."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from dermassist.cases import CaseBook
from dermassist.cases.database import FILE_NAME

from .made import image_bytes
from .processes import started
from .worker import LARGE, MARK, save_marked

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL and fork are POSIX's")


def steps_of(task: str, folder: Path) -> dict[Path, list[str]]:
    """Return the steps that each process had taken when it died, by the folder it worked in."""
    with started(task, folder) as [worker]:
        lines = [line.partition(" ") for line in worker.finish()]
    return {folder / number: steps.split(",") for number, _, steps in lines}


def images_in(place: Path) -> list[bytes]:
    """Open the book of a dead process, and return its images; nothing else may lie there."""
    with CaseBook.open(place) as book:
        images = [book.image(summary.case_id) for summary in book.search()]
    assert [path.name for path in place.iterdir()] == [FILE_NAME]
    with sqlite3.connect(place / FILE_NAME) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        [[rows]] = database.execute("SELECT count(*) FROM dermassist_image").fetchall()
    database.close()
    assert rows == len(images)
    return images


def test_death_while_opening_leaves_a_book_that_opens(folder: Path) -> None:
    deaths = steps_of("die opening", folder)
    assert len(deaths) > 10
    for place in deaths:
        with CaseBook.open(place) as book:
            save_marked(book)
        assert len(images_in(place)) == 1


def test_death_while_saving_leaves_the_whole_case_or_nothing(folder: Path) -> None:
    deaths = steps_of("die saving", folder)
    kept = {place: len(images_in(place)) for place in deaths}
    assert kept == {place: int("committed" in steps) for place, steps in deaths.items()}
    assert set(kept.values()) == {0, 1}


def test_death_while_deleting_leaves_the_whole_case_or_no_trace(folder: Path) -> None:
    deaths = steps_of("die deleting", folder)
    kept = {place: len(images_in(place)) for place in deaths}
    assert kept == {place: int("committed" not in steps) for place, steps in deaths.items()}
    for place, cases in kept.items():
        assert (MARK.encode() in (place / FILE_NAME).read_bytes()) == bool(cases)
    assert set(kept.values()) == {0, 1}


def test_no_room_keeps_nobody_from_the_cases(folder: Path) -> None:
    """The last cases of a process that died are in the journal, and cannot leave it."""
    CaseBook.open(folder).close()
    with started("save and die", folder) as [worker]:
        case_id = worker.process.communicate()[0].strip()
    assert (folder / f"{FILE_NAME}-wal").stat().st_size > LARGE
    with started("read without room", folder) as [worker]:
        [read, refused] = worker.finish()
    assert read == f"{case_id} {LARGE}"
    assert refused.startswith("the case was not saved: disk I/O error; look at the disk and its")
    assert images_in(folder) == [image_bytes(size=LARGE)]
