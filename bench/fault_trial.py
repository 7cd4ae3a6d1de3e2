"""One trial of bench/faults.py: a fork of a process that has imported everything, one fault, and the run again."""

import hashlib
import importlib
import io
import json
import os
import random
import re
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for tests

from tests.flows.notes_corpus import MEASURED, RECIPE, TRAINER, write_sources

NOTES = 120
SHOWN_EVERY = 20
CALLS = ("fsync", "rename", "replace", "mkdir", "link", "unlink", "rmdir", "ftruncate")
NO_CONTENT = MEASURED | {"in-use.lock", "latest.json"}
Answer = dict[str, Any]
Wait = Callable[[], None]


@dataclass
class Row:
    """What came of one kind of fault."""

    fault: str
    tried: int = 0
    met: int = 0  # trials in which it happened: a kill may come too late
    survived: int = 0
    reported: int = 0
    seconds: float = 0.0

    @property
    def line(self) -> str:
        figures = f"tried {self.tried:5}  met {self.met:5}  survived {self.survived:5}  reported {self.reported:5}"
        return f"{self.fault:26} {figures}  {self.seconds:.0f} s"


def contents(home: Path) -> dict[str, str]:
    """sha256 of every file that no clock decides."""
    found = {}
    for path in sorted(path for path in home.rglob("*") if path.is_file() and path.name not in NO_CONTENT):
        name = path.relative_to(home).as_posix()
        if re.search(r"train/|state\.json$", name) and not name.endswith(".safetensors") and "shards" not in name:
            continue  # seconds and times stand in them; weights are compared
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def emptied(home: Path) -> None:
    """A home that is not there."""
    shutil.rmtree(home, ignore_errors=True)


def forked(work: Callable[[], Answer], kill_after: float | None = None) -> Answer | None:
    """What ``work`` returns in a child; None where it was killed."""
    return all_forked([work], kill_after)[0]


def all_forked(works: list[Callable[[], Answer]], kill_after: float | None = None) -> list[Answer | None]:
    """The same for several children at once; the first is the one that is killed."""
    children = [_fork(work) for work in works]
    if kill_after is not None:
        timer = threading.Timer(kill_after, _kill, [children[0][0]])
        timer.start()
    answers: list[Answer | None] = []
    for child, read in children:
        with os.fdopen(read) as answer:
            text = answer.read()
        if kill_after is not None and child == children[0][0]:
            timer.cancel()
        os.waitpid(child, 0)
        answers.append(json.loads(text) if text else None)
    return answers


def import_all(modules: Iterable[str]) -> None:
    """Import what an undisturbed run has imported, so that every trial has it from its beginning."""
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)


def without_drawing() -> None:
    """In this process and its forks no figure is drawn and no machine is timed: half of a run, and nothing of it lasts.

    The figures are files all the same, and cards and pages hold them.
    """
    from gristmill.data_cards import figures
    from gristmill.flows.pipeline import estimate

    def empty_figure(_draw: Any, _shown: Any, name: str) -> str:
        return f'<svg class="figure" role="img" aria-label="{name}"></svg>'

    figures.svg_text = empty_figure
    estimate.calibrate = lambda: 1.0


def _kill(child: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


def _fork(work: Callable[[], Answer]) -> tuple[int, int]:
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        return child, read
    os.close(read)
    with os.fdopen(write, "w") as out, Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 2)
        out.write(json.dumps(work()))
    os._exit(0)


def mill(recipe: Path, home: Path, before: Callable[[], Any] = lambda: None, until: str | None = None) -> Answer:
    """Run the recipe; the outcome is a sentence, or what was healed. A traceback is no sentence."""
    from gristmill.corpus.disk import disk_problem
    from gristmill.corpus.errors import GristmillError
    from gristmill.flows.direct import refine_directly

    os.environ["GRISTMILL_HOME"] = str(home)
    os.chdir(recipe.parent)
    try:
        before()
        result = refine_directly(recipe, until)
        return {"ok": result.get("verified", True), "healed": result.get("healed", []), "failed": result.get("failed")}
    except GristmillError as error:
        return {"ok": False, "sentence": str(error)}
    except OSError as error:
        return {"ok": False, "sentence": disk_problem(error), "traceback": traceback.format_exc()}
    except BaseException:  # noqa: BLE001  it is reported as what it is: not foreseen
        return {"ok": False, "traceback": traceback.format_exc()}


def kind_of(name: str) -> str:
    """The kind of a file of a home: ids, numbers of parts and of processes are left out."""
    short = re.sub(r"[0-9a-f]{32}|[0-9a-f]{16}", "ID", re.sub(r"\d{5}-of-\d{5}|\d{9}", "N", name))
    return re.sub(r"\.\d+\.tmp", ".N.tmp", re.sub(r".*/(home|whole)/", "", short))


class Steps:
    """Counts the calls of this process that change the disk, once before and once after; at one of them, it acts."""

    def __init__(self, place: int = 0, act: Callable[[str], None] = lambda _: None):
        self.place, self.act, self.done = place, act, 0
        self.kinds: list[str] = []  # of every step: before or after, the call, and the kind of its file
        self._guard = threading.Lock()

    def install(self) -> None:
        """Writes to files through Python count too."""
        for name in CALLS:
            setattr(os, name, self._counted(getattr(os, name), lambda *_, **__: True))
        io.open = self._counted(io.open, lambda _, mode="r", *__, **___: "w" in mode)

    def _counted(self, real: Any, writes: Callable[..., bool]) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if not writes(*arguments, **options):
                return real(*arguments, **options)
            what = f"{real.__name__} {kind_of(str(arguments[0]))}"
            self._step(str(arguments[0]), f"before {what}")
            result = real(*arguments, **options)
            self._step(str(arguments[0]), f"after {what}")
            return result

        return call

    def _step(self, name: str, kind: str) -> None:
        with self._guard:
            self.done += 1
            self.kinds.append(kind)
            here = self.done == self.place
        if here:
            self.act(name)


def kill_at(place: int) -> Callable[[], None]:
    """kill -9 at the step of this number."""
    return Steps(place, lambda _: os.kill(os.getpid(), signal.SIGKILL)).install


class Bench:
    """The undisturbed run, and trials against it.

    ``sources`` is the folder or address that the recipe reads from, ``extra`` stands in the recipe.
    """

    def __init__(self, folder: Path, seed: int, sources: str = "", extra: str = ""):
        self.folder, self.seed, self.rng = folder, seed, random.Random(seed)
        self.recipe = folder / "faults.toml"
        space = "[store]\ncheck_space = false\n"
        recipe = RECIPE.format(folder=sources or folder, plugins="[]", extra=extra or space)
        self.recipe.write_text(recipe + TRAINER.format(batch_rows=4, extra="checkpoint_steps = 3") + "[card]\n")
        self.write_sources()
        self.whole, self.home = folder / "whole", folder / "home"
        import_all(self._undisturbed(self.whole)["modules"])
        self.want = contents(self.whole)
        begin = time.perf_counter()
        self.steps: list[str] = self._undisturbed(self.home)["steps"]
        self.seconds = time.perf_counter() - begin
        if (now := contents(self.home)) != self.want:
            raise SystemExit(f"two undisturbed runs differ: {self.differing(now)}")

    def _undisturbed(self, home: Path) -> Answer:
        def work() -> Answer:
            counter = Steps()
            found = mill(self.recipe, home, counter.install)
            return {**found, "steps": counter.kinds, "modules": sorted(sys.modules)}

        found = forked(work)
        if not found or not found["ok"]:
            raise SystemExit(f"the undisturbed run: {found}")
        return found

    def write_sources(self, word: str = "mill") -> None:
        write_sources(self.folder, notes=NOTES, word=word)

    def again(self) -> Answer | None:
        """The run without a fault, in the home as it is."""
        return forked(lambda: mill(self.recipe, self.home))

    def empty(self, *, whole: bool = False) -> None:
        """A new home, or a copy of the undisturbed one with its hard links."""
        emptied(self.home)
        if whole:
            os.system(f"cp -a {self.whole} {self.home}")

    def trial(self, row: Row, before: Wait, kill_after: float | None = None, *, whole: bool = False) -> None:
        """One fault, then the run again."""
        self.empty(whole=whole)
        self.judge(row, lambda: [forked(lambda: mill(self.recipe, self.home, before), kill_after)])

    def judge(self, row: Row, disturbed: Callable[[], list[Answer | None]], room: Wait = lambda: None) -> None:
        """Count one trial: what was disturbed, then ``room`` for the run to go on, then its end against what it was."""
        begin = time.perf_counter()
        firsts = disturbed()
        room()
        row.tried += 1
        row.met += any(first is None or not first["ok"] or bool(first["healed"]) for first in firsts)
        told = [first for first in firsts if first is not None]
        row.reported += any(bool(one.get("sentence") or one.get("healed") or one.get("failed")) for one in told)
        last = next((first for first in told if first["ok"]), None) or self.again()
        now = contents(self.home)
        whole = bool(last and last["ok"] and now == self.want)
        crashes = [first["traceback"] for first in told if not first.get("sentence") and first.get("traceback")]
        if not whole or crashes:
            sys.stderr.write(f"{row.fault}: {firsts} {last} {self.differing(now)[:6]}\n")
            sys.stderr.writelines(crashes)
        row.survived += whole and not crashes
        row.seconds += time.perf_counter() - begin
        if row.tried % SHOWN_EVERY == 0:
            sys.stderr.write(row.line + "\n")

    def differing(self, now: dict[str, str]) -> list[str]:
        """Files that are not those of the undisturbed run."""
        return sorted(name for name in now.keys() | self.want.keys() if now.get(name) != self.want.get(name))
