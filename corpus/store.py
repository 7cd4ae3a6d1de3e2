"""The content-addressed store: ``<store>/<stage>/<key>/`` holds the files of one part and its receipt.

A part is filled in a folder aside, its files are flushed, the receipt is written last, and the folder is
renamed into place: a reader sees a whole part or none. Here is the local store; ``gristmill.corpus.remote`` has the
one for object stores, which puts data first and the receipt last with a conditional write.
"""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from gristmill.corpus.account import check_conservation
from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import file_sha256, fsync_path, read_json, write_json
from gristmill.corpus.receipt import FileDigest, Outcome, Receipt

RECEIPT = "receipt.json"
Make = Callable[[Path], Outcome]


class Store(Protocol):
    """What stages need of a store."""

    def find(self, stage: str, key: str) -> Receipt | None:
        """The receipt of a finished part, or None."""
        ...

    def produce(self, stage: str, key: str, make: Make) -> tuple[Receipt, bool]:
        """The part's receipt, and whether it was reused; ``make`` fills an empty folder when it was not."""
        ...

    def folder(self, receipt: Receipt) -> Path:
        """A local folder with the part's files."""
        ...

    def delete(self, receipt: Receipt) -> None:
        """Forget a finished part, if it is there; no manifest may name it any more."""
        ...

    def sweep(self) -> int:
        """Delete what dead writers left; returns how many folders."""
        ...


class LocalStore:
    """A store in a folder."""

    def __init__(self, root: Path):
        self.root = root

    def find(self, stage: str, key: str) -> Receipt | None:
        """The receipt of a finished part, or None."""
        path = self.root / stage / key / RECEIPT
        return Receipt.from_json(read_json(path)) if path.exists() else None

    def produce(self, stage: str, key: str, make: Make) -> tuple[Receipt, bool]:
        """Reuse the part ``stage/key``, or let ``make`` fill it and commit it."""
        found = self.find(stage, key)
        if found is not None:
            return found, True
        aside = self.root / stage / f".{key}.{writer_tag()}.tmp"
        receipt = fill(aside, stage, key, make)
        self._commit(aside, self.root / stage / key)
        return receipt, False

    def folder(self, receipt: Receipt) -> Path:
        """The part's own folder in the store."""
        return self.root / receipt.stage / receipt.key

    def delete(self, receipt: Receipt) -> None:
        """Delete the part's folder; set aside first, so that no reader sees half of it."""
        final = self.folder(receipt)
        aside = final.with_name(f".{receipt.key}.{writer_tag()}.tmp")
        if final.exists():
            final.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)

    def sweep(self) -> int:
        """Delete the folders of writers on this host that no longer live."""
        dead = [path for path in self.root.glob("*/.*.tmp") if _writer_is_dead(path.name)]
        for path in dead:
            shutil.rmtree(path, ignore_errors=True)
        return len(dead)

    @staticmethod
    def _commit(aside: Path, final: Path) -> None:
        try:
            aside.rename(final)
        except OSError:
            if not (final / RECEIPT).exists():
                raise
            shutil.rmtree(aside)  # another writer finished the same key: same key, same bytes
        fsync_path(final.parent)


def fill(aside: Path, stage: str, key: str, make: Make) -> Receipt:
    """Run ``make`` in the empty folder ``aside``, flush its files, write the receipt beside them."""
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        outcome = make(aside)
        check_conservation(stage, outcome.accounts)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    paths = sorted(path for path in aside.rglob("*") if path.is_file())
    for path in paths:
        fsync_path(path)
    files = tuple(FileDigest(str(p.relative_to(aside)), p.stat().st_size, file_sha256(p)) for p in paths)
    receipt = Receipt(stage, key, outcome.rows, dict(outcome.accounts), dict(outcome.facts), files)
    write_json(aside / RECEIPT, receipt.to_json())
    return receipt


def check_files(folder: Path, receipt: Receipt) -> None:
    """Raise StoreError naming the first file whose size or sha256 differs from the receipt."""
    for digest in receipt.files:
        path = folder / digest.name
        if not path.exists():
            raise StoreError(
                f"{receipt.stage}/{receipt.key}: {digest.name} is missing; delete the folder and run again"
            )
        if path.stat().st_size != digest.bytes or file_sha256(path) != digest.sha256:
            raise StoreError(
                f"{receipt.stage}/{receipt.key}: {digest.name} is not what its receipt says "
                f"({digest.bytes} bytes, sha256 {digest.sha256[:12]}...); delete the folder and run again"
            )


def writer_tag() -> str:
    """Host and process of this writer, for the names of unfinished folders."""
    return f"{socket.gethostname()}~{os.getpid()}"


def _writer_is_dead(name: str) -> bool:
    host, _, pid = name.removesuffix(".tmp").split(".", 2)[-1].rpartition("~")
    return host == socket.gethostname() and not process_lives(int(pid))


def process_lives(pid: int) -> bool:
    """True while a process of this number exists on this host."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
