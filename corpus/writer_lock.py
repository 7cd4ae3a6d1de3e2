"""The lock of a run directory: host, process and heartbeat of its one writer."""

import json
import os
import socket
import threading
import time
from pathlib import Path
from types import TracebackType

from gristmill.corpus.errors import LockedError
from gristmill.corpus.store import process_lives

BEAT_SECONDS = 5.0
STALE_SECONDS = 60.0  # twelve missed beats: the owner's host is gone


class WriterLock:
    """``with WriterLock(run.path):`` one writer at a time; a dead owner's lock is taken over."""

    def __init__(self, folder: Path):
        self.path = folder / "writer.lock"
        self._stop = threading.Event()
        self._beat = threading.Thread(target=self._keep_beating, daemon=True)

    def __enter__(self) -> "WriterLock":
        while True:
            try:
                handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            except FileExistsError:
                self._clear_if_dead()
                continue
            with os.fdopen(handle, "w") as file:
                file.write(self._owner())
            self._beat.start()
            return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._beat.join()
        self.path.unlink(missing_ok=True)

    @staticmethod
    def _owner() -> str:
        return json.dumps({"host": socket.gethostname(), "pid": os.getpid()})

    def _keep_beating(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            if self.path.exists():
                os.utime(self.path)

    def _clear_if_dead(self) -> None:
        try:
            age_seconds = time.time() - self.path.stat().st_mtime
            owner = json.loads(self.path.read_text() or "{}")
        except (FileNotFoundError, json.JSONDecodeError):
            return
        here = owner.get("host") == socket.gethostname()
        alive = process_lives(owner["pid"]) if here else age_seconds < STALE_SECONDS
        if alive:
            raise LockedError(
                f"{self.path.parent} is being written by process {owner.get('pid')} on {owner.get('host')} "
                f"(last heartbeat {age_seconds:.0f} s ago). Wait for it, or stop it and run again."
            )
        self.path.unlink(missing_ok=True)
