"""The whole home is looked at: every file, as a reader would see it, for slices of what a takedown removes.

What no run names any more, and what can be made again, is deleted where it holds a slice: entries of the store and of
the cache, results of tuning, logs. Entries with tokens that no run names are deleted unseen, since the vocabulary that
spells them may be gone, and so is what dead writers left. Files of other runs are reported where they lie.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from gristmill.corpus.rundir import TAKEDOWN, RunDir
from gristmill.corpus.store import LocalStore
from gristmill.corpus.unfinished import END
from gristmill.flows.pipeline.home_contents import Home, entries_of, place_of
from gristmill.flows.takedown.search import Slices, Vocabulary, file_blocks

TOKEN_STAGES = frozenset(("tokens", "shards", "heldout", "proxies"))
MADE_AGAIN = ("tune", "logs")  # folders, of a run or of the home, that hold results and no part of a corpus
LOGS = (".log", ".jsonl.1", ".err", ".out")
Hits = Callable[[Path], int]
RECORDS = (TAKEDOWN, "certificate.json")  # they name what was asked for


@dataclass
class HomeSearch:
    """What a search of a home found beside the run itself."""

    deleted: list[str] = field(default_factory=list)  # paths within the home
    left: list[dict[str, Any]] = field(default_factory=list)  # file, and how many slices it holds


def search_home(home: Home, run: RunDir, slices: Slices) -> HomeSearch:
    """Delete what holds a slice and is needed by no run; report what else does, but for the files of ``run`` itself."""
    found, named, hits = HomeSearch(), entries_of(home.runs), _hits(slices, _vocabularies(home))
    for path in home.left_behind():
        _delete(path, found, home.root)
    for entry in home.entries():
        if place_of(entry) not in named and (entry.parent.name in TOKEN_STAGES or _holds(entry, hits)):
            LocalStore(entry.parents[1]).discard(*place_of(entry))
            found.deleted.append(str(entry.relative_to(home.root)))
    _search_others(home, run, hits, found)
    return found


def _hits(slices: Slices, vocabularies: list[Vocabulary]) -> Hits:
    """How many slices a file holds. FileNotFoundError where it is gone."""

    def hits(path: Path) -> int:
        """A table is spelled with each vocabulary of the home; one that cannot be read is not shown to be clean."""
        tables = path.suffix in (".arrow", ".parquet") and vocabularies
        try:
            return sum(slices.count_in(block) for one in tables or [None] for block in file_blocks(path, one))
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError, ValueError):
            return 1

    return hits


def _holds(entry: Path, hits: Hits) -> bool:
    with suppress(FileNotFoundError):  # of an entry that goes meanwhile
        return any(map(hits, _files(entry)))
    return False


def _search_others(home: Home, run: RunDir, hits: Hits, found: HomeSearch) -> None:
    seen, moved = set[tuple[int, int]](), True
    while moved:  # a living writer renames what it has written: under one of its names a file is met
        moved = False
        for path, again in _others(home, run):
            try:
                status = path.stat()
                is_new = (status.st_dev, status.st_ino) not in seen
                n = hits(path) if is_new and path.name not in RECORDS else 0
            except FileNotFoundError:
                moved = True
                continue
            seen.add((status.st_dev, status.st_ino))
            if n and again:
                _delete(path, found, home.root)
            elif n:
                found.left.append({"file": str(path), "slices": n})


def _delete(path: Path, found: HomeSearch, root: Path) -> None:
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    found.deleted.append(str(path.relative_to(root)))


def _others(home: Home, run: RunDir) -> Iterator[tuple[Path, bool]]:
    """Every file that is none of the run's own and of its entries, and whether it can be made again."""
    others = [other for other in home.runs if other.path.resolve() != run.path.resolve()]
    own = entries_of([run]) - entries_of(others)  # of a journal too: they are deleted next
    entries = [entry for entry in home.entries() if place_of(entry) not in own]
    aside = [path for store in home.stores for path in store.glob(f"*/.*{END}")]  # of living writers
    kept = [(path, False) for folder in (*entries, *aside) for path in _files(folder)]
    made = [(path, _can_be_made_again(path, home.root)) for other in others for path in _files(other.path)]
    made += [(path, _can_be_made_again(path, home.root)) for path in (*_beside(home), *_results(run))]
    yield from (*kept, *made)


def _vocabularies(home: Home) -> list[Vocabulary]:
    """Of every tokenizer in the home, each once."""
    paths = {path.read_bytes(): path for path in home.root.glob("*/tokenizer/*/tokenizer.json")}
    paths |= {path.read_bytes(): path for path in home.root.glob("runs/*/*/tokenizer/tokenizer.json")}
    return [Vocabulary(path) for path in paths.values()]


def _files(folder: Path) -> Iterator[Path]:
    """Every file below, in order; a folder that goes meanwhile has none."""
    walked = os.walk(folder, onerror=_expect_gone)
    return iter(sorted(path for root, _, names in walked for name in names if (path := Path(root, name)).is_file()))


def _expect_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _beside(home: Home) -> Iterator[Path]:
    """Files of the home that lie in no run and in no entry: logs, a server's database, the cache's own files."""
    runs = home.root / "runs"
    for path in _files(home.root):
        deep = len(path.relative_to(home.root).parts) > 3  # runs/NAME/ID/..., store/STAGE/KEY/...
        if not (deep and any(map(path.is_relative_to, (runs, *home.stores)))):
            yield path


def _results(run: RunDir) -> Iterator[Path]:
    for name in MADE_AGAIN:
        yield from _files(run.path / name)
    yield from sorted(path for end in LOGS for path in run.path.glob(f"*{end}"))


def _can_be_made_again(path: Path, root: Path) -> bool:
    inside = path.relative_to(root).parts
    return path.suffix in LOGS or bool(set(MADE_AGAIN).intersection(inside[:-1])) or path.is_relative_to(root / "cache")
