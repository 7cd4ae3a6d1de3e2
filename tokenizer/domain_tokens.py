"""One domain's token ids out of all parts, in order of doc_id, with the ids on disk instead of in memory."""

import mmap
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import SchemaError
from gristmill.corpus.schema import ROW_TARGETS, expect_columns, token_type

LIGHT = ["doc_id", "source", "domain", "heldout"]


@dataclass(frozen=True, slots=True)
class DomainTokens:
    """Document d, in order of doc_id, is ``ids[begins[d]:begins[d] + lengths[d]]``."""

    doc_ids: pa.LargeStringArray
    sources: pa.Array  # dictionary-encoded text
    begins: np.ndarray  # int64 [n_docs]
    lengths: np.ndarray  # int64 [n_docs], tokens
    ids: np.ndarray  # uint16 or uint32 [n_tokens], read-only, mapped from disk
    targets: "Targets | None" = None  # None where every token of every document counts

    def __len__(self) -> int:
        """Number of documents."""
        return len(self.lengths)

    def window(self, first: int, n: int) -> "DomainTokens":
        """Documents first to first + n."""
        at = slice(first, first + n)
        targets = self.targets and self.targets.window(first, n)
        return DomainTokens(self.doc_ids[at], self.sources[at], self.begins[at], self.lengths[at], self.ids, targets)

    def take(self, at: np.ndarray) -> "DomainTokens":
        """The documents at these places, int64[m], in this order; the ids stay where they are."""
        chosen = pa.array(at)
        targets = self.targets and self.targets.take(at)
        begins, lengths = self.begins[at], self.lengths[at]
        return DomainTokens(self.doc_ids.take(chosen), self.sources.take(chosen), begins, lengths, self.ids, targets)


class Targets(NamedTuple):
    """Predicted tokens that count: of document d the stretches offsets[d] to offsets[d + 1], all int64."""

    offsets: np.ndarray  # [n_docs + 1]
    start: np.ndarray  # first token in the document
    length: np.ndarray

    def window(self, first: int, n: int) -> "Targets":
        """Those of documents first to first + n."""
        return Targets(self.offsets[first : first + n + 1], self.start, self.length)

    def take(self, at: np.ndarray) -> "Targets":
        """Those of the documents at these places."""
        count = np.diff(self.offsets)[at]
        offsets = np.append(0, np.cumsum(count))
        place = np.repeat(self.offsets[at] - offsets[:-1], count) + np.arange(offsets[-1])
        return Targets(offsets, self.start[place], self.length[place])


@contextmanager
def gather_domain(
    tokens: Sequence[Path], folder: Path, domain: str, heldout: bool, vocab_size: int
) -> Iterator[DomainTokens]:
    """Collect the domain's documents; the mapped file lives until the context ends and never has a name.

    Parameters
    ----------
    tokens : tokens.parquet of every part
    folder : where the file with the ids is made

    Raises
    ------
    SchemaError : a part was encoded with a vocabulary of another size class
    """
    kind = token_type(vocab_size)
    columns: list[pa.Table] = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for path in tokens:
            columns += _copy_part(path, file, domain, heldout, kind)
        yield _sorted_by_id(pa.concat_tables(_with_targets(columns)) if columns else None, _mapped(file, kind))


def _with_targets(tables: list[pa.Table]) -> list[pa.Table]:
    """Where some documents have targets, the others count whole."""
    if all("targets" not in table.schema.names for table in tables):
        return tables
    return [table if "targets" in table.schema.names else _all_count(table) for table in tables]


def _all_count(table: pa.Table) -> pa.Table:
    length = table["length"].combine_chunks().cast(pa.int32())
    whole = pa.StructArray.from_arrays(
        [pa.repeat(pa.scalar(0, pa.int32()), len(length)), length], fields=list(ROW_TARGETS)
    )
    offsets = pa.array(np.arange(len(length) + 1, dtype=np.int32))
    return table.append_column("targets", pa.ListArray.from_arrays(offsets, whole))


def _copy_part(path: Path, file: BinaryIO, domain: str, heldout: bool, kind: pa.DataType) -> Iterator[pa.Table]:
    """Append the ids of the wanted documents to ``file``; yields their other columns, one table per row group."""
    with pq.ParquetFile(path, memory_map=True) as part:
        expect_columns(part.schema_arrow, (*LIGHT, "tokens"), str(path))
        if part.schema_arrow.field("tokens").type.value_type != kind:
            raise SchemaError(f"{path} holds {part.schema_arrow.field('tokens').type}, expected lists of {kind}")
        for group in range(part.num_row_groups):
            light = part.read_row_group(group, columns=LIGHT, use_threads=False)
            wanted = pc.and_(pc.equal(light["domain"], domain), pc.equal(light["heldout"], heldout))
            if not pc.any(wanted).as_py():  # most groups are of one domain: their tokens are not even decoded
                continue
            tokens = part.read_row_group(group, columns=["tokens"], use_threads=False)["tokens"]
            lengths = _write_ids(tokens.combine_chunks(), wanted.to_numpy(), file)
            source = light["source"].filter(wanted).cast(pa.dictionary(pa.int32(), pa.string()))
            columns = {"doc_id": light["doc_id"].filter(wanted), "source": source, "length": lengths}
            if "targets" in part.schema_arrow.names:
                targets = part.read_row_group(group, columns=["targets"], use_threads=False)["targets"]
                columns["targets"] = targets.filter(wanted)
            yield pa.table(columns)


def _write_ids(lists: pa.LargeListArray, wanted: np.ndarray, file: BinaryIO) -> np.ndarray:
    """Append the ids of the wanted lists, of neighbours at once, without a copy of them; the lengths, int64."""
    ids, offsets = lists.flatten().to_numpy(), lists.offsets.to_numpy() - lists.offsets[0].as_py()
    ends = np.flatnonzero(np.diff(wanted, prepend=False, append=False))
    for start, stop in ends.reshape(-1, 2):
        file.write(memoryview(ids[offsets[start] : offsets[stop]]))
    return np.diff(offsets)[wanted]


def _mapped(file: BinaryIO, kind: pa.DataType) -> np.ndarray:
    file.flush()
    dtype = np.dtype(kind.to_pandas_dtype())
    if not file.tell():
        return np.empty(0, dtype)
    return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype)


def _sorted_by_id(columns: pa.Table | None, ids: np.ndarray) -> DomainTokens:
    if columns is None:
        empty = np.empty(0, np.int64)
        return DomainTokens(pa.array([], pa.large_string()), pa.array([], pa.string()), empty, empty, ids)
    lengths = columns["length"].to_numpy()
    order = pc.sort_indices(columns, [("doc_id", "ascending")])
    doc_ids = columns["doc_id"].cast(pa.large_string()).take(order).combine_chunks()
    sources = columns["source"].unify_dictionaries().combine_chunks().take(order)
    begins = np.cumsum(lengths) - lengths
    at = order.to_numpy()
    targets = _targets(columns["targets"].take(order).combine_chunks()) if "targets" in columns.schema.names else None
    return DomainTokens(doc_ids, sources, begins[at], lengths[at], ids, targets)


def _targets(lists: pa.ListArray) -> Targets:
    offsets = np.concatenate([[0], np.cumsum(lists.value_lengths().to_numpy())]).astype(np.int64)
    start, length = (lists.flatten().field(name).to_numpy().astype(np.int64) for name in ("start", "length"))
    return Targets(offsets, start, length)
