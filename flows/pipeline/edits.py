"""The stage ``edits``: the spans of all stages that cut or mask, as one list for each kept document.

Spans of several stages overlap. A stage that finds them passes all bytes on in its account; here every byte is counted
once, in the account and by reason. Text is rewritten later, once, when it is encoded.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.account import Account
from gristmill.corpus.receipt import Manifest, Outcome
from gristmill.corpus.span_tables import merge_spans, put_spans
from gristmill.corpus.tables import WRITTEN, read_part
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.jobs import Job, Ref, job_key
from gristmill.flows.pipeline.stages import Instance, finds_spans

SPANS_FILE = "spans.parquet"


def edit(context: RunContext, stage: Instance) -> Manifest | None:
    """All spans of a document merged into one list; only where some stage cuts or masks.

    Where two stages cut the same byte, the span that starts first gives the reason, then the earlier stage.
    """
    stages = [one.name for one in context.stages if finds_spans(one.spec) and context.run.has(one.name)]
    if not stages:
        return None
    spans = [Ref(part, SPANS_FILE) for name in stages for part in context.run.manifest(name).parts]
    decided = context.run.manifest("decide")
    inputs = [decided.key, *(context.run.manifest(name).key for name in stages)]
    key = job_key(stage.name, stage.spec.version, inputs)
    kept_bytes = {source: account.bytes_kept for source, account in decided.accounts.items()}
    arguments = {"kept": Ref(decided.parts[0], "kept.parquet"), "spans": spans, "kept_bytes": kept_bytes}
    return context.compute(stage.name, [Job(stage.name, key, edit_stage, arguments)])


def edit_stage(kept: Path, spans: Sequence[Path], kept_bytes: Mapping[str, int], folder: Path) -> Outcome:
    """Write kept.parquet with every document's spans; bytes_dropped of the account are those that removals cut.

    Parameters
    ----------
    kept_bytes : text bytes of the documents that each source keeps, as ``decide`` accounts for them
    """
    table = read_part(kept)
    merged = put_spans(table, merge_spans([read_part(path) for path in spans]))
    pq.write_table(merged, folder / "kept.parquet", **WRITTEN)
    n_spans = pc.sum(pc.list_value_length(merged["spans"])).as_py() or 0
    facts = {"spans": n_spans, "by_reason": count_reasons(merged)}
    return Outcome(merged.num_rows, edit_accounts(merged, kept_bytes), facts)


def edit_accounts(kept: pa.Table, kept_bytes: Mapping[str, int]) -> dict[str, Account]:
    """By source: documents kept, bytes before, and bytes that stay (masked bytes count as staying)."""
    import polars as pl

    frame = pl.DataFrame(kept.select(["source"])).with_columns(cut=bytes_cut(kept["spans"]))
    totals = frame.group_by("source").agg(pl.len(), pl.col("cut").sum()).sort("source")
    return {
        source: Account(n, n, 0, 0, kept_bytes[source], kept_bytes[source] - cut, cut, 0)
        for source, n, cut in totals.iter_rows()
    }


def count_reasons(kept: pa.Table) -> dict[str, dict[str, dict[str, int]]]:
    """By source and reason: spans, bytes, and documents that have one. Spans of a document are disjoint.

    The bytes of all reasons that are no mask add up to the bytes that ``edit_accounts`` drops.
    """
    import polars as pl

    frame = (
        pl.DataFrame(kept.select(["doc_id", "source", "spans"])).explode("spans").unnest("spans").drop_nulls("start")
    )
    size = (pl.col("end") - pl.col("start")).cast(pl.Int64).sum()
    counted = frame.group_by("source", "reason").agg(spans=pl.len(), bytes=size, documents=pl.col("doc_id").n_unique())
    found: dict[str, dict[str, dict[str, int]]] = {}
    for row in counted.sort("source", "reason").to_dicts():
        found.setdefault(row.pop("source"), {})[row.pop("reason")] = row
    return found


def bytes_cut(spans: pa.ChunkedArray) -> np.ndarray:
    """int64[n_docs]: bytes that the removals of each document cut out; masks cut none."""
    return np.concatenate([np.zeros(0, np.int64), *(_bytes_cut(chunk) for chunk in spans.chunks)])


def _bytes_cut(spans: pa.ListArray) -> np.ndarray:
    flat, parents = spans.flatten(), pc.list_parent_indices(spans).to_numpy()
    length = pc.subtract(flat.field("end"), flat.field("start")).to_numpy()
    removes = ~pc.starts_with(flat.field("reason"), "mask:").to_numpy(zero_copy_only=False)
    return np.bincount(parents, length * removes, minlength=len(spans)).astype(np.int64)
