"""What proxy runs consumed in coordinates of stored signals: a basis for the recipe, and the histogram of every row."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gristmill.corpus.receipt import Outcome
from gristmill.corpus.tables import read_part
from gristmill.corpus.whole_columns import index_in, is_in
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.jobs import Job, Ref, job_key, resolve
from gristmill.flows.pipeline.row_order import signal_refs
from gristmill.handoff.piece_index import document_lists
from gristmill.mixing.signal_basis import AXES, Basis, freeze, row_histograms

STAGE, VERSION = "row-signals", "1"
HISTOGRAMS = "histograms.npy"


def basis_of(context: RunContext) -> Basis:
    """The basis that [tune] names, or one that is frozen on the recipe's own kept documents."""
    tune = context.recipe.tune
    if tune and tune.basis:
        return Basis.load(Path(tune.basis))
    tables = {name: resolve(context.store, list(signal_refs(context, name))) for name in AXES}
    kept = read_part(context.file("decide", "kept.parquet"), ["part", "row"])
    sizes = kept_values(kept, tables[AXES[0]], "bytes")
    values = {name: kept_values(kept, paths, name) for name, paths in tables.items()}
    return freeze(values, sizes.astype(np.int64), context.recipe.sources_by_domain)


def kept_values(kept: pa.Table, paths: Sequence[Path], signal: str) -> np.ndarray:
    """float64[n]: a signal of kept documents, out of the table of every documents part; NaN without tables."""
    part, row = (kept[name].to_numpy() for name in ("part", "row"))
    values = np.full(len(kept), np.nan)
    for number in np.unique(part).tolist() if paths else ():
        column = read_part(paths[number], [signal])[signal].to_numpy()
        values[part == number] = column[row[part == number]]
    return values


def histogram_jobs(context: RunContext, basis: Basis) -> dict[str, Job]:
    """A job for the rows of each domain."""
    kept = context.run.manifest("decide").parts[0]
    known = {name for stage in context.stages for name in stage.signals}
    named = [axis.signal for axis in basis.axes]
    signals = {name: list(signal_refs(context, name)) if name in known else [] for name in named}
    measured = [ref.receipt.key for refs in signals.values() for ref in refs]
    jobs = {}
    for domain, shards in zip(context.recipe.domains, context.run.manifest("shards").parts, strict=True):
        inputs = [kept.key, shards.key, *measured]
        key = job_key(STAGE, VERSION, inputs, basis=basis.digest, domain=domain)
        arguments: dict[str, Any] = {"shards": Ref(shards, ""), "kept": Ref(kept, "kept.parquet"), "signals": signals}
        jobs[domain] = Job(STAGE, key, write_histograms, arguments | {"basis": basis})
    return jobs


def write_histograms(
    folder: Path, shards: Path, kept: Path, signals: Mapping[str, Sequence[Path]], basis: Basis
) -> Outcome:
    """Write the histogram of every row of one domain; rows = rows."""
    doc_ids, row, length = pieces_of_rows(shards)
    table = read_part(kept, ["doc_id", "part", "row"])
    table = table.filter(is_in(table["doc_id"], doc_ids))
    values = {name: kept_values(table, paths, name) for name, paths in signals.items()}
    piece = index_in(doc_ids, table["doc_id"]).to_numpy()
    n_rows = int(row[-1]) + 1 if len(row) else 0
    found = row_histograms(basis.cells_of(values), piece, row, length, (n_rows, basis.cells))
    np.save(folder / HISTOGRAMS, found, allow_pickle=False)
    return Outcome(n_rows)


def pieces_of_rows(shards: Path) -> tuple[pa.ChunkedArray, np.ndarray, np.ndarray]:
    """doc_id, row and tokens of every piece of a domain, in order of rows."""
    ids, rows, lengths, first = [pa.array([], pa.string())], [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
    for documents in document_lists(shards):
        counts, flat = documents.value_lengths().to_numpy(), documents.flatten()
        ids.append(flat.field("doc_id"))
        lengths.append(flat.field("length").to_numpy().astype(np.int64))
        rows.append(np.repeat(first + np.arange(len(counts)), counts))
        first += len(counts)
    return pa.chunked_array(ids), np.concatenate(rows), np.concatenate(lengths)
