"""Packed rows with the pieces of some documents overwritten by padding; every other row, and the order, as it was.

A piece is one slice of a row that belongs to one document. It leaves the row's documents and the positions that count,
so that a trainer sees padding there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import file_sha256, read_json
from gristmill.corpus.receipt import Outcome
from gristmill.handoff.plan import Plan
from gristmill.handoff.shards import INDEX, ShardWriter, buckets_in, has_targets
from gristmill.tokenizer.domain_tokens import gather_domain
from gristmill.tokenizer.pack import packed_outcome

MASKED_FILE = "masked.parquet"
MASKED = pa.schema(
    [
        pa.field("domain", pa.string(), False),
        pa.field("row", pa.int64(), False),
        pa.field("start", pa.int32(), False),  # first token in the row
        pa.field("length", pa.int32(), False),
    ]
)


@dataclass(frozen=True, slots=True)
class Erasure:
    """Whose pieces leave the rows, and the tokenizer's id for what no document fills."""

    doc_ids: tuple[str, ...]
    pad_id: int


def _batches(folder: Path) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Record batches of a folder of shards, each with its first row."""
    first = 0
    for shard in read_json(folder / INDEX)["shards"]:
        with pa.memory_map(str(folder / shard["name"])) as source:
            for batch in pa.ipc.open_stream(source):
                yield first, batch
                first += batch.num_rows


def _marked(documents: pa.ListArray, gone: pa.Array) -> tuple[pa.StructArray, np.ndarray, np.ndarray]:
    """All slices of a batch, the row of each in the batch, and whether its document is ``gone``."""
    slices = documents.flatten()
    row = np.repeat(np.arange(len(documents)), documents.value_lengths().to_numpy())
    return slices, row, pc.is_in(slices.field("doc_id"), value_set=gone).to_numpy(zero_copy_only=False)


def pieces_of(folder: Path, domain: str, doc_ids: Sequence[str]) -> pa.Table:
    """The pieces of ``doc_ids`` in a domain's folder of shards, as ``MASKED`` rows in order."""
    gone, found = pa.array(doc_ids, pa.string()), [MASKED.empty_table()]
    for first, batch in _batches(folder):
        slices, row, hit = _marked(batch.column("documents"), gone)
        place = [
            pa.array(first + row[hit]),
            *(slices.field(name).filter(pa.array(hit)) for name in ("start", "length")),
        ]
        found.append(pa.table([pa.array([domain] * int(hit.sum()), pa.string()), *place], schema=MASKED))
    return pa.concat_tables(found).combine_chunks()


def overwrite_rows(
    shards: Path,
    tokens: Sequence[Path],
    folder: Path,
    *,
    domain: str,
    heldout: bool,
    erasure: Erasure,
) -> Outcome:
    """Write the rows of ``shards`` into ``folder`` with padding in place of the pieces of the erased documents.

    Parameters
    ----------
    shards : a domain's packed rows
    tokens : tokens.parquet of every part, of the documents that stay

    Raises
    ------
    StoreError : what stays in the rows is not what the tokens hold: the rows were packed from others
    """
    write_overwritten(shards, folder, erasure)
    index = read_json(shards / INDEX)
    with gather_domain(tokens, folder, domain, heldout, index["vocab_size"]) as gathered:
        kept, masked = read_json(folder / INDEX), gathered.targets is not None  # then rows need not hold every token
        outcome = packed_outcome(gathered, index["rows"], index["row_tokens"], kept["tokens"] if masked else None)
    if not masked and (outcome.facts["tokens"], outcome.facts["documents"]) != (kept["tokens"], kept["documents"]):
        raise StoreError(
            f"{shards}: without these documents the rows hold {kept['tokens']} tokens of {kept['documents']} documents "
            f"and the stage tokens {outcome.facts['tokens']} of {outcome.facts['documents']}"
        )
    return outcome


def write_overwritten(shards: Path, folder: Path, erasure: Erasure) -> None:
    """The same rows in the same files and record batches, padding in place of the pieces of the erased documents."""
    index, gone = read_json(shards / INDEX), pa.array(erasure.doc_ids, pa.string())
    sizes = {name: index[name] for name in ("row_tokens", "vocab_size", "shard_rows", "batch_rows")}
    with ShardWriter(folder, **sizes, targets=has_targets(index)).with_buckets(buckets_in(index)) as writer:
        for _, batch in _batches(shards):
            for number, part in _by_bucket(batch):
                writer.write(*_overwritten(part, gone, erasure.pad_id), bucket=number)


def _by_bucket(batch: pa.RecordBatch) -> Iterator[tuple[int | None, pa.RecordBatch]]:
    """The rows of each bucket, which follow each other; all of them under None where there are none."""
    if "bucket" not in batch.schema.names or not batch.num_rows:
        yield (0 if "bucket" in batch.schema.names else None), batch
        return
    numbers = batch.column("bucket").to_numpy()
    cuts = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(numbers)]
    for first, stop in pairwise(cuts):
        yield int(numbers[first]), batch.slice(first, stop - first)


def _overwritten(batch: pa.RecordBatch, gone: pa.Array, pad_id: int) -> tuple[Any, ...]:
    """Tokens, documents and, where the batch has them, targets."""
    slices, row, hit = _marked(batch.column("documents"), gone)
    column = batch.column("tokens")
    tokens = column.flatten().to_numpy().reshape(batch.num_rows, column.type.list_size).copy()
    start, length = (slices.field(name).to_numpy() for name in ("start", "length"))
    inside = np.zeros(tokens.shape, bool)
    for at in np.flatnonzero(hit):
        inside[row[at], start[at] : start[at] + length[at]] = True
    tokens[inside] = pad_id
    stays = np.bincount(row[~hit], minlength=batch.num_rows)
    offsets = pa.array(np.append(0, np.cumsum(stays)).astype(np.int32))
    documents = pa.ListArray.from_arrays(offsets, slices.filter(pa.array(~hit)))
    if "targets" not in batch.schema.names:
        return tokens, documents
    return tokens, documents, [_left(one, inside[at]) for at, one in enumerate(batch.column("targets").to_pylist())]


def _left(targets: list[dict[str, int]], inside: np.ndarray) -> list[dict[str, int]]:
    """The slices of ``targets`` without the positions ``inside bool[L]``."""
    if not inside.any():
        return targets
    counts = np.zeros(len(inside) + 2, bool)
    for one in targets:
        counts[1 + one["start"] : 1 + one["start"] + one["length"]] = True
    counts[1:-1] &= ~inside
    begin, stop = (np.flatnonzero(counts[1:] & ~counts[:-1]), np.flatnonzero(~counts[1:] & counts[:-1]))
    return [{"start": a, "length": b - a} for a, b in zip(begin.tolist(), stop.tolist(), strict=True)]


def restamp_plan(
    plan: Path, shards: Mapping[str, Path], masked: pa.Table, facts: Mapping[str, Any], folder: Path
) -> Outcome:
    """Write the same plan over the overwritten ``shards`` (a folder for each domain), and masked.parquet beside it."""
    before = Plan.load(plan)
    domains = tuple(replace(one, index=file_sha256(shards[one.name] / INDEX)) for one in before.domains)
    after = replace(before, domains=domains)
    after.save(folder)
    earlier = plan / MASKED_FILE
    tables = [pq.read_table(earlier, schema=MASKED), masked] if earlier.exists() else [masked]
    pq.write_table(pa.concat_tables(tables), folder / MASKED_FILE)
    return Outcome(after.samples, facts={**facts, "digest": after.digest})
