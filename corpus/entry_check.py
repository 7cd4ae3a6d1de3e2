"""Entries of a store are believed once their bytes were compared with their receipt, in this run.

The first use of an entry reads all of it for its sha256 (1.8 GB/s of one core here, 0.55 CPU seconds per GB); later
uses in the same run believe it. When an entry was looked at last is the time of change of its receipt's file, which no
receipt names, so that the oldest can be looked at first.
"""

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from gristmill.corpus.errors import DamagedEntryError, MissingEntryError
from gristmill.corpus.files import content_key, file_sha256, read_json
from gristmill.corpus.receipt import FileDigest, Receipt

RECEIPT = "receipt.json"
SELF = "digest"  # of the receipt itself, in its file alone


def receipt_text(receipt: Receipt) -> dict[str, Any]:
    """What stands in ``receipt.json``: the receipt, and the digest of all its figures."""
    found = receipt.to_json()
    return found | {SELF: content_key(found)}


def parse_receipt(value: dict[str, Any], stage: str, key: str) -> Receipt:
    """A receipt from its file's JSON.

    Raises
    ------
    DamagedEntryError : it is of another entry, or a figure of it is not the one that was written
    """
    try:
        digest = value.pop(SELF, None)  # entries of version 0.1.0 have none
        receipt = Receipt.from_json(value)
        whole = digest in (None, content_key(value)) and (receipt.stage, receipt.key) == (stage, key)
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise DamagedEntryError(stage, key, f"{RECEIPT} is not what was written")
    return receipt


def read_receipt(path: Path, stage: str, key: str) -> Receipt:
    """The receipt in a file; DamagedEntryError as above, and where the file is no JSON."""
    try:
        return parse_receipt(read_json(path), stage, key)
    except ValueError:
        raise DamagedEntryError(stage, key, f"{RECEIPT} cannot be read") from None


def check_files(folder: Path, receipt: Receipt) -> None:
    """Compare every file with its receipt, byte for byte.

    Raises
    ------
    MissingEntryError, DamagedEntryError : as ``expect_files``; or it names the first file whose sha256 differs
    """
    expect_files(folder, receipt)
    for file in receipt.files:
        if file_sha256(folder / file.name) != file.sha256:
            raise _other_than_noted(file, receipt)


def expect_files(folder: Path, receipt: Receipt) -> None:
    """Look whether every file is there and as long as its receipt says; no byte is read.

    Raises
    ------
    MissingEntryError : the store has no such entry
    DamagedEntryError : names the first file that is missing or of another length
    """
    if not folder.is_dir():
        raise MissingEntryError(receipt.stage, receipt.key, folder.parents[1])
    for file in receipt.files:
        path = folder / file.name
        if not path.exists():
            raise DamagedEntryError(receipt.stage, receipt.key, f"{file.name} is missing")
        if path.stat().st_size != file.bytes:
            raise _other_than_noted(file, receipt)


def _other_than_noted(file: FileDigest, receipt: Receipt) -> DamagedEntryError:
    noted = f"{file.bytes} bytes, sha256 {file.sha256[:12]}..."
    return DamagedEntryError(receipt.stage, receipt.key, f"{file.name} is not what its receipt says ({noted})")


class EntryWatch:
    """Which entries were compared since the watch began: once, however many threads ask.

    A copy that was sent to another process begins there once, and not with every job.
    """

    _here: ClassVar[dict[str, "EntryWatch"]] = {}  # of this process, by token

    def __init__(self, token: str | None = None):
        self.token = token or uuid.uuid4().hex
        self._locks: dict[Path, threading.Lock] = {}
        self._seen: set[Path] = set()
        self._guard = threading.Lock()

    def __reduce__(self) -> tuple[Callable[[str], "EntryWatch"], tuple[str]]:
        return _watch_of, (self.token,)

    def first(self, folder: Path, check: Callable[[], None]) -> None:
        """Call ``check`` unless it has passed for this folder before."""
        with self._guard:
            lock = self._locks.setdefault(folder, threading.Lock())
        with lock:
            if folder not in self._seen:
                check()
                with suppress(OSError):  # a disk that is only read
                    os.utime(folder / RECEIPT)
                self._seen.add(folder)

    def forget(self, folder: Path) -> None:
        """An entry is made anew."""
        self._seen.discard(folder)

    def believe(self, folder: Path) -> None:
        """An entry was just written and digested."""
        self._seen.add(folder)


def _watch_of(token: str) -> EntryWatch:
    return EntryWatch._here.setdefault(token, EntryWatch(token))


def oldest_first(root: Path) -> Iterator[tuple[str, str]]:
    """Stage and key of every entry, in the order in which they were compared last."""
    receipts = sorted(root.glob(f"*/[!.]*/{RECEIPT}"), key=lambda path: (path.stat().st_mtime_ns, path))
    return ((path.parts[-3], path.parts[-2]) for path in receipts)
