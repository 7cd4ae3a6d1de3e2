"""Faults, one after the other, against a small corpus with its trainer: tried, survived, reported.

    python bench/faults.py [--quick] [--only KIND,KIND] [--steps REGEX] [--share 1.0] [--seed 1] [--json]

A run is undisturbed once. Each trial then begins with an empty home (or with a whole one, for bits), meets one fault,
and is run again until it ends. Survived: every file of the home, but for what the clock measures, has the bytes of the
undisturbed one and verify passes. Reported: the run that met the fault ended with one sentence, or named what it healed
in its summary; a killed one can say nothing. A fault that ends in a traceback is not survived. Every trial is a fork of
a process that has imported everything and run nothing. ``--quick`` tries each kind a few times; ``--share`` takes part
of the trials of the long form; ``--steps`` kills at the kinds of step whose name has the expression, and at no others.
Where TMPDIR is a memory disk, flushes cost nothing and the trials take a third.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.flaky_s3

from bench.changed_inputs import CHANGES, Change, changed_inputs
from bench.fault_trial import Answer, Bench, Row, Steps, all_forked, forked, kill_at, kind_of, mill, without_drawing
from bench.flaky_s3 import BUCKET, serving, set_errors
from tests.flows.notes_corpus import SOURCES

PAGE_BYTES = 4096
ERRORS = 0.3
NIGHTS = 5  # runs that a flaky store gets to end


class Faults:
    """The kinds of fault; each method tries ``n`` and gives a row of the table."""

    def __init__(self, bench: Bench, steps: str = ""):
        self.bench, self.rng, self.wanted = bench, bench.rng, re.compile(steps)

    def kills(self, n: int) -> Row:
        """kill -9 before and after each kind of call that changes the disk: one step of each kind, drawn at random."""
        row, places = Row("kill -9 at a step"), self.steps
        for kind in sorted(self.rng.sample(sorted(places), min(n, len(places)))):
            self.bench.trial(row, kill_at(self.rng.choice(places[kind])))
        return row

    @cached_property
    def steps(self) -> dict[str, list[int]]:
        """Steps of the undisturbed run by kind."""
        found: dict[str, list[int]] = {}
        for place, kind in enumerate(self.bench.steps):
            if self.wanted.search(kind):
                found.setdefault(kind, []).append(place + 1)
        return found

    def random_kills(self, n: int) -> Row:
        """kill -9 at any moment."""
        row = Row("kill -9 at random")
        for _ in range(n):
            self.bench.trial(row, lambda: None, self.rng.uniform(0.02, 1.0) * self.bench.seconds)
        return row

    @cached_property
    def kinds(self) -> dict[str, list[str]]:
        """Files of the home by kind: ids and numbers are no kind."""
        found: dict[str, list[str]] = {}
        for path in sorted(path for path in self.bench.whole.rglob("*") if path.is_file() and path.stat().st_size):
            name = path.relative_to(self.bench.whole).as_posix()
            found.setdefault(kind_of(name), []).append(name)
        return found

    def bits(self, n: int) -> Row:
        """One bit of one file of each kind, under all names that the file has."""
        row, kinds = Row("bit flip"), self.kinds
        for kind in sorted(self.rng.sample(sorted(kinds), min(n, len(kinds)))):
            name, at, bit = self.rng.choice(kinds[kind]), self.rng.random(), 1 << self.rng.randrange(8)

            def flip(name: str = name, at: float = at, bit: int = bit) -> None:
                path = self.bench.home / name
                data = bytearray(path.read_bytes())
                data[int(at * len(data))] ^= bit
                with path.open("r+b") as file:
                    file.write(data)

            survived = row.survived
            self.bench.trial(row, flip, whole=True)
            if row.survived == survived:
                sys.stderr.write(f"  the bit was {bit} at {at:.3f} of {name}\n")
        return row

    def full_calls(self, n: int) -> Row:
        """No space left at one call, once."""
        row = Row("disk full at a call")

        def full(name: str) -> None:
            raise OSError(28, "No space left on device", name)

        for _ in range(n):
            self.bench.trial(row, Steps(self.rng.randrange(1, len(self.bench.steps), 2), full).install)
        return row

    def full_disks(self, n: int) -> Row:
        """A disk of its own that ends at any page, so that every write may be the one; then it is made larger."""
        row, bench = Row("disk full for good"), self.bench
        pages = sum(-(-path.stat().st_size // PAGE_BYTES) for path in bench.whole.rglob("*") if path.is_file())
        for at in sorted(self.rng.sample(range(8, pages), min(n, pages - 8))):
            bench.empty()
            bench.home.mkdir()
            if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={at * 4}k", "none", bench.home]).returncode:
                sys.stderr.write("disks of its own cannot be mounted here: no trial\n")
                break
            try:
                grow = ["mount", "-o", "remount,size=256m", bench.home]
                bench.judge(
                    row,
                    lambda: [forked(lambda: mill(bench.recipe, bench.home))],
                    lambda grow=grow: subprocess.run(grow, check=True) and None,
                )
            finally:
                subprocess.run(["umount", "-l", bench.home], check=True)
        return row

    def inputs(self, n: int) -> Row:
        """An input changes at a drawn byte of its reading, and back at a later one."""
        with tempfile.TemporaryDirectory() as folder:
            return changed_inputs(n, Path(folder), self.bench.seed)

    def inputs_of_runs(self, n: int) -> Row:
        """The same against whole runs."""
        row, path = Row("input changed in a run"), self.bench.folder / f"{SOURCES[0]}.jsonl"
        listed = path.read_bytes()
        for _ in range(n):
            self.bench.write_sources(self.rng.choice(["quern", "mall"]))  # of another length, and of the same
            other = path.read_bytes()
            self.bench.write_sources()
            begin, position = self.rng.randrange(len(listed)), self.rng.randrange(len(listed))
            change = Change(path, listed, other, self.rng.choice(CHANGES), begin, None, position, keeps_times=True)
            self.bench.empty()
            self.bench.judge(
                row, lambda change=change: [forked(lambda: self._changed(change))], self.bench.write_sources
            )
        return row

    def _changed(self, change: Change) -> Answer:
        found = mill(self.bench.recipe, self.bench.home, change.install)
        return found | ({} if change.done else {"traceback": "the file did not change"})

    def clocks(self, n: int) -> Row:
        """The clock jumps by years during the run, both ways."""
        row = Row("clock jumps")
        for _ in range(n):
            jumps, real = [self.rng.uniform(-3e8, 3e8) for _ in range(8)], time.time

            def jump(jumps: list[float] = jumps, real: Callable[[], float] = real) -> None:
                time.time = lambda: real() + jumps[int(real() * 10) % len(jumps)]

            self.bench.trial(row, jump)
        return row

    def races(self, n: int) -> Row:
        """Four runs of one recipe at once in one home; in every second trial one of them is killed."""
        row, bench = Row("four runs at once"), self.bench

        def work() -> Answer:
            return mill(bench.recipe, bench.home)

        for number in range(n):
            bench.empty()
            kill_after = self.rng.uniform(0.02, 1.0) * bench.seconds if number % 2 else None
            bench.judge(row, lambda kill_after=kill_after: all_forked([work] * 4, kill_after))
        return row


def s3_errors(n: int, seed: int) -> Row:
    """Inputs and store on an S3 where three of ten requests fail; a run that gives up is run again."""
    row = Row(f"{ERRORS:.0%} of S3 requests fail")
    with serving(seed) as url, tempfile.TemporaryDirectory() as folder:
        os.environ |= {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
        os.environ |= {"AWS_DEFAULT_REGION": "us-east-1"}
        bench, met = S3Bench(Path(folder), seed), 0
        for _ in range(n):
            bench.empty()
            set_errors(url, ERRORS)
            bench.judge(row, bench.nights)
            asked, lost = set_errors(url, 0.0)
            met += lost > 0
            row.met = met  # also where the client tried again by itself
            sys.stderr.write(f"{lost:,} of {asked:,} requests failed in {bench.runs} runs\n")
    return row


class S3Bench(Bench):
    """The same bench with inputs and store in a bucket."""

    def __init__(self, folder: Path, seed: int):
        self.runs = 0
        store = f'[store]\npath = "s3://{BUCKET}/store"\ncheck_space = false\n'
        super().__init__(folder, seed, f"s3://{BUCKET}/raw", store)

    def empty(self, *, whole: bool = False) -> None:
        super().empty(whole=whole)

        def clear(fs: Any) -> None:
            if fs.exists(f"{BUCKET}/store"):
                fs.rm(f"{BUCKET}/store", recursive=True)

        self._in_bucket(clear)

    def write_sources(self, word: str = "mill") -> None:
        super().write_sources(word)

        def put(fs: Any) -> None:
            for path in sorted(self.folder.glob("*.jsonl")):
                fs.put_file(str(path), f"{BUCKET}/raw/{path.name}")

        self._in_bucket(put)

    def _in_bucket(self, work: Callable[[Any], None]) -> None:
        """In a child: the library has threads, and this process forks."""

        def done() -> Answer:
            import fsspec

            work(fsspec.filesystem("s3"))
            return {"done": True}

        if forked(done) is None:
            raise SystemExit("the bucket cannot be written")

    def nights(self) -> list[Answer | None]:
        """Runs until one ends."""
        found: list[Answer | None] = []
        while len(found) < NIGHTS and not (found and found[-1] and found[-1]["ok"]):
            found.append(self.again())
        self.runs = len(found)
        return found


def rows(only: list[str], seed: int, size: Callable[[int, int], int], steps: str = "") -> Iterator[Row]:
    """The table, row by row; ``size`` is how often a kind is tried, by its quick and its long form."""
    with tempfile.TemporaryDirectory() as folder:
        faults = Faults(Bench(Path(folder), seed), steps) if only != ["s3"] else None
        table: dict[str, tuple[str, int, int]] = {
            "kills": ("kills", 6, len(faults.steps) if faults else 0),
            "random": ("random_kills", 4, 200),
            "bits": ("bits", 8, len(faults.kinds) if faults else 0),
            "full": ("full_calls", 4, 100),
            "disk": ("full_disks", 4, 200),
            "inputs": ("inputs", 20, 1000),
            "runs": ("inputs_of_runs", 2, 50),
            "clock": ("clocks", 2, 20),
            "races": ("races", 2, 20),
        }
        for kind in [name for name in only or table if name != "s3"]:
            name, *sizes = table[kind]
            yield getattr(faults, name)(size(*sizes))
    if "s3" in (only or ["s3"]):
        yield s3_errors(size(1, 10), seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--steps", default="")
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    import gristmill.flows.direct  # noqa: F401  imported once, before any fork

    without_drawing()

    def size(quick: int, long: int) -> int:
        return quick if options.quick else max(1, round(long * options.share))

    lost = 0
    for row in rows([name for name in options.only.split(",") if name], options.seed, size, options.steps):
        lost += row.tried - row.survived
        print(json.dumps(asdict(row)) if options.json else row.line, flush=True)
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
