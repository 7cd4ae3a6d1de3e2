"""Reading shards: rows by number, out of memory-mapped files, every record batch checked when first touched."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gristmill.handoff import _kernels, _kernels_rows
from gristmill.handoff.durable import file_sha256, read_json
from gristmill.handoff.failures import StoreError
from gristmill.handoff.mapped import Lists, MappedShard
from gristmill.handoff.remote_run import RemoteRun
from gristmill.handoff.shards import FORMAT, FORMAT_WITH_MORE, INDEX, has_targets


class Slices(NamedTuple):
    """Where documents lie in n rows, all int64 [n_slices], in order: attention and loss stay within a slice."""

    row: np.ndarray  # place among the rows that were asked for
    start: np.ndarray  # first token
    length: np.ndarray


class _Touch(NamedTuple):
    """The asked rows that lie in one shard: their places among all, their record batches, their rows in those."""

    shard: MappedShard
    place: np.ndarray
    batch: np.ndarray
    row: np.ndarray


class ShardReader:
    """Rows of a folder that ``gristmill.handoff.shards.ShardWriter`` wrote; files are mapped when first needed.

    ``remote``: the run of which the folder is the copy on this machine; shards are fetched when first needed.

    Raises
    ------
    StoreError : the folder has no index, or a shard or record batch is damaged (when it is first touched)
    """

    def __init__(self, folder: Path, remote: RemoteRun | None = None):
        try:
            self.index: dict[str, Any] = read_json(folder / INDEX)
        except (OSError, ValueError) as error:
            raise StoreError(f"cannot read {folder / INDEX}: {error}; run the recipe again") from None
        known, found = (FORMAT, FORMAT_WITH_MORE), self.index.get("format")
        if found not in known:
            raise StoreError(f"{folder / INDEX} is of format {found!r}, this reader knows {' and '.join(known)}")
        self.has_targets = has_targets(self.index)
        self.rows: int = self.index["rows"]
        self.row_tokens: int = self.index["row_tokens"]
        self.dtype = np.dtype(self.index["token_type"])
        self._folder, self._remote = folder, remote
        self._shards: list[MappedShard | None] = [None] * len(self.index["shards"])

    def __getstate__(self) -> dict[str, Any]:
        """Without what is mapped: another process maps the files itself."""
        return {**self.__dict__, "_shards": [None] * len(self._shards)}

    def tokens(self, rows: np.ndarray) -> np.ndarray:
        """Token ids of rows, in the stored type [n, row_tokens]; a copy."""
        out = np.empty((len(rows), self.row_tokens), self.dtype)
        self._copy(list(self._touches(rows)), np.arange(len(rows)), out)
        return out

    def slices(self, rows: np.ndarray) -> Slices:
        """The document slices of rows."""
        return _slices([(touch, touch.shard.documents) for touch in self._touches(rows)], len(rows))

    def mask(self, rows: np.ndarray) -> np.ndarray | None:
        """Which tokens of ``rows`` count where they are predicted: bool [n, row_tokens]; None where all do."""
        if not self.has_targets:
            return None
        touched = [(touch, lists) for touch in self._touches(rows) if (lists := touch.shard.targets)]
        found = _slices(touched, len(rows))
        mask = np.zeros((len(rows), self.row_tokens), bool)
        _kernels_rows.mark(*found, mask)
        return mask

    def read_into(self, rows: np.ndarray, place: np.ndarray, out: np.ndarray) -> Slices:
        """out[place[i]] = tokens of rows[i], in whatever integer type ``out`` has; returns the slices of ``rows``.

        Every token of every batch is read here: a fault that is planted here reaches the model, and is to be found.
        """
        touches = list(self._touches(rows))
        self._copy(touches, place, out)
        return _slices([(touch, touch.shard.documents) for touch in touches], len(rows))

    def _copy(self, touches: list[_Touch], place: np.ndarray, out: np.ndarray) -> None:
        width = self.dtype.itemsize
        for touch in touches:
            at = touch.shard.tokens_at[touch.batch] + touch.row * self.row_tokens
            _kernels_rows.copy_rows(touch.shard.address + at * width, width, place[touch.place], out)

    def documents(self, rows: np.ndarray) -> list[list[dict[str, Any]]]:
        """The documents of each row as ``ROW_DOCUMENT`` structs; for people, not for a training loop."""
        found: list[list[dict[str, Any]]] = [[] for _ in rows]
        for shard, places, batches, in_batch in self._touches(rows):
            for place, batch, row in zip(places, batches, in_batch, strict=True):
                found[place] = shard.batches[batch].column("documents")[int(row)].as_py()
        return found

    def _touches(self, rows: np.ndarray) -> Iterator[_Touch]:
        rows = np.asarray(rows, np.int64)
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.rows:
            raise StoreError(f"rows {rows.min()} to {rows.max()} asked of {self._folder}, which has {self.rows}")
        order = np.argsort(rows, kind="stable")  # along the file: half the cache misses of the order asked for
        number, in_shard = np.divmod(rows[order], self.index["shard_rows"])
        for shard, inside in groups(number):
            batch, row = np.divmod(in_shard[inside], self.index["batch_rows"])
            mapped = self._shard(shard)
            mapped.check(batch)
            yield _Touch(mapped, order[inside], batch, row)

    def _shard(self, number: int) -> MappedShard:
        shard = self._shards[number]
        if shard is None:
            if self._remote:
                release = partial(self._shards.__setitem__, number, None)
                self._remote.shard(self._folder.name, self.index["shards"][number], release)
            shard = self._shards[number] = MappedShard(self._folder, self.index, number)
        return shard

    def check_sizes(self) -> None:
        """Raise StoreError for a shard file that is missing or has another size than when it was written."""
        sizes = self._remote.sizes(self._folder.name) if self._remote else None
        for entry in self.index["shards"]:
            path = self._folder / entry["name"]
            size = sizes.get(path.name) if sizes is not None else path.stat().st_size if path.exists() else None
            if size != entry["bytes"]:
                state = "is missing" if size is None else f"has {size} bytes, it was written with {entry['bytes']}"
                raise StoreError(f"{path} {state}; restore the file from a copy or run the recipe again")

    def verify(self) -> list[str]:
        """Compare every shard with its sha256; returns what is wrong, nothing when all is well."""
        problems = []
        for entry in self.index["shards"]:
            path = self._folder / entry["name"]
            if not path.exists():
                problems.append(f"{path} is missing")
            elif path.stat().st_size != entry["bytes"] or file_sha256(path) != entry["sha256"]:
                problems.append(f"{path} is not what its index says (sha256 {entry['sha256'][:12]}...)")
        return problems


def _slices(touched: list[tuple[_Touch, Lists]], n_rows: int) -> Slices:
    """The slices of a list column, in the order of the rows that were asked for."""
    counts, first = np.zeros((2, n_rows), np.int64)
    for (shard, place, batch, row), lists in touched:
        at = lists.at[batch] + row
        first[place] = shard.numbers[at]
        counts[place] = shard.numbers[at + 1] - first[place]
    ends = np.cumsum(counts)
    start, length = np.empty((2, int(counts.sum())), np.int64)
    for (shard, place, batch, _), lists in touched:
        at = lists.start[batch] + first[place], lists.length[batch] + first[place]
        _kernels.gather_slices(shard.numbers, *at, counts[place], (ends - counts)[place], start, length)
    return Slices(np.repeat(np.arange(n_rows), counts), start, length)


def groups(keys: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Each key with the places at which it stands, in order.

    >>> [(key, place.tolist()) for key, place in groups(np.array([5, 3, 5]))]
    [(3, [1]), (5, [0, 2])]
    """
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    cuts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    for place in np.split(order, cuts) if len(keys) else ():
        yield int(keys[place[0]]), place
