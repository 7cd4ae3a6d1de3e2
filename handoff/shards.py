"""Shards: packed rows as Arrow IPC stream files, with a digest for every record batch.

The folder opens with ``gristmill.handoff.reader``, with any Arrow library, and with ``datasets.load_from_disk``.
Which documents share a row is decided by the packer, not here.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gristmill.handoff.durable import content_key, file_sha256, write_json
from gristmill.handoff.failures import SchemaError
from gristmill.handoff.row_schema import rows_schema, token_type
from gristmill.handoff.rows import Lists, count_documents, digests, row_batch

INDEX = "index.json"
FORMAT = "gristmill-rows-1"
FORMAT_WITH_MORE = "gristmill-rows-2"  # one more column or two, targets and bucket; all else is as in the first


def has_targets(index: Mapping[str, Any]) -> bool:
    """Whether rows say which predicted tokens count; rows without the column count them all."""
    return index["format"] == FORMAT_WITH_MORE and "targets" in index.get("columns", ["targets"])


def buckets_in(index: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the buckets of the rows are, in order, with ``rows`` of each; empty where rows have none."""
    return index.get("buckets", [])


class ShardWriter:
    """``with ShardWriter(folder, ...) as writer: writer.write(tokens, documents)``; the index is written at exit.

    Parameters
    ----------
    folder : an existing or new folder without shards
    row_tokens : tokens in every row
    vocab_size : ids are below it; up to 65,536 they are stored as uint16, beyond as uint32
    shard_rows : rows in every shard file but the last
    batch_rows : rows in every record batch but a shard's last: the unit of the digests
    targets : whether rows say which predicted tokens count; without it all do, and the bytes are those of format 1

    Rows keep the order in which they were written: row r stands in shard ``r // shard_rows``.
    Memory: one record batch. The bytes depend on the rows alone, not on how calls of ``write`` cut them.
    """

    def __init__(
        self, folder: Path, *, row_tokens: int, vocab_size: int, shard_rows: int, batch_rows: int, targets: bool = False
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._row_tokens, self._vocab_size = row_tokens, vocab_size
        self._shard_rows, self._batch_rows = shard_rows, min(batch_rows, shard_rows)
        self._schema = rows_schema(row_tokens, token_type(vocab_size), targets=targets)
        self._format = FORMAT_WITH_MORE if targets else FORMAT
        self._buckets: list[dict[str, Any]] = []
        self._pending: list[pa.RecordBatch] = []
        self._room = self._batch_rows  # rows that the open record batch still takes
        self._shards: list[_ShardFile] = []
        self._tokens = self._documents = 0

    def with_buckets(self, buckets: Sequence[Mapping[str, Any]]) -> "ShardWriter":
        """The same writer for rows that lie in buckets, before any is written; itself where there are none.

        Parameters
        ----------
        buckets : plain values that describe each, which stand in the index with the number of its rows
        """
        self._buckets = [dict(one) | {"rows": 0} for one in buckets]
        if buckets:
            self._format, names = FORMAT_WITH_MORE, self._schema.names
            options = {"targets": "targets" in names, "bucket": True}
            self._schema = rows_schema(self._row_tokens, token_type(self._vocab_size), **options)
        return self

    def write(
        self, tokens: np.ndarray, documents: Lists, targets: Lists | None = None, bucket: int | None = None
    ) -> None:
        """Append rows.

        Parameters
        ----------
        tokens : integers [n_rows, row_tokens], 0 <= id < vocab_size
        documents : n_rows lists of ``corpus.schema.ROW_DOCUMENT``, each in order of ``start`` and without overlap
        targets : n_rows lists of ``ROW_TARGETS``, likewise; for a folder of rows with ``targets`` and for no other
        bucket : the number of their bucket, likewise; no smaller than that of the rows before

        Raises
        ------
        SchemaError : a shape, an id or a slice is not as above, or a bucket out of order
        """
        batch = row_batch(tokens, documents, self._vocab_size, targets, bucket)
        if batch.schema.names != self._schema.names:
            raise SchemaError(f"rows have {', '.join(batch.schema.names)}, the folder {', '.join(self._schema.names)}")
        if batch.schema != self._schema:
            raise SchemaError(f"rows of {tokens.shape[1]} tokens in a folder of {self._row_tokens} (shards.row_tokens)")
        self._count(bucket, batch.num_rows)
        n_tokens, n_documents = count_documents(batch)
        self._tokens += n_tokens
        self._documents += n_documents
        while batch.num_rows:
            head, batch = batch.slice(0, self._room), batch.slice(self._room)
            self._pending.append(head)
            self._room -= head.num_rows
            if not self._room:
                self._flush()

    def _count(self, bucket: int | None, n_rows: int) -> None:
        if bucket is not None:
            if not 0 <= bucket < len(self._buckets) or any(one["rows"] for one in self._buckets[bucket + 1 :]):
                raise SchemaError(f"rows of bucket {bucket} of {len(self._buckets)} come after those of a later one")
            self._buckets[bucket]["rows"] += n_rows

    def _flush(self) -> None:
        """Close the open record batch."""
        shard = self._open_shard()
        # one copy: the file and the digests see plain buffers that start at zero, whatever slices came in
        shard.append(
            pa.concat_batches(self._pending) if self._pending else pa.RecordBatch.from_pylist([], self._schema)
        )
        self._pending = []
        self._room = min(self._batch_rows, self._shard_rows - shard.rows or self._shard_rows)

    def _open_shard(self) -> "_ShardFile":
        if self._shards and self._shards[-1].rows < self._shard_rows:
            return self._shards[-1]
        if self._shards:
            self._shards[-1].close()
        self._shards.append(_ShardFile(self._folder / f".data-{len(self._shards):05d}.tmp", self._schema))
        return self._shards[-1]

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and (self._pending or not self._shards):  # zero rows are one empty batch: readers see a schema
            self._flush()
        if self._shards:
            self._shards[-1].close()
        if kind is None:
            self._publish()

    def _publish(self) -> None:
        n_shards = len(self._shards)
        shards = [shard.publish(f"data-{n:05d}-of-{n_shards:05d}.arrow") for n, shard in enumerate(self._shards)]
        index = {
            "format": self._format,
            "rows": sum(shard["rows"] for shard in shards),
            "row_tokens": self._row_tokens,
            "token_type": str(token_type(self._vocab_size)),
            "vocab_size": self._vocab_size,
            "tokens": self._tokens,  # of documents, without padding
            "documents": self._documents,  # that begin here; the later pieces of a long one do not count
            "shard_rows": self._shard_rows,
            "batch_rows": self._batch_rows,
            "shards": shards,
        }
        if self._buckets:
            index |= {"columns": self._schema.names, "buckets": self._buckets}
        _write_datasets_files(self._folder, [shard["name"] for shard in shards], content_key(index))
        write_json(self._folder / INDEX, index)


class _ShardFile:
    """One shard that is being written."""

    def __init__(self, path: Path, schema: pa.Schema):
        self.rows = 0
        self._path = path
        self._batches: list[dict] = []
        self._writer = pa.ipc.new_stream(path, schema)  # load_from_disk refuses the IPC *file* format

    def append(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)
        self._batches.append({"rows": batch.num_rows, **digests(batch)})
        self.rows += batch.num_rows

    def close(self) -> None:
        self._writer.close()

    def publish(self, name: str) -> dict:
        path = self._path.replace(self._path.with_name(name))
        size, digest = path.stat().st_size, file_sha256(path)
        return {"name": name, "rows": self.rows, "bytes": size, "sha256": digest, "batches": self._batches}


def _write_datasets_files(folder: Path, names: list[str], fingerprint: str) -> None:
    """The two files that ``datasets.load_from_disk`` asks for; it needs every key of ``state.json``."""
    state = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    write_json(folder / "state.json", state)
    write_json(folder / "dataset_info.json", {})
