"""Files that a writer is still writing beside the ones they will replace, and those that dead writers left.

A writer holds a lock of the operating system on its file, which ends with the writer, however it ends. The next writer
of the same path deletes what no writer holds. Where a file system has no locks, nothing is deleted here.
"""

import errno
import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

END = ".tmp"
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_FILE = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC  # NFS locks for itself alone what was opened to be written
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def beside(path: Path) -> Iterator[BinaryIO]:
    """A new empty file ``.NAME.UNIQUE.tmp`` beside ``path``; ``file.name`` is its path, to be renamed in the block.

    What the block has not renamed by then is deleted; first of all, what dead writers of ``path`` left.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "state.json")
    ...     with beside(path) as file:
    ...         _ = file.write(b"{}")
    ...         file.flush()
    ...         _ = Path(file.name).replace(path)
    ...     path.read_bytes(), len(list(Path(folder).iterdir()))
    (b'{}', 1)
    """
    sweep_beside(path)
    while True:
        aside = aside_name(path)
        file = aside.open("wb")
        if locks(file.fileno(), aside):
            break
        file.close()  # a sweep took it first, and deletes it
    try:
        with file:
            yield file
    finally:
        if aside.exists():
            aside.unlink()


def aside_name(path: Path) -> Path:
    """A name beside ``path`` that no other writer takes: two containers may share a process number."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}{END}")


def sweep_beside(path: Path) -> None:
    """Delete the files beside ``path`` that a writer of it left when it died."""
    of_path = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{32}}{re.escape(END)}").fullmatch
    with suppress(OSError):  # where the folder cannot be listed, they stay
        sweep([aside for aside in path.parent.iterdir() if of_path(aside.name)])


def sweep(asides: Iterable[Path]) -> list[Path]:
    """Delete those of the files and folders that no writer holds; returns which. What cannot be deleted stays."""
    return [aside for aside in asides if _swept(aside)]


def _swept(aside: Path) -> bool:
    with unheld(aside) as free:
        if free and aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        elif free:
            with suppress(OSError):
                aside.unlink()
        return free


@contextmanager
def unheld(aside: Path) -> Iterator[bool]:
    """Whether no writer holds the file or folder; inside the block none can. False where that cannot be known."""
    try:
        handle = os.open(aside, _FOLDER if aside.is_dir() else _FILE)
    except OSError:
        yield False
        return
    try:
        yield _takes(handle)
    finally:
        os.close(handle)


def locks(handle: int, path: Path) -> bool:
    """Lock what was opened under ``path``; False where a sweep took it first, which it cannot without locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(handle), path.stat())
    except OSError as error:
        return error.errno in _NO_LOCKS


def _takes(handle: int) -> bool:
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
