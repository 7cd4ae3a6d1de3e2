"""The content-addressed store: ``<store>/<stage>/<key>/`` holds the files of one part and its receipt.

A part is filled in a folder aside, its files are flushed, the receipt is written last, and the folder is
renamed into place: a reader sees a whole part or none. Here is the local store; ``gristmill.corpus.remote`` has the
one for object stores, which puts data first and the receipt last with a conditional write.
"""

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from gristmill.corpus.account import check_conservation
from gristmill.corpus.entry_check import (
    RECEIPT,
    EntryWatch,
    check_files,
    expect_files,
    oldest_first,
    read_receipt,
    receipt_text,
)
from gristmill.corpus.errors import DamagedEntryError
from gristmill.corpus.files import file_sha256, fsync_path, write_json
from gristmill.corpus.receipt import FileDigest, Outcome, Receipt
from gristmill.corpus.unfinished import END, filling, sweep

Make = Callable[[Path], Outcome]


class Store(Protocol):
    """What stages need of a store."""

    @property
    def root(self) -> Path:
        """The folder on this machine: the store, or its cache."""
        ...

    def find(self, stage: str, key: str) -> Receipt | None:
        """The receipt of a finished part, or None; DamagedEntryError where it cannot be read."""
        ...

    def produce(self, stage: str, key: str, make: Make) -> tuple[Receipt, bool]:
        """The part's receipt, and whether it was reused; ``make`` fills an empty folder when it was not."""
        ...

    def folder(self, receipt: Receipt) -> Path:
        """A local folder with the part's files; DamagedEntryError where one is missing or, if watched, another."""
        ...

    def delete(self, receipt: Receipt) -> None:
        """Forget a finished part, if it is there; no manifest may name it any more."""
        ...

    def folder_of(self, stage: str, key: str) -> Path:
        """Where a part lies on this machine, whether it is there and whole or not."""
        ...

    def discard(self, stage: str, key: str) -> None:
        """Delete what is damaged, so that it is made, or fetched, again."""
        ...

    def scrub(self, n_bytes: int) -> list[DamagedEntryError]:
        """Compare entries with their receipts, those first that were compared longest ago, for about so many bytes."""
        ...

    def watched(self, watch: EntryWatch | None) -> "Store":
        """The same store, which compares an entry with its receipt at its first use; None: it believes them."""
        ...

    def sweep(self) -> int:
        """Delete what dead writers left; returns how many folders."""
        ...


class LocalStore:
    """A store in a folder."""

    def __init__(self, root: Path, watch: EntryWatch | None = None):
        self.root = root
        self._watch = watch

    def watched(self, watch: EntryWatch | None) -> "LocalStore":
        """The same store, which compares an entry with its receipt at its first use."""
        return LocalStore(self.root, watch)

    def find(self, stage: str, key: str) -> Receipt | None:
        """The receipt of a finished part, or None."""
        path = self.folder_of(stage, key) / RECEIPT
        if path.exists():
            return read_receipt(path, stage, key)
        if path.parent.exists():
            raise DamagedEntryError(stage, key, f"{RECEIPT} is missing")
        return None

    def produce(self, stage: str, key: str, make: Make) -> tuple[Receipt, bool]:
        """Reuse the part ``stage/key``, or let ``make`` fill it and commit it."""
        found = self.find(stage, key)
        if found is not None:
            return found, True
        final = self.folder_of(stage, key)
        with filling(final.parent, key) as aside:
            receipt = fill(aside, stage, key, make)
            commit(aside, final)
        if self._watch is not None:
            self._watch.believe(final)
        return receipt, False

    def folder(self, receipt: Receipt) -> Path:
        """The part's own folder in the store."""
        folder = self.folder_of(receipt.stage, receipt.key)
        if self._watch is None:
            expect_files(folder, receipt)
        elif receipt.files:
            self._watch.first(folder, lambda: check_files(folder, receipt))
        return folder

    def folder_of(self, stage: str, key: str) -> Path:
        """The folder of a part, whether it is there or not."""
        return self.root / stage / key

    def delete(self, receipt: Receipt) -> None:
        """Delete the part's folder; set aside first, so that no reader sees half of it."""
        self.discard(receipt.stage, receipt.key)

    def discard(self, stage: str, key: str) -> None:
        """Delete an entry, whatever is left of it."""
        final = self.folder_of(stage, key)
        aside = final.with_name(f".{key}.{uuid.uuid4().hex}{END}")
        if final.exists():
            final.rename(aside)
        if self._watch is not None:
            self._watch.forget(final)
        shutil.rmtree(aside, ignore_errors=True)

    def scrub(self, n_bytes: int) -> list[DamagedEntryError]:
        """Compare the entries that were compared longest ago; the damaged ones are returned and stay where they are."""
        damaged = []
        watched = self.watched(self._watch or EntryWatch())
        for stage, key in oldest_first(self.root) if n_bytes else ():
            if n_bytes <= 0:
                break
            try:
                receipt = watched.find(stage, key)
                n_bytes -= sum(file.bytes for file in receipt.files) if receipt else 0
                _ = receipt and watched.folder(receipt)
            except DamagedEntryError as error:
                damaged.append(error)
        return damaged

    def sweep(self) -> int:
        """Delete the folders of writers that no longer live."""
        return len(sweep(self.root.glob(f"*/.*{END}")))


def commit(aside: Path, final: Path) -> None:
    """Rename a filled folder into place, unless another writer finished the same key: same key, same bytes."""
    try:
        aside.rename(final)
    except OSError:
        if not (final / RECEIPT).exists():
            raise
    fsync_path(final.parent)


def fill(aside: Path, stage: str, key: str, make: Make) -> Receipt:
    """Run ``make`` in the empty folder ``aside``, flush its files, write the receipt beside them."""
    outcome = make(aside)
    check_conservation(stage, outcome.accounts)
    paths = sorted(path for path in aside.rglob("*") if path.is_file())
    for path in paths:
        fsync_path(path)
    files = tuple(FileDigest(str(p.relative_to(aside)), p.stat().st_size, file_sha256(p)) for p in paths)
    receipt = Receipt(stage, key, outcome.rows, dict(outcome.accounts), dict(outcome.facts), files)
    write_json(aside / RECEIPT, receipt_text(receipt))
    return receipt
