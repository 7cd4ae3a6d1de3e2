"""One writer at a time: long-lived processes that meet at a barrier and all ask for the lock of one folder.

    python bench/locks.py [--trials 10000] [--processes 4] [--quick] [--json]

Before a trial the lock file is left as one of six kinds of fault leaves it: none, torn, empty, of a dead process, of
another host, stale; in every seventh trial a process holds it and is killed. In a trial each process enters, counts
the writers by a lock that knows nothing of ours (a folder made and removed), waits a moment and leaves. Each trial must
have one writer at least, and never two at once. Then one writer enters as often, alone, while as many processes ask
without pause who writes: it must never be refused.
"""

import fcntl
import json
import multiprocessing as mp
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import Comparison, options, peak_rss_mb, say
from gristmill.corpus.errors import LockedError
from gristmill.corpus.store_use import is_written, written_by_none
from gristmill.corpus.writer_lock import WriterLock

HOLD_SECONDS = 0.0005  # longer than the barrier takes to let all go
LEFT = {
    "none": None,
    "torn": '{"host": "el',
    "empty": "",
    "dead": json.dumps({"host": socket.gethostname(), "pid": 2**22 - 1}),
    "same number": json.dumps({"host": socket.gethostname(), "pid": 1}),
    "elsewhere": json.dumps({"host": "elsewhere", "pid": 1}),
}


def leave(folder: Path, kind: str) -> None:
    """The lock file as it may be found; the killed holder's is made by a holder that is killed."""
    path = folder / "writer.lock"
    path.unlink(missing_ok=True)
    if kind == "killed":
        child = mp.get_context("fork").Process(target=_hold, args=(folder,))
        child.start()
        while not path.exists() or not path.read_text():
            time.sleep(0.0002)
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
    elif (text := LEFT[kind]) is not None:
        path.write_text(text)


def _hold(folder: Path) -> None:
    with WriterLock(folder):
        time.sleep(60)


def writers_in(folder: Path, trials: int, processes: int = 4) -> tuple[list[int], int]:
    """How many processes were writers in each trial, and in how many trials two were in at once."""
    context = mp.get_context("fork")
    start, end = context.Barrier(processes + 1), context.Barrier(processes + 1)
    counts = context.Array("i", trials)
    overlaps = context.Value("i", 0)
    args = (folder, trials, start, end, counts, overlaps)
    workers = [context.Process(target=_contend, args=args, daemon=True) for _ in range(processes)]
    for worker in workers:
        worker.start()
    kinds = [*LEFT, "killed"]
    for trial in range(trials):
        leave(folder, kinds[trial % len(kinds)])
        start.wait(60)
        end.wait(60)
    for worker in workers:
        worker.join()
    return counts[:], overlaps.value


def _contend(folder: Path, trials: int, start: Barrier, end: Barrier, counts, overlaps) -> None:
    inside = folder / "inside"
    for trial in range(trials):
        start.wait(60)
        try:
            with WriterLock(folder):
                try:
                    inside.mkdir()
                except FileExistsError:
                    with overlaps.get_lock():
                        overlaps.value += 1
                with counts.get_lock():
                    counts[trial] += 1
                time.sleep(HOLD_SECONDS)
                shutil.rmtree(inside, ignore_errors=True)
        except LockedError:
            pass
        except OSError:  # the file went away under its holder
            with overlaps.get_lock():
                overlaps.value += 1
        end.wait(60)


def refusals(folder: Path, trials: int, askers: int = 4, how: int = fcntl.LOCK_SH) -> int:
    """How often a writer was refused while processes ask, with that kind of lock, who writes."""
    context = mp.get_context("fork")
    ready = context.Barrier(askers + 1)
    asking = [context.Process(target=_ask, args=(folder, how, ready), daemon=True) for _ in range(askers)]
    for one in asking:
        one.start()
    ready.wait(60)
    refused = 0
    for _ in range(trials):
        try:
            with WriterLock(folder):
                pass
        except LockedError:
            refused += 1
    for one in asking:
        one.kill()
        one.join()
    return refused


def _ask(folder: Path, how: int, ready: Barrier) -> None:
    fcntl.LOCK_SH = how
    ready.wait(60)
    while True:
        is_written(folder)
        with written_by_none(folder):
            pass


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=4)
    arguments = parser.parse_args()
    trials = 500 if arguments.quick else arguments.trials
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        counts, overlaps = writers_in(Path(folder), trials, arguments.processes)
        seconds = time.perf_counter() - begin
        refused = refusals(Path(folder), trials, arguments.processes)
    missed = sum(count == 0 for count in counts)
    work = f"{trials:,} trials of {arguments.processes} processes on one lock"
    turns = f"{sum(counts):,} turns as writer in {seconds:.0f} s"
    say(row(work, "trials with two writers at once, or with none", overlaps + missed, turns), arguments.json)
    work = f"{trials:,} writers, one after the other, while {arguments.processes} processes ask who writes"
    say(row(work, "writers that were refused", refused, ""), arguments.json)


def row(work: str, unit: str, faults: int, note: str) -> Comparison:
    """A line of the table: none is right."""
    return Comparison(work, "none", "", unit, faults, None, None, "0", faults == 0, peak_rss_mb(), note=note)


if __name__ == "__main__":
    main()
