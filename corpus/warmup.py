"""Compiling kernels before they are needed, in processes side by side: numba compiles one function at a time in each.

A call does a stage's work once on a tiny input, so that every kernel is compiled for the types that it will see. What a
call has compiled is noted in the cache beside the kernels, and is not asked for again. Nothing here knows a room:
the caller, which knows the recipe, names the calls.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

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
    with ThreadPoolExecutor(processes) as pool:
        for done in as_completed([pool.submit(_make_aside, call) for call in missing]):
            done.result()
            shown.advance()


def _make_aside(call: Call) -> None:
    """Make a call in a new interpreter: a worker of multiprocessing would run the user's script a second time."""
    command = [sys.executable, "-m", "gristmill.corpus.warmup", call.function, *call.arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"compiling {call.function} {' '.join(call.arguments)} failed:\n{done.stderr}")


def kernel_cache() -> Path | None:
    """The folder of compiled kernels; None where none can be written."""
    import numba  # noqa: F401  the folder is named by it

    return cache_folder()


if __name__ == "__main__":
    Call(sys.argv[1], tuple(sys.argv[2:])).make()
