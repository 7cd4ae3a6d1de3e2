"""Who uses a store, and who writes a run: runs share a store, and what deletes entries that no run names has it alone.

Between making an entry, or finding it, and writing the manifest that names it, no file says that a run needs it. A run
therefore holds a shared lock of the operating system; it ends with the run, however that ends.

A writer locks ``writer.lock`` for itself alone; who only asks takes a shared lock on it, which a writer tells from
another writer and waits for.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from gristmill.corpus.errors import LockedError

FILE = "in-use.lock"
_UNLOCKABLE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EROFS, errno.EACCES, errno.EPERM)
_held_alone: ContextVar[frozenset[Path]] = ContextVar("held_alone", default=frozenset())


@contextmanager
def using(root: Path) -> Iterator[None]:
    """Inside, nothing is collected from the store; waits while something is, but for one who has it ``alone``."""
    if root.absolute() in _held_alone.get():
        yield
        return
    with _locked(root, fcntl.LOCK_SH):
        yield


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Inside, no other run uses the store.

    Raises
    ------
    LockedError : a run does
    """
    try:
        with _locked(root, fcntl.LOCK_EX | fcntl.LOCK_NB):
            token = _held_alone.set(_held_alone.get() | {root.absolute()})
            try:
                yield
            finally:
                _held_alone.reset(token)
    except BlockingIOError:
        raise LockedError(f"{root} is in use by a run. Wait for it, or stop it, and call this again.") from None


@contextmanager
def _locked(root: Path, how: int) -> Iterator[None]:
    try:
        root.mkdir(parents=True, exist_ok=True)
        handle = os.open(root / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno not in _UNLOCKABLE:
            raise
        yield  # what cannot be written is not collected either
        return
    try:
        _lock(handle, how)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, how: int) -> None:
    try:
        fcntl.flock(handle, how)
    except OSError as error:
        if error.errno not in _UNLOCKABLE:
            raise


def is_written(run: Path) -> bool:
    """Whether a process writes the run now. A writer that begins meanwhile is not refused."""
    try:
        handle = os.open(run / "writer.lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


@contextmanager
def written_by_none(run: Path) -> Iterator[bool]:
    """Whether no process writes the run; none begins to inside: a writer that would waits for the end of the block."""
    try:
        handle = os.open(run / "writer.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)
