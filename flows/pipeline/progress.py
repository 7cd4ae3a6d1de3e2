"""Progress of a run on standard error: bars on a terminal, plain lines elsewhere.

Both move while a single part is worked on: a line at least every ten seconds on a pipe, a bar twice a second.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gristmill.flows.pipeline.pace import Pace

LINE_SECONDS, BAR_SECONDS = 10.0, 0.5


class Reporter(Protocol):
    """Hears how far a stage is."""

    def stage(self, name: str, total: int, n_bytes: int = 0) -> "AbstractContextManager[StageProgress]":
        """A context in which ``total`` parts of ``name`` are done, of so many bytes together; 0 = unknown."""
        ...

    def note(self, line: str) -> None:
        """Show one line that belongs to no stage."""
        ...


class StageProgress(Protocol):
    """One stage in progress."""

    def advance(self, note: str = "", done: int | None = None) -> None:
        """One more part, or step, is done; or ``done`` of them, where work goes on from the middle."""
        ...

    def part(self, n_bytes: int) -> AbstractContextManager[None]:
        """One part of so many bytes is worked on in this thread; what it counts is shown."""
        ...


class _Lines:
    """At most ten lines for the parts of a stage, so that a log stays readable; between them one every ten seconds."""

    def __init__(self, name: str, pace: Pace, every: float):
        self._name, self._pace, self._every = name, pace, every
        self._written = time.monotonic()
        self._lock = threading.RLock()  # parts end in several threads
        self.part = pace.part

    def advance(self, note: str = "", done: int | None = None) -> None:
        with self._lock:
            self._pace.ended = self._pace.ended + 1 if done is None else done
            done, total = self._pace.ended, self._pace.parts
            if done % -(-total // 10) == 0 or done == total:
                self._write(note)

    def tick(self) -> None:
        with self._lock:
            is_done = bool(self._pace.parts) and self._pace.ended == self._pace.parts
            if not is_done and time.monotonic() - self._written >= self._every:
                self._write(self._pace.text())

    def _write(self, text: str) -> None:
        parts = f"{self._pace.ended}/{self._pace.parts} " if self._pace.parts else ""
        sys.stderr.write(f"{self._name:<11} {parts}{text}".rstrip() + "\n")
        sys.stderr.flush()
        self._written = time.monotonic()


class _Bar:
    def __init__(self, progress: Progress, name: str, pace: Pace):
        self._pace, self._progress, self._note = pace, progress, ""
        self._task = progress.add_task(name, total=pace.parts or None, note="")
        self.part = pace.part

    def advance(self, note: str = "", done: int | None = None) -> None:
        self._pace.ended = self._pace.ended + 1 if done is None else done
        self._note = note
        self._progress.update(self._task, completed=self._pace.parts_done, note=note)

    def tick(self) -> None:
        note = ", ".join(text for text in (self._note, self._pace.text()) if text)
        self._progress.update(self._task, completed=self._pace.parts_done, note=note)


class ConsoleReporter:
    """Bars when standard error is a terminal, lines when it is a file or a pipe."""

    def __init__(self, console: Console | None = None, line_seconds: float = LINE_SECONDS):
        self._console = console or Console(stderr=True)
        self._line_seconds = line_seconds

    def note(self, line: str) -> None:
        """Write a line to standard error."""
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    @contextmanager
    def stage(self, name: str, total: int, n_bytes: int = 0) -> Iterator[StageProgress]:
        """Show progress of one stage until the context ends; one without parts only when it takes long."""
        pace = Pace(total, n_bytes)
        if not self._console.is_terminal:
            lines = _Lines(name, pace, self._line_seconds)
            with _ticking(lines.tick, self._line_seconds / 4):
                yield lines
            return
        columns = (TextColumn("{task.description:<11}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        note = TextColumn("{task.fields[note]}")
        with Progress(*columns, note, console=self._console, transient=not total) as progress:
            bar = _Bar(progress, name, pace)
            with _ticking(bar.tick, BAR_SECONDS):
                yield bar


@contextmanager
def _ticking(tick: Callable[[], None], every: float) -> Iterator[None]:
    """Call ``tick`` every so many seconds from a thread of its own, until the context ends."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(every):
            tick()

    thread = threading.Thread(target=run, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class SilentReporter:
    """Says nothing; for library use and tests."""

    def note(self, line: str) -> None:
        """Show nothing."""

    @contextmanager
    def stage(self, name: str, total: int, n_bytes: int = 0) -> Iterator[StageProgress]:  # noqa: ARG002
        """Show nothing."""
        yield _Silence()


class _Silence:
    def advance(self, note: str = "", done: int | None = None) -> None:
        pass

    def part(self, n_bytes: int) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()
