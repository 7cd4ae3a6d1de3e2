"""The target ``megatron``: documents as Megatron-LM and its kin read them, a ``.bin`` of ids and an ``.idx`` beside it.

Source of the format: megatron-core 0.16.1, ``megatron/core/datasets/indexed_dataset.py``. Its dataset cuts samples out
of documents laid end to end, in an order that it draws itself. So what is written are the documents of the rows, each
whole again and a sequence of its own, without padding; a loss mask or the order of a plan the format cannot hold.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gristmill.corpus.errors import StoreError
from gristmill.corpus.whole_columns import coded
from gristmill.flows.export.document_count import DocumentCount
from gristmill.flows.export.part_files import AsideFiles
from gristmill.flows.export.row_blocks import DomainRows, block_rows
from gristmill.flows.export.row_export import PackedRun, check_options, exported
from gristmill.flows.export.row_part import Layout
from gristmill.flows.export.target import PLAN_ORDER, Exported, ExportedFile, ExportOptions
from gristmill.flows.pipeline.context import RunContext
from gristmill.handoff.row_digest import within

HEADER = b"MMIDIDX\x00\x00"
TYPE_CODES = {"uint16": 8, "int32": 4}  # of DType; ids beyond uint16 are written as int32, there is no uint32
WINDOW_TOKENS = 1 << 22  # of documents, gathered at a time


class Pieces(NamedTuple):
    """The pieces of a domain's documents, those of one document together and in order; int64 [n_pieces]."""

    row: np.ndarray
    start: np.ndarray
    length: np.ndarray
    document: np.ndarray  # number of the document, counted up from 0

    def slice(self, begin: int, end: int) -> "Pieces":
        """Pieces ``begin`` to ``end``."""
        return Pieces(*(column[begin:end] for column in self))


def export_megatron(context: RunContext, folder: Path, options: ExportOptions) -> Exported:
    """``.bin`` and ``.idx`` of whole documents.

    Raises
    ------
    StoreError : rows have loss masks, or a plan's order is asked for: the format holds neither
    """
    check_options(context, options)
    rows, count = PackedRun(context), DocumentCount()
    if rows.layout.masked:
        raise StoreError("megatron: .bin and .idx hold no loss mask, and rows of this run have one; write --to mds")
    if options.order == PLAN_ORDER:
        raise StoreError("megatron: its dataset draws its own order of documents; write --to mds --order plan")
    files: list[ExportedFile] = []
    for name, domains in rows.both():
        chosen = [{place: one} for place, one in domains.items()] if options.by else [domains]
        for some in chosen:
            below = f"{name}/{rows.names[next(iter(some))]}" if options.by else name
            files += _write(folder, below, some, rows.layout, count)
    return exported(context, options, files, rows.layout, count)


def _write(
    export: Path, folder: str, domains: Mapping[int, DomainRows], layout: Layout, count: DocumentCount
) -> list[ExportedFile]:
    done: list[ExportedFile] = []
    for one in domains.values():
        for pieces in _parts(pieces_of(one, count), layout):
            files = AsideFiles(export, folder, f"part-{len(done) // 2:05d}")
            done += files.commit(_write_part(files, one, pieces))
    return done


def pieces_of(one: DomainRows, count: DocumentCount) -> Pieces:
    """Every piece of a domain: documents in the order of their first piece in the rows. Memory: 80 bytes for each."""
    found, step = [], block_rows(one.reader)
    for first in range(0, one.reader.rows, step):
        rows = np.arange(first, min(first + step, one.reader.rows))
        documents = one.documents(rows)
        count.add(documents)
        pieces = pa.Table.from_struct_array(documents.flatten())
        found.append(pieces.append_column("row", pa.array(rows.repeat(documents.value_lengths().to_numpy()))))
    if not sum(map(len, found)):  # padding alone: a retrained takedown took all documents of the domain
        return Pieces(*np.zeros((4, 0), np.int64))
    table = pa.concat_tables(found)
    number = coded(table["doc_id"]).indices.to_numpy()  # in order of first appearance
    row, start, length, offset = (table[name].to_numpy() for name in ("row", "start", "length", "offset"))
    place = np.arange(len(row))
    begins = np.empty(number.max() + 1, np.int64)
    begins[number[offset == 0]] = place[offset == 0]
    order = np.lexsort((offset, begins[number]))
    document = np.cumsum(np.diff(number[order], prepend=number[order[0]]) != 0)
    return Pieces(row[order], start[order].astype(np.int64), length[order].astype(np.int64), document)


def _parts(pieces: Pieces, layout: Layout) -> Iterator[Pieces]:
    """Pieces cut between documents, so that a part has about as many tokens as its rows would."""
    yield from _cut(pieces, layout.part_rows * layout.row_tokens)


def _cut(pieces: Pieces, tokens: int) -> Iterator[Pieces]:
    begins = np.append(np.flatnonzero(np.diff(pieces.document, prepend=-1)), len(pieces.document))
    ends = np.concatenate([[0], np.cumsum(pieces.length)])[begins]
    first = 0
    while first < len(begins) - 1:
        last = max(first + 1, int(np.searchsorted(ends, ends[first] + tokens, side="right")) - 1)
        yield pieces.slice(int(begins[first]), int(begins[last]))
        first = last


def _write_part(files: AsideFiles, one: DomainRows, pieces: Pieces) -> int:
    """Write both files; returns the number of documents."""
    kind = "uint16" if one.reader.dtype == np.uint16 else "int32"
    with files.path("bin").open("wb") as ids:
        for window in _cut(pieces, WINDOW_TOKENS):
            ids.write(gathered(one, window).astype(kind, copy=False).data)
    documents = np.bincount(pieces.document - pieces.document[0], pieces.length).astype(np.int64)
    files.path("idx").write_bytes(index_bytes(documents, kind))
    return len(documents)


def gathered(one: DomainRows, pieces: Pieces) -> np.ndarray:
    """The ids of pieces, one after the other."""
    rows, place = np.unique(pieces.row, return_inverse=True)
    tokens = one.reader.tokens(rows)
    begin = place * tokens.shape[1] + pieces.start
    return tokens.reshape(-1)[np.repeat(begin, pieces.length) + within(pieces.length)]


def index_bytes(lengths: np.ndarray, kind: str) -> bytes:
    """The ``.idx`` of documents of one sequence each: tokens, first byte, and where every document begins.

    Parameters
    ----------
    lengths : int64 [n_documents], tokens
    kind : of the ids, a key of ``TYPE_CODES``
    """
    n = len(lengths)
    counts = np.array([n, n + 1], np.uint64).tobytes()
    pointers = (np.cumsum(lengths) - lengths) * np.dtype(kind).itemsize
    head = HEADER + np.uint64(1).tobytes() + bytes([TYPE_CODES[kind]]) + counts
    return head + lengths.astype(np.int32).tobytes() + pointers.tobytes() + np.arange(n + 1, dtype=np.int64).tobytes()
