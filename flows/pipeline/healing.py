"""What a run found damaged, and made again: entries of the store, files that it hands over, its training.

An entry that is not what its receipt says is deleted; the stages before the one that needed it are run again, which
finds every other entry and makes this one, under the same key and so with the same bytes. Files that are handed over
may be further names of a damaged file: they are given the new one in every run of the home.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gristmill.corpus.errors import DamagedEntryError, StoreError
from gristmill.corpus.files import file_sha256
from gristmill.corpus.receipt import Receipt
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.store import Store

TRIES = 2  # of one entry: a copy in the cache is fetched again first, the part itself is made again after that
HANDED_OVER = (
    "tokenizer",
    "shards",
    "heldout",
    "neighbours",
    "plan",
    "card",
)  # folders of a run with files of the store


@dataclass(frozen=True, slots=True)
class Healed:
    """One thing that was damaged and is whole again."""

    what: str  # stage/key of an entry, or a path in the run
    found: str  # what was wrong with it


@dataclass
class Healing:
    """What was damaged in one run so far."""

    healed: list[Healed] = field(default_factory=list)
    _tries: Counter[tuple[str, str]] = field(default_factory=Counter)
    _names: dict[Path, tuple[str, str, str]] = field(default_factory=dict)  # stage, key and file by further name

    def note(self, what: str, found: str) -> None:
        """Keep what was found, for the summary of the run."""
        self.healed.append(Healed(what, found))

    def discard(self, store: Store, run: RunDir, error: DamagedEntryError) -> None:
        """Delete a damaged entry, and remember which files of runs are further names of its files.

        Raises
        ------
        StoreError : it was made anew before and is damaged again
        """
        entry = (error.stage, error.key)
        self._tries[entry] += 1
        if self._tries[entry] > TRIES:
            raise StoreError(
                f"{error.stage}/{error.key} was made anew and is damaged again ({error.what}): the disk fails"
            )
        folder = store.folder_of(*entry)
        for path, name in further_names(folder, run.path.parents[1]):
            self._names[path] = (*entry, name)
        store.discard(*entry)
        self.note("/".join(entry), error.what)

    def rename(self, store: Store) -> None:
        """Give the further names of what was made anew the new files."""
        for path, (stage, key, name) in list(self._names.items()):
            new = store.folder_of(stage, key) / name
            if not new.exists():
                continue
            del self._names[path]
            if path.exists() and not path.samefile(new):
                aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
                aside.unlink(missing_ok=True)
                os.link(new, aside)
                aside.replace(path)


def further_names(folder: Path, runs: Path) -> Iterator[tuple[Path, str]]:
    """Files of runs that are hard links to the files of an entry, with the name that each has there."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    own = {(status.st_dev, status.st_ino): path for path in files if (status := path.stat()).st_nlink > 1}
    handed_over = (runs.glob(f"*/*/{name}/**/*") for name in HANDED_OVER) if own else ()
    for path in (path for paths in handed_over for path in paths if path.is_file()):
        status = path.stat()
        if (status.st_dev, status.st_ino) in own:
            yield path, own[status.st_dev, status.st_ino].relative_to(folder).as_posix()


def differing(placed: Path, receipts: Sequence[Receipt], store: Store) -> Iterator[str]:
    """Files under ``placed`` that are not those of the receipts; none where nothing was placed yet.

    A further name of a file of the store is compared there, where the entry is used.
    """
    if not placed.exists():
        return
    for receipt in receipts:
        entry = store.folder_of(receipt.stage, receipt.key)
        for file in receipt.files:
            path = placed / file.name
            if not path.exists():
                yield f"{file.name} is missing"
            elif not _is_same(path, entry / file.name) and file_sha256(path) != file.sha256:
                yield f"{file.name} is not what its receipt says"


def _is_same(path: Path, stored: Path) -> bool:
    return stored.exists() and path.samefile(stored)
