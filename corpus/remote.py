"""The store on an object store (s3://, gs://, memory://) through fsspec.

Data goes under its key first, the receipt last; with If-None-Match where the service knows it, so that of
two writers of one key one wins and the other sees it. Parts are fetched into a local cache and checked
against their receipt before anyone reads them.
"""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec

from gristmill.corpus.receipt import Receipt
from gristmill.corpus.store import RECEIPT, LocalStore, Make, Store, check_files, fill, writer_tag


class RemoteStore:
    """A store under a URL, with a local cache of the parts in use."""

    def __init__(self, url: str, cache: Path, **options: Any):
        self._fs, self._root = fsspec.core.url_to_fs(url, **options)
        self._cache = LocalStore(cache)

    def find(self, stage: str, key: str) -> Receipt | None:
        """The receipt of a finished part, or None."""
        cached = self._cache.find(stage, key)
        if cached is not None:
            return cached
        try:
            return Receipt.from_json(json.loads(self._fs.cat_file(self._path(stage, key, RECEIPT))))
        except FileNotFoundError:
            return None

    def produce(self, stage: str, key: str, make: Make) -> tuple[Receipt, bool]:
        """Reuse the part ``stage/key``, or let ``make`` fill it, upload it, and write the receipt last."""
        found = self.find(stage, key)
        if found is not None:
            return found, True
        aside = self._cache.root / stage / f".{key}.{writer_tag()}.tmp"
        receipt = fill(aside, stage, key, make)
        for file in receipt.files:
            self._fs.put_file(str(aside / file.name), self._path(stage, key, file.name))
        self._put_receipt(stage, key, (aside / RECEIPT).read_bytes())
        LocalStore._commit(aside, self._cache.root / stage / key)
        return receipt, False

    def folder(self, receipt: Receipt) -> Path:
        """The part in the local cache, fetched and checked when it is not there yet."""
        if self._cache.find(receipt.stage, receipt.key) is None:
            aside = self._cache.root / receipt.stage / f".{receipt.key}.{writer_tag()}.tmp"
            shutil.rmtree(aside, ignore_errors=True)
            for name in (*(file.name for file in receipt.files), RECEIPT):
                (aside / name).parent.mkdir(parents=True, exist_ok=True)
                self._fs.get_file(self._path(receipt.stage, receipt.key, name), str(aside / name))
            check_files(aside, receipt)
            LocalStore._commit(aside, self._cache.root / receipt.stage / receipt.key)
        return self._cache.folder(receipt)

    def delete(self, receipt: Receipt) -> None:
        """Delete the part from the object store, its receipt first, and from the local cache."""
        for name in (RECEIPT, *(file.name for file in receipt.files)):
            with suppress(FileNotFoundError):
                self._fs.rm_file(self._path(receipt.stage, receipt.key, name))
        self._cache.delete(receipt)

    def sweep(self) -> int:
        """Delete what dead writers left in the local cache."""
        return self._cache.sweep()

    def _path(self, stage: str, key: str, name: str) -> str:
        return f"{self._root}/{stage}/{key}/{name}"

    def _put_receipt(self, stage: str, key: str, data: bytes) -> None:
        # "create" becomes If-None-Match: * on S3. When another writer finished the same key: same key, same bytes
        with suppress(FileExistsError):
            self._fs.pipe_file(self._path(stage, key, RECEIPT), data, mode="create")


def open_store(url: str, cache: Path) -> Store:
    """A local store for a plain path, a remote one for anything with a protocol."""
    if "://" in url and not url.startswith("file://"):
        return RemoteStore(url, cache)
    return LocalStore(Path(url.removeprefix("file://")))
