"""The folder of a band index: its state, its lock, its segments, and whether it is whole.

``index.json`` is the index: what it does not name is swept, and its replacement is the commit. It holds the scheme, who
keeps the index, the segments with the size and xxh3-64 of every file, and the rows that were removed.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from gristmill.corpus.errors import RecipeError, StoreError
from gristmill.corpus.files import CHUNK_BYTES, fsync_path, read_json, write_json
from gristmill.corpus.whole_columns import rows_of
from gristmill.corpus.writer_lock import WriterLock
from gristmill.dedup.band_index.segments import DOCUMENTS, Segment, commit
from gristmill.dedup.clusters.stage import SIGNATURES

VERSION = "2"
INDEX = "index.json"
FORMAT = f"index {VERSION}, signatures {SIGNATURES.version}"  # an index of another one says other things
OURS = (".writing-", ".index.json.", "segment-", "dead-", INDEX, "writer.lock")  # what a folder of an index may hold


class DamagedIndexError(StoreError):
    """An index that cannot be read, or is of another format; it is made from documents and can be made again."""


@dataclass(frozen=True, slots=True)
class IndexScheme:
    """What an index compares; it never changes."""

    bands: int
    rows: int
    shingle_words: int
    hashes: int
    seed: int
    threshold: float


class IndexFolder:
    """What ``index.BandIndex`` keeps on the disk. What writes needs the lock of ``writing``, readers need none."""

    def __init__(self, folder: Path, scheme: IndexScheme):
        self.folder, self.scheme = folder, scheme

    def state(self) -> dict[str, Any]:
        """What index.json says."""
        return read_json(self.folder / INDEX)

    def segments(self) -> Iterator[Segment]:
        """The open segments, in the order in which they came."""
        first_variant = 0
        for entry in self.state()["segments"]:
            yield Segment(self.folder / entry["name"], first_variant, entry["variants"])
            first_variant += entry["variants"]

    def variants(self) -> np.ndarray:
        """uint64[n, 3] of the whole index, see ``Segment.variants``."""
        return np.concatenate([np.empty((0, 3), np.uint64), *(segment.variants for segment in self.segments())])

    def live(self) -> tuple[pa.Table, np.ndarray]:
        """DOCUMENTS that are in, and their row numbers in the whole index."""
        table = pa.concat_tables([DOCUMENTS.empty_table(), *(segment.documents for segment in self.segments())])
        places = np.setdiff1d(np.arange(table.num_rows), self.dead(), assume_unique=True)
        return rows_of(table, pa.array(places)), places

    def dead(self) -> np.ndarray:
        """Numbers of removed rows, int64 ascending."""
        name = self.state()["dead"]
        return np.load(self.folder / name) if name else np.empty(0, np.int64)

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """A scratch folder; one writer at a time."""
        with WriterLock(self.folder), tempfile.TemporaryDirectory(dir=self.folder, prefix=".writing-") as scratch:
            self._sweep(Path(scratch))
            yield Path(scratch)

    def commit(self, scratch: Path, **changes: Any) -> None:
        """Replace index.json; what it names no more is deleted."""
        state = self.state()
        write_json(self.folder / INDEX, {**state, **changes, "next": state["next"] + 1})
        self._sweep(scratch)

    def place(self, filled: Path, snapshots: Sequence[str]) -> dict[str, Any]:
        """Put a filled segment among the others; returns its entry."""
        name, n_variants = f"segment-{self.state()['next']:06d}", len(np.load(filled / "sizes.npy"))
        files = {path.name: [path.stat().st_size, _digest(path)] for path in sorted(filled.iterdir())}
        commit(filled, self.folder / name)
        return {"name": name, "variants": n_variants, "snapshots": list(snapshots), "files": files}

    def place_dead(self, rows: np.ndarray) -> str:
        """Write the numbers of removed rows; returns the name of the file."""
        path = self.folder / f"dead-{self.state()['next']:06d}.npy"
        np.save(path, rows)
        fsync_path(path)
        return path.name

    def damage(self, *, deep: bool = False) -> str | None:
        """The first file that is missing or not what it was, by its size, and with ``deep`` by its digest."""
        state = self.state()
        for segment in state["segments"]:
            for name, (size, digest) in segment["files"].items():
                path = self.folder / segment["name"] / name
                if not path.is_file() or path.stat().st_size != size or (deep and _digest(path) != digest):
                    return f"{segment['name']}/{name}"
        return state["dead"] if state["dead"] and not (self.folder / state["dead"]).is_file() else None

    def _sweep(self, scratch: Path) -> None:
        """Delete what index.json does not name: superseded, or left by a writer that died."""
        state = self.state()
        named = {scratch.name, state["dead"], *(segment["name"] for segment in state["segments"])}
        for path in sorted(self.folder.iterdir()):
            if path.name.startswith((".writing-", "segment-", "dead-")) and path.name not in named:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def make(folder: Path, scheme: IndexScheme, owner: str | None = None) -> None:
    """An empty index in place of the one that is there, if any."""
    folder.mkdir(parents=True, exist_ok=True)
    foreign = [path.name for path in sorted(folder.iterdir()) if not path.name.startswith(OURS)]
    if foreign:
        raise RecipeError(
            f"dedup.near.index: {folder} holds {foreign[0]!r} and no band index. Name a folder of its own: what stands "
            "in an index's folder belongs to it."
        )
    empty = {"segments": [], "dead": None, "next": 0, "step": None}
    write_json(folder / INDEX, {"format": FORMAT, "scheme": asdict(scheme), "owner": owner, **empty})


def clear(folder: Path) -> None:
    """Delete an index, whatever state it is in."""
    with WriterLock(folder):
        for path in sorted(folder.iterdir()):
            if path.name.startswith(OURS) and path.name != "writer.lock":
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def check(folder: Path, scheme: IndexScheme, owner: str | None = None) -> None:
    """See that a folder's index is readable, of this format and scheme, and not another recipe's.

    Raises
    ------
    DamagedIndexError : index.json or a file of a segment is not what it was, or of another format
    RecipeError : another scheme, or the index of another recipe
    """
    try:
        state = read_json(folder / INDEX)
        made, found, kept_by = state["format"], state["scheme"], state["owner"]
        damage = IndexFolder(folder, scheme).damage() if made == FORMAT else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedIndexError(f"{folder}: index.json cannot be read ({error})") from None
    if made != FORMAT:
        raise DamagedIndexError(f"{folder}: the index is of format {made!r}, this is {FORMAT!r}")
    _check_scheme(folder, found, asdict(scheme))
    if kept_by != owner and None not in (kept_by, owner):
        raise RecipeError(
            f"dedup.near.index: the index in {folder} is that of the recipe {kept_by!r}, and would follow {owner!r} "
            "from now on. Give each recipe a folder of its own."
        )
    if damage:
        raise DamagedIndexError(f"{folder}: {damage} is missing or damaged")


def _check_scheme(folder: Path, found: dict[str, Any], asked: dict[str, Any]) -> None:
    for name, value in asked.items():
        if found[name] != value:
            says = f"seed gives {value}" if name == "seed" else f"dedup.near.{name} = {value}"
            raise RecipeError(
                f"the index in {folder} was made with {name} = {found[name]}, the recipe says {says}. "
                "An index keeps its scheme: give the recipe's new one a folder of its own."
            )


def _digest(path: Path) -> str:
    """xxh3-64 of a file: rot is to be seen, not fraud; sha256 would cost ten times as much."""
    hasher = xxhash.xxh3_64()
    with path.open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            hasher.update(block)
    return hasher.hexdigest()
