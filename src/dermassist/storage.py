"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

#: What a temporary name keeps of its target's, so that it stays within the file system's limit.
_NAME_LENGTH = 32
_FOLDER_MODE = 0o755
#: Of what stands in for an earlier folder until it is whole.
_STAND_IN_FOLDER_MODE = 0o700
#: Of a new file, before the user's umask.
_FILE_MODE = 0o666
#: Of what stands in for an earlier file until it is whole: that one may be for its owner alone.
_STAND_IN_MODE = 0o600
_PERMISSIONS = 0o777
_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2
#: What file managers leave in a folder that was looked into: nobody's work, so it may go.
FILE_MANAGER_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
#: Errors of the disk itself, which the system gives without a name.
_OF_THE_DISK = frozenset(
    getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO") if hasattr(errno, name)
)


@contextmanager
def replacing(path: Path, *, private: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it into place if the block succeeds.

    The content is flushed to disk before the rename. If the block raises, nothing is left behind
    and an earlier file at ``path`` stays as it was; else its permissions are kept. A link stays,
    and what it points to is replaced.

    Args:
        path: of the file.
        private: make it its owner's alone, whatever an earlier one was.

    Raises:
        OSError: a folder or a device stands at ``path``, its own folder cannot be written to, or
            the disk is full. It names ``path``.
    """
    with _staging(path, private=private) as (temporary, target):
        yield temporary
        _finish(temporary, target, private=private)
        temporary.replace(target)


def write_together(contents: Mapping[Path, bytes], *, obsolete: Iterable[Path] = ()) -> None:
    """Write all files or, where one cannot be written, none.

    All are on the disk before the first is put in its place. They are put there in their order,
    so the one that tells what the others are belongs last. What may fail as late as that is a file
    that another program holds open on Windows: those after it then stay as they were.

    Args:
        contents: by path.
        obsolete: files that must not lie beside the new ones; removed just before these come.

    Raises:
        OSError: as of ``replacing``, or an obsolete file cannot be removed.
    """
    with ExitStack() as stack:
        staged = []
        for path, content in contents.items():
            temporary, target = stack.enter_context(_staging(path))
            temporary.write_bytes(content)
            _finish(temporary, target)
            staged.append((temporary, target))
        for path in obsolete:
            path.unlink(missing_ok=True)
        for temporary, target in staged:
            temporary.replace(target)


def is_stream(path: Path) -> bool:
    """Tell whether a path takes bytes but must not be replaced.

    That is a pipe, a device, or the file that standard output or error goes into: what the shell
    appends to (``>>``) would be lost.
    """
    if _descriptor_of(path) is not None:
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


def is_standard_output(path: Path) -> bool:
    """Tell whether what is written to a path mixes with what a program prints."""
    if not _is_open_as(path, _STANDARD_OUTPUT):
        return False
    # Of what is thrown away nobody reads a mixture.
    return not os.path.samestat(path.stat(), os.stat(os.devnull))  # noqa: PTH116 - may be no path


def check_writable(path: Path) -> None:
    """Find out before there is anything to write whether ``write_bytes`` can; make its folder.

    Raises:
        OSError: it cannot. It names ``path``.
    """
    if is_stream(path):
        return
    with suppress(_NothingToWriteError), replacing(path):
        raise _NothingToWriteError


@contextmanager
def replacing_folder(directory: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``directory``; put it in its place if the block succeeds.

    A folder that is there is replaced with all it holds, so a caller must know that it may be
    (``holds_nothing_but``). If the block raises, nothing is left behind and the earlier folder
    stays as it was; else its permissions are kept. A link stays, and the folder that it points to
    is replaced.

    Raises:
        OSError: a file stands at ``directory``, it is one that cannot be moved away, the parent
            cannot be written to, or the disk is full.
    """
    if directory.is_symlink():
        directory = Path(os.path.realpath(directory))
    _check_movable(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    staging = directory.parent / f".{directory.name[:_NAME_LENGTH]}.{secrets.token_hex(4)}"
    with _naming(directory, staging):
        staging.mkdir(_STAND_IN_FOLDER_MODE)
        try:
            yield staging
            staging.chmod(_permissions(directory) if directory.exists() else _FOLDER_MODE)
            _swap(staging, directory)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def check_folder_writable(directory: Path) -> None:
    """Find out before there is anything to write whether ``replacing_folder`` can; make its parent.

    Raises:
        OSError: as of ``replacing_folder``.
    """
    with suppress(_NothingToWriteError), replacing_folder(directory):
        raise _NothingToWriteError


def holds_nothing_but(directory: Path, names: Collection[str]) -> bool:
    """Tell whether a folder holds plain files of these names alone, so that it may be replaced.

    What file managers leave by themselves is nobody's work and does not count.
    """
    return all(
        file.is_file() and (file.name in names or file.name in FILE_MANAGER_FILES)
        for file in directory.iterdir()
    )


@contextmanager
def turn_in(directory: Path) -> Iterator[None]:
    """Wait until no other process is in this block for the same folder; make the folder.

    For work that is done in an instant: unlike ``dermassist.lock`` this waits, and it locks the
    folder itself, so no file of the lock's lies in a user's folder. Where folders cannot be
    locked (Windows, some network disks) nobody waits.

    Raises:
        OSError: the folder cannot be made.
    """
    directory.mkdir(parents=True, exist_ok=True)
    handle = _locked(directory)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; into a stream write straight.

    Raises:
        OSError: as of ``replacing``.
    """
    descriptor = _descriptor_of(path)
    if descriptor is not None:
        # Not by its name: opened anew, a file would be emptied, or written from its beginning.
        with _naming(path, path), open(descriptor, "wb", closefd=False) as stream:
            stream.write(content)
        return
    if is_stream(path):
        with _naming(path, path):
            path.write_bytes(content)
        return
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 file with Unix line ends, whole or not at all."""
    write_bytes(path, content.encode())


class _NothingToWriteError(Exception):
    """Leaves ``replacing`` and ``replacing_folder`` with what was there as it was."""


def _descriptor_of(path: Path) -> int | None:
    """Return which of standard output and error a path is, if any."""
    streams = (_STANDARD_OUTPUT, _STANDARD_ERROR)
    return next((number for number in streams if _is_open_as(path, number)), None)


def _is_open_as(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except (OSError, ValueError):
        # There is nothing at the path, or the descriptor is closed.
        return False


def _locked(directory: Path) -> int | None:
    """Return a handle that locks a folder until it is closed, or ``None`` where none can."""
    if sys.platform == "win32":
        return None
    try:
        handle = os.open(directory, os.O_RDONLY)
    except OSError:
        # A folder that may be written to but not looked into.
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:
        os.close(handle)
        return None
    except BaseException:
        # Ctrl-C while another process has its turn.
        os.close(handle)
        raise
    return handle


def _target(path: Path) -> Path:
    """Return what is to be replaced, in a folder that is there."""
    # Beside a link lies not what it points to.
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if is_stream(path):
        raise OSError(errno.EINVAL, "Is a pipe or a device, no file", str(path))
    return target


@contextmanager
def _staging(path: Path, *, private: bool = False) -> Iterator[tuple[Path, Path]]:
    """Yield a temporary path and the one that it is to replace; leave no temporary file behind."""
    target = _target(path)
    token = secrets.token_hex(4)
    temporary = target.with_name(f".{target.name[:_NAME_LENGTH]}.{token}{target.suffix}")
    with _naming(path, temporary):
        for_owner = private or target.exists()
        temporary.touch(_STAND_IN_MODE if for_owner else _FILE_MODE, exist_ok=False)
        try:
            yield temporary, target
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def _naming(path: Path, temporary: Path) -> Iterator[None]:
    """Let errors name the file that was wanted instead of the temporary one or none at all."""
    try:
        yield
    except OSError as error:
        nameless = error.filename is None and error.errno in _OF_THE_DISK
        if error.filename != str(temporary) and not nameless:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _finish(temporary: Path, target: Path, *, private: bool = False) -> None:
    """Flush a file to disk and give it the permissions of the one that it is to replace."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    # Windows knows read-only files alone, and replaces none.
    if sys.platform != "win32" and target.exists() and not private:
        temporary.chmod(_permissions(target))


def _permissions(path: Path) -> int:
    return path.stat().st_mode & _PERMISSIONS


def _check_movable(directory: Path) -> None:
    """Refuse a file, and a folder that the system moves nowhere."""
    if directory.exists() and not directory.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory))
    if directory.name in {"", ".."} or os.path.ismount(directory):
        reason = "Is the current folder or a mounted disk, which cannot be replaced"
        raise OSError(errno.EBUSY, reason, str(directory))


def _swap(staging: Path, directory: Path) -> None:
    """Put the staged folder in place of one that may be there; put that back if it fails."""
    retired = staging.with_name(staging.name + ".old")
    replaces = directory.exists()
    if replaces:
        directory.replace(retired)
    try:
        staging.replace(directory)
    except OSError:
        if replaces:
            retired.replace(directory)
        raise
    shutil.rmtree(retired, ignore_errors=True)
