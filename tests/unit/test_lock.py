"""A folder belongs to one process, and to nobody once that is gone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dermassist.errors import ConfigError
from dermassist.lock import InUseError, sole_use_of

HOLDER = """
import sys
from pathlib import Path
from dermassist.lock import sole_use_of

with sole_use_of(Path(sys.argv[1]), lock="run.lock", refusal=""):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_one_is_refused_until_the_first_has_left(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    with sole_use_of(folder, lock="a.lock", refusal="first come"):
        with (
            pytest.raises(InUseError, match="run: first come, first served"),
            sole_use_of(folder, lock="a.lock", refusal="first come, first served"),
        ):
            pytest.fail("both are in")
        with sole_use_of(folder, lock="b.lock", refusal="another lock"):
            pass
    with sole_use_of(folder, lock="a.lock", refusal=""):
        pass
    assert issubclass(InUseError, ConfigError)


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(InUseError, match="in use"),
            sole_use_of(tmp_path, lock="run.lock", refusal="in use"),
        ):
            pytest.fail("both are in")
        holder.kill()
        holder.wait()
    with sole_use_of(tmp_path, lock="run.lock", refusal="in use"):
        pass


def test_a_block_that_fails_leaves(tmp_path: Path) -> None:
    with pytest.raises(KeyError), sole_use_of(tmp_path, lock="run.lock", refusal=""):
        raise KeyError
    with sole_use_of(tmp_path, lock="run.lock", refusal=""):
        pass


def test_a_disk_without_locks_is_not_taken_for_one_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = sqlite3.OperationalError("disk I/O error")
    broken.sqlite_errorcode = sqlite3.SQLITE_IOERR

    class Unlockable(sqlite3.Connection):
        def execute(self, *_: object) -> sqlite3.Cursor:
            raise broken

    monkeypatch.setattr("dermassist.lock.sqlite3.connect", lambda *_, **__: Unlockable(":memory:"))
    with (
        pytest.raises(ConfigError, match="cannot lock files") as refused,
        sole_use_of(tmp_path, lock="run.lock", refusal=""),
    ):
        pytest.fail("nobody is kept out")
    assert not isinstance(refused.value, InUseError)
