"""The store on an object store (s3://, gs://, memory://) through fsspec.

Data goes under its key first, the receipt last; with If-None-Match where the service knows it, so that of
two writers of one key one wins and the other sees it. Parts are fetched into a local cache and checked
against their receipt before anyone reads them.
"""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec

from gristmill.corpus.entry_check import RECEIPT, EntryWatch, check_files, parse_receipt
from gristmill.corpus.errors import DamagedEntryError
from gristmill.corpus.receipt import Receipt
from gristmill.corpus.store import LocalStore, Make, Store, commit, fill
from gristmill.corpus.unfinished import filling


class RemoteStore:
    """A store under a URL, with a local cache of the parts in use."""

    def __init__(self, url: str, cache: Path, watch: EntryWatch | None = None, **options: Any):
        self._url, self._options = url, options
        self._fs, self._remote = fsspec.core.url_to_fs(url, **options)
        self._cache = LocalStore(cache, watch)

    @property
    def root(self) -> Path:
        """The folder of the cache."""
        return self._cache.root

    def watched(self, watch: EntryWatch | None) -> "RemoteStore":
        """The same store, whose cached entries are compared with their receipt at their first use."""
        return RemoteStore(self._url, self._cache.root, watch, **self._options)

    def find(self, stage: str, key: str) -> Receipt | None:
        """The receipt of a finished part, or None."""
        cached = self._cache.find(stage, key)
        if cached is not None:
            return cached
        try:
            return parse_receipt(json.loads(self._fs.cat_file(self._path(stage, key, RECEIPT))), stage, key)
        except FileNotFoundError:
            return None
        except ValueError:
            raise DamagedEntryError(stage, key, f"{RECEIPT} cannot be read") from None

    def produce(self, stage: str, key: str, make: Make) -> tuple[Receipt, bool]:
        """Reuse the part ``stage/key``, or let ``make`` fill it, upload it, and write the receipt last."""
        found = self.find(stage, key)
        if found is not None:
            return found, True
        final = self.folder_of(stage, key)
        with filling(final.parent, key) as aside:
            receipt = fill(aside, stage, key, make)
            for file in receipt.files:
                self._fs.put_file(str(aside / file.name), self._path(stage, key, file.name))
            self._put_receipt(stage, key, (aside / RECEIPT).read_bytes())
            commit(aside, final)
        return receipt, False

    def folder(self, receipt: Receipt) -> Path:
        """The part in the local cache, fetched and checked when it is not there yet."""
        stage, key = receipt.stage, receipt.key
        if self._cache.find(stage, key) is None:
            final = self.folder_of(stage, key)
            with filling(final.parent, key) as aside:
                for name in (*(file.name for file in receipt.files), RECEIPT):
                    (aside / name).parent.mkdir(parents=True, exist_ok=True)
                    self._fetch(stage, key, name, aside / name)
                check_files(aside, receipt)
                commit(aside, final)
        return self._cache.folder(receipt)

    def _fetch(self, stage: str, key: str, name: str, to: Path) -> None:
        try:
            self._fs.get_file(self._path(stage, key, name), str(to))
        except FileNotFoundError:
            raise DamagedEntryError(stage, key, f"{name} is missing") from None

    def folder_of(self, stage: str, key: str) -> Path:
        """Where the part lies in the local cache, if it does."""
        return self._cache.folder_of(stage, key)

    def delete(self, receipt: Receipt) -> None:
        """Delete the part from the object store, its receipt first, and from the local cache."""
        for name in (RECEIPT, *(file.name for file in receipt.files)):
            with suppress(FileNotFoundError):
                self._fs.rm_file(self._path(receipt.stage, receipt.key, name))
        self._cache.delete(receipt)

    def discard(self, stage: str, key: str) -> None:
        """Delete the copy in the cache, which is fetched again; where there is none, the receipt of the part itself."""
        if self.folder_of(stage, key).exists():
            self._cache.discard(stage, key)
        else:
            with suppress(FileNotFoundError):
                self._fs.rm_file(self._path(stage, key, RECEIPT))

    def scrub(self, n_bytes: int) -> list[DamagedEntryError]:
        """Compare the entries of the cache; the object store looks after its own."""
        return self._cache.scrub(n_bytes)

    def sweep(self) -> int:
        """Delete what dead writers left in the local cache."""
        return self._cache.sweep()

    def _path(self, stage: str, key: str, name: str) -> str:
        return f"{self._remote}/{stage}/{key}/{name}"

    def _put_receipt(self, stage: str, key: str, data: bytes) -> None:
        # "create" becomes If-None-Match: * on S3. When another writer finished the same key: same key, same bytes
        with suppress(FileExistsError):
            self._fs.pipe_file(self._path(stage, key, RECEIPT), data, mode="create")


def open_store(url: str, cache: Path) -> Store:
    """A local store for a plain path, a remote one for anything with a protocol."""
    if "://" in url and not url.startswith("file://"):
        return RemoteStore(url, cache)
    return LocalStore(Path(url.removeprefix("file://")))
