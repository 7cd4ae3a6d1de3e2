"""Compiling kernels before they are needed, in processes side by side: numba compiles one function at a time in each.

A call does a stage's work once on a tiny input, so that every kernel is compiled for the types that it will see. What a
call has compiled is noted in the cache beside the kernels, and is not asked for again. Nothing here knows a room:
the caller, which knows the recipe, names the calls.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TextIO

from gristmill.corpus._jit import cache_folder
from gristmill.corpus.files import content_key

NOTES = "warm"


@dataclass(frozen=True, slots=True)
class Call:
    """``function``, ``"module:name"``, called with ``arguments``; importable in a new process."""

    function: str
    arguments: tuple[str, ...] = ()

    def make(self) -> None:
        """Do the work, then note that it is done."""
        module, _, name = self.function.partition(":")
        getattr(import_module(module), name)(*self.arguments)
        if note := self._note():
            note.parent.mkdir(exist_ok=True)
            note.touch()

    def is_made(self) -> bool:
        """Whether the cache has what this call compiles."""
        note = self._note()
        return note is not None and note.exists()

    def _note(self) -> Path | None:
        folder = kernel_cache()
        return folder / NOTES / content_key([self.function, *self.arguments]) if folder else None


class Progress(Protocol):
    """Hears of every call that ends."""

    def advance(self, note: str = "") -> None:
        """One more call is made."""
        ...


class _Unheard:
    def advance(self, note: str = "") -> None:
        pass


def _unheard(n_calls: int) -> AbstractContextManager[Progress]:  # noqa: ARG001
    return nullcontext(_Unheard())


def warm(
    calls: Sequence[Call],
    say: Callable[[str], None],
    workers: int = 0,
    progress: Callable[[int], AbstractContextManager[Progress]] = _unheard,
) -> Sequence[Call]:
    """Compile what ``calls`` need and the cache lacks.

    Parameters
    ----------
    calls : the longest first, so that no process is left with it at the end
    say : is given one line when there is something to compile
    workers : processes at most; 0 = all cores. One process, or one call, is this process
    progress : is given the number of calls; its context is open while they are made

    Returns
    -------
    the calls that were made

    Raises
    ------
    whatever a call raises; the others are still made
    """
    missing = not_made(calls)
    if not missing:
        return []
    processes = min(workers or os.cpu_count() or 1, len(missing))
    beside = f" in {processes} processes" if processes > 1 else ""
    kept = kernel_cache() or "nowhere: no folder for them can be written"
    say(f"compiling the kernels of {len(missing)} stages{beside}, once for this version and CPU; kept in {kept}")
    with progress(len(missing)) as shown:
        _make(missing, processes, shown)
    return missing


def not_made(calls: Sequence[Call]) -> list[Call]:
    """Those whose kernels the cache lacks, each once."""
    return [call for call in dict.fromkeys(calls) if not call.is_made()]


def _make(missing: Sequence[Call], processes: int, shown: Progress) -> None:
    if processes == 1:
        for call in missing:
            call.make()
            shown.advance()
        return
    left = deque(missing)
    with ThreadPoolExecutor(processes) as pool:
        for worked in [pool.submit(_work, left, shown) for _ in range(processes)]:
            worked.result()


def _work(left: deque[Call], shown: Progress) -> None:
    """Have one process after the other make calls until none is left; the first that failed is raised then."""
    failed: list[RuntimeError] = []
    with ExitStack() as started:
        worker = None
        for call in _taken(left):
            worker = worker or started.enter_context(_Worker())
            if error := worker.make(call):
                failed.append(RuntimeError(f"compiling {call.function} {' '.join(call.arguments)} failed:\n{error}"))
            worker = worker if worker.lives else None
            shown.advance()
    if failed:
        raise failed[0]


def _taken(left: deque[Call]) -> Iterator[Call]:
    """Calls until none is left; other threads take theirs while a process is started for this one."""
    with suppress(IndexError):
        while True:
            yield left.popleft()


class _Worker:
    """A new interpreter that makes one call after the other: to start one costs 2 CPU seconds of imports.

    No worker of multiprocessing, which would run the user's script a second time.
    """

    def __enter__(self) -> "_Worker":
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        command = [sys.executable, "-m", "gristmill.corpus.warmup"]
        self._errors = tempfile.TemporaryFile("w+")
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors, "text": True}
        self._process = subprocess.Popen(command, env=environment, **pipes)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._errors.close()

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def make(self, call: Call) -> str:
        """What went wrong, or nothing."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps([call.function, call.arguments]) + "\n")
            self._process.stdin.flush()
            if answer := self._process.stdout.readline():
                return json.loads(answer)
        except BrokenPipeError:
            pass
        self._process.wait()
        self._errors.seek(0)
        return f"{self._errors.read()}the process ended with status {self._process.returncode}"


def serve(requests: TextIO, answers: TextIO) -> None:
    """Make the calls that come in, a line each; answer each with what went wrong, or with nothing."""
    for line in requests:
        function, arguments = json.loads(line)
        error = ""
        try:
            Call(function, tuple(arguments)).make()
        except Exception:  # noqa: BLE001  whatever a stage raises is reported by the caller
            error = traceback.format_exc()
        answers.write(json.dumps(error) + "\n")
        answers.flush()


def kernel_cache() -> Path | None:
    """The folder of compiled kernels; None where none can be written."""
    import numba  # noqa: F401  the folder is named by it

    return cache_folder()


if __name__ == "__main__":
    gc.set_threshold(200_000)  # compiling makes many objects that live: 6.8 CPU s in place of 7.8 for three stages
    answered = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a stage prints is no answer
    serve(sys.stdin, answered)
