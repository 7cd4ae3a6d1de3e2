"""Progress of a run on standard error: bars on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Reporter(Protocol):
    """Hears how far a stage is."""

    def stage(self, name: str, total: int) -> "AbstractContextManager[StageProgress]":
        """A context in which parts of ``name`` are done."""
        ...

    def note(self, line: str) -> None:
        """Show one line that belongs to no stage."""
        ...


class StageProgress(Protocol):
    """One stage in progress."""

    def advance(self, note: str = "", done: int | None = None) -> None:
        """One more part, or step, is done; or ``done`` of them, where work goes on from the middle."""
        ...


class _Lines:
    """At most ten lines a stage, so that a log stays readable."""

    def __init__(self, name: str, total: int):
        self._name, self._total, self._done = name, total, 0

    def advance(self, note: str = "", done: int | None = None) -> None:
        self._done = self._done + 1 if done is None else done
        step = max(1, self._total // 10)
        if self._done % step == 0 or self._done == self._total:
            sys.stderr.write(f"{self._name:<11} {self._done}/{self._total} {note}\n")
            sys.stderr.flush()


class _Bar:
    def __init__(self, progress: Progress, name: str, total: int):
        self._progress, self._task = progress, progress.add_task(name, total=total, note="")

    def advance(self, note: str = "", done: int | None = None) -> None:
        if done is None:
            self._progress.update(self._task, advance=1, note=note)
        else:
            self._progress.update(self._task, completed=done, note=note)


class ConsoleReporter:
    """Bars when standard error is a terminal, lines when it is a file or a pipe."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)

    def note(self, line: str) -> None:
        """Write a line to standard error."""
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[StageProgress]:
        """Show progress of one stage until the context ends."""
        if not self._console.is_terminal:
            yield _Lines(name, total)
            return
        columns = (TextColumn("{task.description:<11}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, TextColumn("{task.fields[note]}"), console=self._console) as progress:
            yield _Bar(progress, name, total)


class SilentReporter:
    """Says nothing; for library use and tests."""

    def note(self, line: str) -> None:
        """Show nothing."""

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[StageProgress]:  # noqa: ARG002
        """Show nothing."""
        yield _Silence()


class _Silence:
    def advance(self, note: str = "", done: int | None = None) -> None:
        pass
