"""Folders that a writer is still filling, and which of them are left behind.

A writer holds a lock of the operating system on its folder, which ends with the writer, however it ends. Host names and
process numbers decide nothing: two containers may have the same, and a container that starts again has those of the
dead one.
"""

import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

END = ".tmp"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def filling(parent: Path, name: str) -> Iterator[Path]:
    """A new folder ``parent/.NAME.UNIQUE.tmp``, empty, which ``sweep`` leaves alone until the block ends.

    What the block has not renamed by then is deleted.
    """
    while True:
        aside = parent / f".{name}.{uuid.uuid4().hex}{END}"
        aside.mkdir(parents=True)
        handle = _locked(aside)
        if handle is not None:
            break
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        os.close(handle)


def _locked(folder: Path) -> int | None:
    """A handle that locks the folder; None where a sweep took it first."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), folder.stat()):
            return handle
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return handle  # then no sweep takes it either
    os.close(handle)
    return None


def sweep(folders: Iterator[Path]) -> list[Path]:
    """Delete those of the folders ``.*.tmp`` that no writer holds; returns which."""
    return [folder for folder in folders if _swept(folder)]


def is_held(folder: Path) -> bool:
    """True while a writer fills the folder."""
    with suppress(FileNotFoundError):
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
    return False


def _swept(folder: Path) -> bool:
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    except OSError:  # gone, or no folder
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
