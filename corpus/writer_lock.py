"""The lock of a run directory: one writer at a time, held by the operating system.

``writer.lock`` is locked with ``flock``, which the system releases when its holder ends, however it ends. What stands
in the file (host, process) and its time of change (the heartbeat) are information for people and decide nothing: in a
container that starts again, host and process number are those of the dead writer. Runs and indexes lie on local disks;
an object store holds entries alone, each put under a condition of its own (``corpus.remote``).
"""

import errno
import fcntl
import json
import os
import random
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from gristmill.corpus.errors import LockedError, ReadOnlyError, StoreError

BEAT_SECONDS = 5.0
ASK_SECONDS = 0.001  # who only asks holds the lock for some microseconds
PATIENCE_SECONDS = 10.0  # with one of them that was stopped meanwhile
_HELD = (errno.EWOULDBLOCK, errno.EACCES)
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class WriterLock:
    """``with WriterLock(run.path):`` one writer at a time, threads and processes alike.

    A process that is forked while the lock is held holds it too: the lock is free when both have ended, or when the
    first leaves the block.

    Raises
    ------
    LockedError : another writer holds it; names host, process and last heartbeat
    ReadOnlyError : the folder cannot be written
    StoreError : its file system has no locks
    """

    def __init__(self, folder: Path):
        self.path = folder / "writer.lock"
        self._handle = -1
        self._stop = threading.Event()
        self._beat = threading.Thread(target=self._keep_beating, daemon=True)

    def __enter__(self) -> "WriterLock":
        while not self._take():
            pass  # the holder of that file has removed it: another one stands there, or none
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, json.dumps({"host": socket.gethostname(), "pid": os.getpid()}).encode(), 0)
        self._beat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._beat.join()
        try:
            if self._is_there():
                self.path.unlink()  # while it is locked: who has it open finds that it is not the one in the folder
        finally:
            fcntl.flock(self._handle, fcntl.LOCK_UN)
            os.close(self._handle)

    def _take(self) -> bool:
        """Lock the file that stands in the folder; False where it was removed in between."""
        self._handle = self._open()
        try:
            self._lock_alone()
            if self._is_there():
                return True
        except OSError as error:
            refusal = self._refusal(error)
            os.close(self._handle)
            raise refusal from None
        os.close(self._handle)
        return False

    def _lock_alone(self) -> None:
        """Lock the file. While those who only ask hold it (``corpus.store_use``) it is asked for again.

        They hold it together with others, so a shared lock is granted beside theirs and is refused beside a writer's.
        """
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in _HELD or time.monotonic() > until:
                    raise
            fcntl.flock(self._handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(self._handle, fcntl.LOCK_UN)
            time.sleep(random.uniform(0, ASK_SECONDS))  # two writers that ask at once do not do so again

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if error.errno in _READ_ONLY:
                raise ReadOnlyError(f"{self.path.parent} cannot be written: {error.strerror}") from None
            if not self.path.parent.exists():
                raise StoreError(f"{self.path.parent} is gone: it was deleted meanwhile") from None
            raise

    def _is_there(self) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(self._handle), self.path.stat())
        return False

    def _refusal(self, error: OSError) -> OSError:
        folder = self.path.parent
        if error.errno in _NO_LOCKS:
            return StoreError(
                f"{folder}: its file system has no locks ({error.strerror}). Set GRISTMILL_HOME elsewhere"
            )
        if error.errno not in _HELD:
            return error
        age_seconds = time.time() - os.fstat(self._handle).st_mtime
        return LockedError(
            f"{folder} is being written by {self._owner()} (last heartbeat {age_seconds:.0f} s ago). "
            "Wait for it, or stop it and run again."
        )

    def _owner(self) -> str:
        """As the file says, which may be empty or torn while its owner writes it."""
        with suppress(ValueError, TypeError, KeyError):
            owner = json.loads(os.pread(self._handle, 1 << 12, 0))
            return f"process {owner['pid']} on {owner['host']}"
        return "another process"

    def _keep_beating(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            os.utime(self._handle)
