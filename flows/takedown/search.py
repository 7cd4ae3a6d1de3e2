"""The proof that a text is gone: every 32-byte slice of it, looked for in every file as a reader would see it.

A Parquet or Arrow file is searched raw and column by column, decompressed; tokens are spelled out first. Text shorter
than 32 bytes has no slice and is looked for by its hash and its document's doc_id only. Text that a file holds in
another spelling (JSON escapes) is found only where 32 bytes in a row are spelled alike.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.corpus.text.columns import text_column
from gristmill.flows.takedown import _kernels as kernels

TOKENS = "tokens"  # the column of token ids; other small integers, of a fitted model say, spell nothing
FILTER_BITS_A_SLICE = 16  # one window in 16 of foreign text reaches the binary search


class Slices:
    """A set of 32-byte slices. 10 bytes a slice; two slices are taken for the same when their 64-bit hashes are."""

    def __init__(self, hashes: np.ndarray):
        self._hashes = np.unique(hashes)
        n_bits = max(6, int(len(self._hashes) * FILTER_BITS_A_SLICE).bit_length())
        self._shift = np.uint64(64 - n_bits)
        self._bits = np.zeros(1 << (n_bits - 3), np.uint8)
        kernels.fill_filter(self._hashes, self._shift, self._bits)

    @classmethod
    def of(cls, texts: Iterable[pa.StringArray | pa.ChunkedArray]) -> "Slices":
        """Every slice of every text; nulls have none."""
        return cls(np.concatenate([np.empty(0, np.uint64), *(_hashes_of(column) for column in texts)]))

    def __len__(self) -> int:
        return len(self._hashes)

    def __or__(self, other: "Slices") -> "Slices":
        return Slices(np.concatenate([self._hashes, other._hashes]))

    def count_in(self, data: np.ndarray) -> int:
        """Windows of ``data uint8[n]`` that are one of the slices."""
        return int(kernels.find_windows(data, self._hashes, self._shift, self._bits, np.zeros(len(self), np.bool_)))

    def without(self, blocks: Iterable[np.ndarray]) -> "Slices":
        """The slices that occur in none of the blocks of bytes."""
        found = np.zeros(len(self), np.bool_)
        for data in blocks:
            kernels.find_windows(data, self._hashes, self._shift, self._bits, found)
        return Slices(self._hashes[~found])


def _hashes_of(column: pa.StringArray | pa.ChunkedArray) -> np.ndarray:
    text = text_column(pa.table({"text": column.drop_null()}))
    out = np.empty(max(int(text.offsets[-1]), 1), np.uint64)
    return out[: kernels.window_hashes(text.offsets, text.data, out)]


class Vocabulary:
    """The bytes that each token of a tokenizer.json stands for."""

    def __init__(self, path: Path):
        from gristmill.tokenizer.spelling import token_bytes
        from gristmill.tokenizer.tokenizer_json import read_config

        words = token_bytes(read_config(path))
        self._offsets = np.cumsum([0, *map(len, words)])
        self.table = np.frombuffer(b"".join(words), np.uint8)  # all words, one after the other

    def spell(self, ids: np.ndarray) -> np.ndarray:
        """The bytes of tokens ``ids uint[n]`` in a row."""
        out = np.empty(kernels.spelled_size(ids, self._offsets), np.uint8)
        kernels.spell(ids, self._offsets, self.table, out)
        out.flags.writeable = False  # as mapped files are: the search compiles once
        return out


def file_blocks(path: Path, vocabulary: Vocabulary | None) -> Iterator[np.ndarray]:
    """All that a file says, as blocks of bytes: raw, and for tables the text and the spelled tokens of each column."""
    if not path.stat().st_size:
        return
    yield np.memmap(path, np.uint8, "r")
    if path.suffix in (".parquet", ".arrow"):
        for batch in _batches(path):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                yield from column_blocks(column, vocabulary if name == TOKENS else None)
    if path.name == "tokenizer.json" and path.parent.name != "manifests":
        yield Vocabulary(path).table


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    if path.suffix == ".arrow":
        with pa.memory_map(str(path)) as source:
            yield from pa.ipc.open_stream(source)
        return
    with pq.ParquetFile(path, memory_map=True) as file:
        for group in range(file.num_row_groups):
            yield from file.read_row_group(group, use_threads=False).to_batches()


def column_blocks(column: pa.Array, vocabulary: Vocabulary | None = None) -> Iterator[np.ndarray]:
    """The text in a column of any nesting, and the spelling of its tokens when there is a vocabulary."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        yield _characters(column, np.int32)
    elif pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        yield _characters(column, np.int64)
    elif pa.types.is_struct(kind):
        for child in column.flatten():
            yield from column_blocks(child, vocabulary)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from column_blocks(column.flatten(), vocabulary)
    elif vocabulary is not None and kind in (pa.uint16(), pa.uint32()):
        yield vocabulary.spell(column.to_numpy(zero_copy_only=False))


def _characters(column: pa.Array, offset_type: type) -> np.ndarray:
    _, offset_buffer, data = column.buffers()
    if not len(column) or data is None:
        return np.empty(0, np.uint8)
    offsets = np.frombuffer(offset_buffer, offset_type)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]]
