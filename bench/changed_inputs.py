"""Inputs that change while a run reads them: at a drawn byte of the reading, to a drawn other content, and back later.

A change is made by the read itself: a file that is read gives its bytes up to the drawn one, changes, and goes on. So
every change falls between listing and last read, and is counted only where the run says that it was made. There is a
file of each kind of reading (lines, members of gzip, pages of Parquet and Arrow, rows, plain text), each of several
blocks; the stage ``documents`` alone reads inputs, so the trials end with it.
"""

import base64
import gzip
import io
import json
import os
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.fault_trial import SHOWN_EVERY, Answer, Row, contents, emptied, forked, import_all, mill

RECORDS = 60
RECORD_BYTES = 24_000
FILES = ("lines.jsonl", "packed.jsonl.gz", "table.parquet", "table.arrow", "rows.csv", "text.txt")
CHANGES = ("byte", "rewritten", "torn", "cut", "grown", "replaced", "deleted")
STILL = "still.jsonl"
UNTIL = "documents"
SOURCE = '[[sources]]\nname = "{stem}"\npath = "{path}"\ndomain = "notes"\n'
RECIPE = 'name = "changed"\nseed = 1\n{sources}[store]\ncheck_space = false\n'


def encoded(name: str, seed: int) -> bytes:
    """A file of the kind that its name says; another seed gives other texts of the same length."""
    rng = random.Random(f"{name} {seed}")
    texts = [base64.b64encode(rng.randbytes(RECORD_BYTES)).decode() for _ in range(RECORDS)]
    table, sink = pa.table({"text": texts}), io.BytesIO()
    if name.endswith(".parquet"):
        pq.write_table(table, sink, row_group_size=RECORDS // 4, compression="none", use_dictionary=False)
    elif name.endswith(".arrow"):
        with pa.ipc.new_file(sink, table.schema) as out:
            out.write_table(table, max_chunksize=RECORDS // 4)
    elif name.endswith(".csv"):
        sink.write(("text\n" + "".join(f"{text}\n" for text in texts)).encode())
    elif name.endswith(".txt"):
        sink.write("\n".join(texts).encode())
    else:
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
        sink.write(gzip.compress(lines, 1, mtime=0) if name.endswith(".gz") else lines)
    return sink.getvalue()


@dataclass
class Change:
    """One change of one file: where in its reading, to what, and when it is put back; None: after the run."""

    path: Path
    listed: bytes
    other: bytes
    kind: str
    begin: int  # bytes of the file that were read before it changes
    back: int | None
    position: int  # of what changes
    keeps_times: bool
    read: int = 0
    done: list[str] = field(default_factory=list)

    def install(self) -> None:
        """In this process, which reads the file from now on through the change."""
        from gristmill.sources import checked_file

        real = checked_file.open_binary

        def opened(path: str) -> BinaryIO:
            mine = Path(path).name == self.path.name
            return _Read(self, self.path) if mine and self.path.exists() else real(path)  # type: ignore[return-value]

        checked_file.open_binary = opened

    def before(self, size: int) -> int:
        """Act where a moment has come; how many of ``size`` bytes may be read until the next one comes."""
        moments = [("changed", self.begin, self.make)] + ([("back", self.back, self.undo)] if self.back else [])
        for name, at, act in moments:
            if name not in self.done and self.read >= at:
                act()
                self.done.append(name)
        ahead = [at - self.read for name, at, _ in moments if name not in self.done]
        return min([size, *ahead])

    def make(self) -> None:
        """Change the file."""
        times = self.path.stat()
        aside = self.path.with_name(f".{self.path.name}.aside")
        if self.kind == "deleted":
            return self.path.unlink()
        if self.kind == "replaced":
            aside.write_bytes(self.other)
            aside.replace(self.path)
        else:
            self._write(self.content)
        if self.keeps_times:
            os.utime(self.path, ns=(times.st_atime_ns, times.st_mtime_ns))
        return None

    @property
    def content(self) -> bytes:
        """What the file holds then; nothing where it is deleted."""
        at, old, new = self.position, self.listed, self.other
        made = {
            "byte": lambda: old[:at] + bytes([old[at] ^ 1]) + old[at + 1 :],
            "rewritten": lambda: new,
            "torn": lambda: new[:at] + old[at:],  # a writer that has come so far
            "cut": lambda: old[:at],
            "grown": lambda: old + new[:at],
            "replaced": lambda: new,
            "deleted": lambda: b"",
        }
        return made[self.kind]()

    def undo(self) -> None:
        """As it was listed."""
        self._write(self.listed)

    def _write(self, data: bytes) -> None:
        """In place: who has the file open sees it."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT)
        os.pwrite(handle, data, 0)
        os.ftruncate(handle, len(data))
        os.close(handle)


class _Read:
    """The file, whose reading makes the change."""

    def __init__(self, change: Change, path: Path):
        change.before(0)
        self._change, self._file = change, path.open("rb", buffering=0)

    def seek(self, at: int) -> int:
        return self._file.seek(at)

    def readinto(self, view: memoryview) -> int:
        got = self._file.readinto(view[: self._change.before(len(view))]) or 0
        self._change.read += got
        return got

    def close(self) -> None:
        self._file.close()


class ChangedInputs:
    """A corpus of one file that changes and one that does not, its undisturbed run, and trials against it."""

    def __init__(self, folder: Path, name: str, seed: int):
        self.folder, self.name, self.rng = folder, name, random.Random(f"{name} {seed}")
        self.home, self.recipe, self.path = folder / "home", folder / "changed.toml", folder / name
        self.listed, self.other = encoded(name, 0), encoded(name, 1)
        (folder / STILL).write_text(json.dumps({"text": "Nothing of this changes."}) + "\n")
        sources = "".join(SOURCE.format(stem=path.stem, path=path) for path in (self.path, folder / STILL))
        self.recipe.write_text(RECIPE.format(sources=sources))
        self.restore()
        self.want = self._undisturbed(folder / "whole")
        self.read = self._bytes_read()

    def restore(self) -> None:
        """The input as it was listed."""
        self.path.write_bytes(self.listed)

    def _undisturbed(self, home: Path) -> dict[str, str]:
        found = forked(lambda: mill(self.recipe, home, until=UNTIL) | {"modules": sorted(sys.modules)})
        if not found or not found["ok"]:
            raise SystemExit(f"the undisturbed run: {found}")
        import_all(found["modules"])
        return contents(home)

    def _bytes_read(self) -> int:
        """How many bytes of the file a run reads, over all its readings."""
        change = self.change("byte", sys.maxsize, None)

        def work() -> Answer:
            mill(self.recipe, self.home, change.install, UNTIL)
            return {"read": change.read}

        emptied(self.home)
        found = forked(work)
        if not found or found["read"] < len(self.listed):
            raise SystemExit(f"{self.name}: the undisturbed run read {found}")
        return found["read"]

    def change(self, kind: str, begin: int, back: int | None) -> Change:
        """A change of the input."""
        position = self.rng.randrange(min(len(self.listed), len(self.other)))
        keeps_times = self.rng.random() < 0.5
        return Change(self.path, self.listed, self.other, kind, begin, back, position, keeps_times)

    def trial(self, row: Row) -> None:
        """One change; then the run again, with the file put back or, in one trial of five, as it is now."""
        started, kind, at = time.perf_counter(), self.rng.choice(CHANGES), self.rng.randrange(self.read)
        back = self.rng.randrange(at, self.read) + 1 if self.rng.random() < 0.5 else None
        change = self.change(kind, at, back)

        def work() -> Answer:
            return mill(self.recipe, self.home, change.install, UNTIL) | {"done": change.done}

        emptied(self.home)
        first = forked(work) or {}
        stays = back is None and kind != "deleted" and self.rng.random() < 0.4
        problem = self._problem(first) or (self._as_it_is() if stays else self._put_back())
        struck = "changed" in first.get("done", [])
        row.tried += 1
        row.met += struck
        row.reported += struck and not first.get("ok")
        row.survived += not problem
        row.seconds += time.perf_counter() - started
        if problem:
            sys.stderr.write(f"{kind} of {self.name} at {at}, back at {back}, {stays=}: {problem}\n  {first}\n")
        self.restore()

    def _problem(self, first: Answer) -> str:
        """A run that does not end well names the file, and is no traceback."""
        if first.get("ok"):
            return ""
        sentence = first.get("sentence") or ""
        return "" if self.name in sentence and "traceback" not in first else "no sentence that names the file"

    def _put_back(self) -> str:
        self.restore()
        last, now = forked(lambda: mill(self.recipe, self.home, until=UNTIL)), contents(self.home)
        lost = [name for name in now.keys() | self.want.keys() if now.get(name) != self.want.get(name)]
        return "" if last and last["ok"] and not lost else f"after it was put back: {last} {sorted(lost)[:5]}"

    def _as_it_is(self) -> str:
        """What no other home has seen is what this one gives, and the entries of the text before are its own."""
        fresh, found = self.folder / "fresh", []
        emptied(fresh)
        for home in (self.home, fresh):
            last = forked(lambda home=home: mill(self.recipe, home, until=UNTIL)) or {}
            found.append((last.get("ok"), last.get("sentence"), contents(home)))
        (ok, told, here), (fresh_ok, fresh_told, there) = found
        wrong = [name for name, sha in there.items() if here.get(name) != sha]
        wrong += [name for name in here.keys() & self.want.keys() if here[name] != self.want[name]]
        return "" if ok == fresh_ok and told == fresh_told and not wrong else f"as it is: {last} {sorted(wrong)[:5]}"


def changed_inputs(n: int, folder: Path, seed: int) -> Row:
    """So many changes, of one kind of file after the other."""
    row, benches = Row("input changed while read"), []
    for name in FILES:
        (folder / name).mkdir()
        benches.append(ChangedInputs(folder / name, name, seed))
    for number in range(n):
        benches[number % len(benches)].trial(row)
        if row.tried % SHOWN_EVERY == 0:
            sys.stderr.write(row.line + "\n")
    return row
