from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from dermassist.storage import (
    FILE_MANAGER_FILES,
    check_folder_writable,
    check_writable,
    holds_nothing_but,
    is_stream,
    replacing,
    replacing_folder,
    turn_in,
    write_bytes,
    write_text,
    write_together,
)

posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes are POSIX's")


def test_content_is_written_with_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "note.txt"
    write_text(path, "Größe\n")

    assert path.read_bytes() == "Größe\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_an_earlier_file_is_replaced_only_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "result.bin"
    write_bytes(path, b"old")
    with replacing(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
        assert temporary.parent == path.parent
        assert temporary.suffix == path.suffix
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_earlier_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "result.bin"
    write_bytes(path, b"old")
    with pytest.raises(error), replacing(path) as temporary:  # noqa: PT012 - it fails inside
        temporary.write_bytes(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_way_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "taken" / "inner").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"):
        write_bytes(tmp_path / "taken", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_folder_in_the_way_is_told_before_anything_is_made(tmp_path: Path) -> None:
    entered = False
    with pytest.raises(IsADirectoryError) as caught, replacing(tmp_path):
        entered = True
    assert not entered
    assert caught.value.filename == str(tmp_path)


def test_errors_name_the_wanted_file_not_the_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    with pytest.raises(FileNotFoundError) as caught, replacing(path) as temporary:  # noqa: PT012
        temporary.unlink()
        temporary.read_bytes()
    assert caught.value.filename == str(path)
    assert "No such file" in str(caught.value)


def test_errors_about_other_files_stay_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, replacing(tmp_path / "a"):
        (tmp_path / "other").read_bytes()
    assert caught.value.filename == str(tmp_path / "other")


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_permissions_follow_the_umask(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        write_bytes(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_replaced_file_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(mode)
    with replacing(path) as temporary:
        assert temporary.stat().st_mode & 0o777 == 0o600, "half of it is for nobody else either"
        temporary.write_bytes(b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", mode)


@posix
def test_a_replaced_folder_keeps_its_permissions(tmp_path: Path) -> None:
    place = tmp_path / "made"
    for mode in (0o755, 0o700):
        with replacing_folder(place):
            pass
        assert place.stat().st_mode & 0o777 == mode
        place.chmod(0o700)


def test_a_name_at_the_limit_of_the_file_system_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".txt")
    write_text(path, "x")
    assert path.read_text() == "x"


def test_two_writers_do_not_share_a_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path) as one, replacing(path) as other:
        assert one != other
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"


def test_files_that_belong_together_are_put_in_place_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, first, last = tmp_path / "old", tmp_path / "b", tmp_path / "a"
    old.touch()
    seen: list[list[str]] = []
    replace = Path.replace

    def watched(temporary: Path, target: Path) -> Path:
        seen.append([name for name in names(tmp_path) if not name.startswith(".")])
        return replace(temporary, target)

    monkeypatch.setattr(Path, "replace", watched)
    write_together({first: b"1", last: b"2"}, obsolete=[old, tmp_path / "absent"])
    assert seen == [[], ["b"]]
    assert (first.read_bytes(), last.read_bytes(), names(tmp_path)) == (b"1", b"2", ["a", "b"])


def test_files_that_belong_together_are_written_all_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = {tmp_path / name: name.encode() for name in ("a", "b", "old")}
    for path, content in earlier.items():
        path.write_bytes(content)
    sync = os.fsync
    calls: list[int] = []

    def failing(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        sync(handle)

    monkeypatch.setattr(os, "fsync", failing)
    new = {tmp_path / name: b"new" for name in ("a", "b", "c")}
    with pytest.raises(OSError, match="Input/output") as caught:
        write_together(new, obsolete=[tmp_path / "old"])
    assert caught.value.filename == str(tmp_path / "b")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == earlier


@posix
@pytest.mark.parametrize("absent", [False, True])
def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path, absent: bool) -> None:
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "real.txt", tmp_path / "link.txt"
    if not absent:
        real.write_text("old")
    link.symlink_to("there/real.txt")
    write_text(link, "new")

    assert link.is_symlink()
    assert real.read_text() == "new"
    assert [path.name for path in real.parent.iterdir()] == ["real.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.txt", "there"]


@posix
def test_a_pipe_is_written_into_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    check_writable(pipe)
    write_bytes(pipe, b"content")
    reader.join(timeout=30)

    assert read == [b"content"]
    assert is_stream(pipe)
    assert list(tmp_path.iterdir()) == [pipe]


@posix
def test_a_pipe_is_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="Is a pipe or a device") as caught, replacing(pipe):
        pass
    assert caught.value.filename == str(pipe)
    assert is_stream(pipe)


@posix
@pytest.mark.parametrize("descriptor", [1, 2])
def test_what_the_shell_appends_to_is_appended_to(tmp_path: Path, descriptor: int) -> None:
    log = tmp_path / "log.txt"
    log.write_text("mine\n")
    code = (
        "import sys; from pathlib import Path; from dermassist.storage import *\n"
        "path = Path(sys.argv[1]); assert is_stream(path); check_writable(path)\n"
        "write_text(path, 'content\\n')"
    )
    with log.open("a") as file:
        where = {1: None, 2: None, descriptor: file}
        command = [sys.executable, "-c", code, str(log)]
        subprocess.run(command, check=True, timeout=60, stdout=where[1], stderr=where[2])
    assert log.read_text() == "mine\ncontent\n"
    assert list(tmp_path.iterdir()) == [log]
    assert not is_stream(log)


def test_a_place_is_tried_without_a_trace(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    check_writable(path)
    assert list(path.parent.iterdir()) == []
    path.write_text("mine")
    check_writable(path)
    assert path.read_text() == "mine"
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        check_writable(tmp_path / "file" / "below")
    with pytest.raises(IsADirectoryError):
        check_writable(tmp_path)


@pytest.mark.skipif(not hasattr(errno, "ENOSPC"), reason="this system has no such error")
def test_a_full_disk_names_the_file_although_the_system_names_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_bytes(tmp_path / "new" / "note.txt", b"x")
    assert caught.value.filename == str(tmp_path / "new" / "note.txt")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_device_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        write_bytes(Path("/dev/full"), b"x")
    assert caught.value.filename == "/dev/full"


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), OSError("odd")])
def test_nameless_errors_of_something_else_stay_nameless(tmp_path: Path, error: OSError) -> None:
    with pytest.raises(type(error)) as caught, replacing(tmp_path / "note.txt"):
        raise error
    assert caught.value.filename is None


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_replaced_only_at_the_end(tmp_path: Path) -> None:
    place = tmp_path / "made"
    (place / "old").mkdir(parents=True)
    with pytest.raises(KeyError), replacing_folder(place):
        raise KeyError
    assert names(place) == ["old"]
    with replacing_folder(place) as staging:
        (staging / "new").touch()
    assert names(place) == ["new"]
    assert names(tmp_path) == ["made"]


def test_a_file_is_never_replaced_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(NotADirectoryError) as caught, replacing_folder(tmp_path / "taken"):
        pass
    assert caught.value.filename == str(tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"
    assert names(tmp_path) == ["taken"]


def test_a_folder_s_place_is_tried_without_a_trace(tmp_path: Path) -> None:
    place = tmp_path / "new" / "made"
    check_folder_writable(place)
    assert names(place.parent) == []
    place.mkdir()
    (place / "mine").touch()
    check_folder_writable(place)
    assert names(place) == ["mine"]
    assert names(place.parent) == ["made"]


def test_a_folder_s_place_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        check_folder_writable(tmp_path / "file" / "below")
    with pytest.raises(NotADirectoryError):
        check_folder_writable(tmp_path / "file")

    make = Path.mkdir

    def refuse(path: Path, *arguments: Any, **options: Any) -> None:
        if path.name.startswith(".made."):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        make(path, *arguments, **options)

    # Root may write everywhere, so whoever runs the test is refused here.
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PermissionError) as caught:
        check_folder_writable(tmp_path / "made")
    assert caught.value.filename == str(tmp_path / "made")


@pytest.mark.parametrize("name", [".", "made/..", "mounted"])
def test_a_folder_that_cannot_be_moved_away_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("made", "mounted"):
        Path(folder).mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "mounted")
    with pytest.raises(OSError, match="cannot be replaced") as caught:
        check_folder_writable(Path(name))
    assert caught.value.filename == str(Path(name))
    assert names(tmp_path) == ["made", "mounted"]


@posix
def test_a_link_to_a_folder_stays_and_the_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real" / "old").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    with replacing_folder(tmp_path / "link") as staging:
        (staging / "new").touch()
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "real") == ["new"]
    assert names(tmp_path) == ["link", "real"]


def test_what_a_folder_holds_beside_is_found(tmp_path: Path) -> None:
    assert holds_nothing_but(tmp_path, ())
    for name in ("a", *FILE_MANAGER_FILES):
        (tmp_path / name).touch()
    assert holds_nothing_but(tmp_path, {"a", "b"})
    assert not holds_nothing_but(tmp_path, {"b"})
    (tmp_path / "b").mkdir()
    assert not holds_nothing_but(tmp_path, {"a", "b"})


WAITING = """
import sys
from pathlib import Path
from dermassist.storage import turn_in

print("asks", flush=True)
with turn_in(Path(sys.argv[1])):
    print("has it", flush=True)
"""


@posix
def test_two_processes_take_turns_in_a_folder(tmp_path: Path) -> None:
    place = tmp_path / "new" / "folder"
    with turn_in(place):
        command = [sys.executable, "-c", WAITING, str(place)]
        other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert other.stdout is not None
        assert other.stdout.readline() == "asks\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(timeout=0.5)
        # No lock of ours lies in a user's folder.
        assert names(place) == []
    out, _ = other.communicate(timeout=60)
    assert (other.returncode, out) == (0, "has it\n")
    assert names(place) == []


@posix
def test_where_a_folder_cannot_be_locked_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def refusing(_handle: int, _operation: int) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    with turn_in(tmp_path):
        monkeypatch.setattr(fcntl, "flock", refusing)
        with turn_in(tmp_path):
            pass


def test_a_turn_ends_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), turn_in(tmp_path):
        raise KeyError
    with turn_in(tmp_path):
        pass
