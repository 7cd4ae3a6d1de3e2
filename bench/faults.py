"""Faults, one after the other, against a small corpus with its trainer: tried, survived, reported.

    python bench/faults.py [--quick] [--only kills,random,bits,full,inputs,clock] [--seed 1] [--json]

A run is undisturbed once. Each trial then begins with an empty home (or with a whole one, for bits), meets one fault,
and is run again until it ends. Survived: every file of the home, but for what the clock measures, has the bytes of the
undisturbed one and verify passes. Reported: the run that met the fault ended with one sentence, or named in its summary
what it healed; a killed one can say nothing. Every trial is a fork of a process that has imported everything and run
nothing. ``--quick`` tries each kind a few times; the long form every step that changes the disk, before and after.
"""

import argparse
import hashlib
import io
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

CALLS = ("fsync", "rename", "replace", "mkdir", "link", "unlink", "rmdir", "ftruncate")
MEASURED = {"report.json", "rates.json", "writer.lock", "verified.json", "in-use.lock", "timing.json", "latest.json"}
NOTE = "Note {n} of the {word} grinds on and on, [advert {n}] until agent {n} turned the wheel {turns} times."
RECIPE = """
name = "faults"
seed = 1
[[sources]]
name = "even"
path = "{folder}/even.jsonl"
domain = "notes"
[[sources]]
name = "odd"
path = "{folder}/odd.jsonl"
domain = "notes"
[tokenizer]
vocab_size = 300
[shards]
row_tokens = 32
heldout = 0.1
[[curriculum]]
until_tokens = "1K"
shares = {{ notes = 1.0 }}
[trainer]
batch_rows = 4
checkpoint_steps = 3
threads = 1
[trainer.model]
layers = 1
width = 16
heads = 2
experts = 2
expert_width = 16
[card]
[engine]
workers = 2
"""


@dataclass
class Row:
    """What came of one kind of fault."""

    fault: str
    tried: int = 0
    met: int = 0  # trials in which it happened: a kill may come too late
    survived: int = 0
    reported: int = 0
    seconds: float = 0.0


def write_inputs(folder: Path, word: str = "mill") -> None:
    for parity, name in enumerate(("even", "odd")):
        notes = [NOTE.format(n=n, word=word, turns=n * n) for n in range(parity, 120, 2)]
        (folder / f"{name}.jsonl").write_text(
            "".join(json.dumps({"id": f"n{i}", "text": t}) + "\n" for i, t in enumerate(notes))
        )


def contents(home: Path) -> dict[str, str]:
    """sha256 of every file that no clock decides."""
    found = {}
    for path in sorted(path for path in home.rglob("*") if path.is_file() and path.name not in MEASURED):
        name = path.relative_to(home).as_posix()
        if re.search(r"train/|state\.json$", name) and not name.endswith(".safetensors") and "shards" not in name:
            continue  # seconds and times stand in them; weights are compared
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def forked(work: Callable[[], dict[str, Any]], kill_after: float | None = None) -> dict[str, Any] | None:
    """What ``work`` returns in a child; None where it was killed."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        with os.fdopen(write, "w") as out, Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), 2)
            out.write(json.dumps(work()))
        os._exit(0)
    os.close(write)
    if kill_after is not None:
        threading.Timer(kill_after, lambda: os.kill(child, signal.SIGKILL)).start()
    with os.fdopen(read) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else None


def mill(recipe: Path, home: Path, before: Callable[[], Any] = lambda: None) -> dict[str, Any]:
    """Run the recipe; the outcome is a sentence, or what was healed."""
    from gristmill.corpus.disk import disk_problem
    from gristmill.corpus.errors import GristmillError
    from gristmill.flows.direct import refine_directly

    os.environ["GRISTMILL_HOME"] = str(home)
    os.chdir(recipe.parent)
    before()
    try:
        result = refine_directly(recipe)
        return {"ok": result["verified"], "healed": result["healed"], "failed": result["failed"]}
    except GristmillError as error:
        return {"ok": False, "sentence": str(error)}
    except OSError as error:
        return {"ok": False, "sentence": disk_problem(error)}


def at_call(place: int, act: Callable[[str], None]) -> Callable[[], None]:
    """Before or after the call of this number that changes the disk, ``act`` is done; writes to files count too."""

    def install() -> None:
        done = 0

        def counted(real: Any, writes: Callable[..., bool]) -> Any:
            def call(*arguments: Any, **options: Any) -> Any:
                nonlocal done
                if not writes(*arguments, **options):
                    return real(*arguments, **options)
                done += 1
                if done == place:
                    act(str(arguments[0]))
                result = real(*arguments, **options)
                done += 1
                if done == place:
                    act(str(arguments[0]))
                return result

            return call

        for name in CALLS:
            setattr(os, name, counted(getattr(os, name), lambda *_, **__: True))
        io.open = counted(io.open, lambda _, mode="r", *__, **___: "w" in mode)

    return install


def kill(_: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def full(name: str) -> None:
    raise OSError(28, "No space left on device", name)


class Bench:
    """The undisturbed run, and trials against it."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.rng = folder, random.Random(seed)
        self.recipe = folder / "faults.toml"
        self.recipe.write_text(RECIPE.format(folder=folder))
        write_inputs(folder)
        self.whole, self.home = folder / "whole", folder / "home"
        begin = time.perf_counter()
        found = forked(lambda: mill(self.recipe, self.whole))
        self.seconds = time.perf_counter() - begin
        if not found or not found["ok"]:
            raise SystemExit(f"the undisturbed run: {found}")
        self.want = contents(self.whole)

    def trial(
        self, row: Row, before: Callable[[], Any], kill_after: float | None = None, *, whole: bool = False
    ) -> None:
        """One fault, then the run again."""
        begin = time.perf_counter()
        shutil.rmtree(self.home, ignore_errors=True)
        if whole:
            os.system(f"cp -a {self.whole} {self.home}")
        first = forked(lambda: mill(self.recipe, self.home, before), kill_after)
        write_inputs(self.folder)
        row.tried += 1
        row.met += first is None or not first["ok"] or bool(first["healed"])
        row.reported += first is not None and bool(first.get("sentence") or first.get("healed"))
        last = first if first and first["ok"] else forked(lambda: mill(self.recipe, self.home))
        equal = contents(self.home) == self.want
        if not (last and last["ok"] and equal):
            now = contents(self.home)
            wrong = sorted(name for name in now.keys() | self.want.keys() if now.get(name) != self.want.get(name))
            sys.stderr.write(f"{row.fault}: {first} {last} {wrong[:6]}\n")
        row.survived += bool(last and last["ok"] and equal)
        row.seconds += time.perf_counter() - begin

    def kills(self, n: int | None) -> Row:
        """kill -9 before and after each call that changes the disk; a sample of ``n`` of them."""
        row, last = Row("kill -9 at a step"), 1
        while later := self._killed_at(last):
            last = later
        places = range(1, last) if n is None else sorted(self.rng.sample(range(1, last), min(n, last - 1)))
        for place in places:
            self.trial(row, at_call(place, kill))
        return row

    def _killed_at(self, place: int) -> int:
        """Twice the place while a kill there is met; 0 where the run ends before it."""
        shutil.rmtree(self.home, ignore_errors=True)
        return place * 2 if forked(lambda: mill(self.recipe, self.home, at_call(place, kill))) is None else 0

    def random_kills(self, n: int) -> Row:
        """kill -9 at any moment."""
        row = Row("kill -9 at random")
        for _ in range(n):
            self.trial(row, lambda: None, self.rng.uniform(0.05, 1.0) * self.seconds)
        return row

    def bits(self, n: int | None) -> Row:
        """One bit of one file of each kind, under all names that the file has."""
        row = Row("bit flip")
        kinds: dict[str, list[str]] = {}
        for name in contents(self.whole):
            kind = re.sub(r"[0-9a-f]{16,32}", "ID", re.sub(r"\d{5}-of-\d{5}", "N", name))
            kinds.setdefault(kind, []).append(name)
        chosen = sorted(kinds) if n is None else sorted(self.rng.sample(sorted(kinds), n))
        for kind in chosen:
            name, at, bit = self.rng.choice(kinds[kind]), self.rng.random(), 1 << self.rng.randrange(8)

            def flip(name: str = name, at: float = at, bit: int = bit) -> None:
                path = self.home / name
                data = bytearray(path.read_bytes())
                if data:
                    data[int(at * len(data))] ^= bit
                    with path.open("r+b") as file:
                        file.write(data)

            self.trial(row, flip, whole=True)
        return row

    def full_disks(self, n: int) -> Row:
        """No space left at one call."""
        row = Row("disk full")
        for _ in range(n):
            self.trial(row, at_call(2 * self.rng.randrange(1, 200) + 1, full))
        return row

    def inputs(self, n: int) -> Row:
        """Another text in an input at some moment between its listing and the end, and back at another."""
        row = Row("input changed while read")
        for _ in range(n):
            moments = sorted(self.rng.uniform(0, 0.6) * self.seconds for _ in range(2))

            def change(moments: list[float] = moments) -> None:
                threading.Timer(moments[0], lambda: write_inputs(self.folder, "quern")).start()
                threading.Timer(moments[1], lambda: write_inputs(self.folder)).start()

            self._changed(row, change)
        return row

    def _changed(self, row: Row, change: Callable[[], None]) -> None:
        """Runs of the other text are runs of their own; no entry of either may hold the other's."""
        shutil.rmtree(self.home, ignore_errors=True)
        begin = time.perf_counter()
        first = forked(lambda: mill(self.recipe, self.home, change))
        write_inputs(self.folder)
        last = forked(lambda: mill(self.recipe, self.home))
        row.tried += 1
        row.met += first is None or not first["ok"]
        row.reported += first is not None and bool(first.get("sentence"))
        now = contents(self.home)
        row.survived += bool(last and last["ok"] and all(now.get(name) == sha for name, sha in self.want.items()))
        row.seconds += time.perf_counter() - begin

    def clocks(self, n: int) -> Row:
        """The clock jumps by years during the run, both ways."""
        row = Row("clock jumps")
        for _ in range(n):
            jumps, real = [self.rng.uniform(-3e8, 3e8) for _ in range(8)], time.time

            def jump(jumps: list[float] = jumps, real: Callable[[], float] = real) -> None:
                time.time = lambda: real() + jumps[int(real() * 10) % len(jumps)]

            self.trial(row, jump)
        return row


def rows(bench: Bench, only: list[str], *, quick: bool) -> Iterator[Row]:
    """The table, row by row."""
    kinds: dict[str, Callable[[], Row]] = {
        "kills": lambda: bench.kills(6 if quick else None),
        "random": lambda: bench.random_kills(4 if quick else 200),
        "bits": lambda: bench.bits(8 if quick else None),
        "full": lambda: bench.full_disks(4 if quick else 100),
        "inputs": lambda: bench.inputs(4 if quick else 1000),
        "clock": lambda: bench.clocks(1 if quick else 20),
    }
    return (kinds[name]() for name in only or kinds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    import gristmill.flows.direct  # noqa: F401  imported once, before any fork

    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.seed)
        lost = 0
        for row in rows(bench, [name for name in options.only.split(",") if name], quick=options.quick):
            lost += row.tried - row.survived
            if options.json:
                print(json.dumps(asdict(row)), flush=True)
            else:
                print(
                    f"{row.fault:26} tried {row.tried:5}  met {row.met:5}  survived {row.survived:5}  "
                    f"reported {row.reported:5}  {row.seconds:.0f} s",
                    flush=True,
                )
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
