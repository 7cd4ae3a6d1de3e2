"""Stages that cut kept text: repeated lines and substrings, masks; as spans, applied once when the text is encoded.

Spans of several stages overlap. A stage that finds them passes all bytes on in its account, and says what it found in
its facts; ``edits`` makes one list of them, and its account and its facts by reason count every byte once.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.account import Account
from gristmill.corpus.receipt import Manifest, Outcome
from gristmill.corpus.span_tables import merge_spans, put_spans
from gristmill.flows.pipeline.context import Mill
from gristmill.flows.pipeline.each_part import DOCUMENTS
from gristmill.flows.pipeline.jobs import Job, Ref, job_key
from gristmill.flows.pipeline.kept import kept_by_part, kept_digest
from gristmill.flows.pipeline.versions import stage_version

VERSION = "2"  # of ``edits``
SPANS = "spans.parquet"
SPAN_STAGES = (
    "line_edits",
    "lines",
    "substrings",
    "pii",
)  # where two cut the same byte, the earlier span gives the reason


def cut_lines(mill: Mill) -> Manifest | None:
    """Lines or paragraphs that an earlier kept document has; only with [dedup.lines]."""
    if mill.recipe.dedup.lines is None:
        return None
    from gristmill.dedup.repeats.lines import line_spans

    return _global_cut(mill, "lines", line_spans, mill.recipe.dedup.lines.model_dump())


def cut_substrings(mill: Mill) -> Manifest | None:
    """Runs of tokens that an earlier kept document has; only with [dedup.substrings]."""
    if mill.recipe.dedup.substrings is None:
        return None
    from gristmill.dedup.repeats.substrings import substring_spans

    return _global_cut(mill, "substrings", substring_spans, mill.recipe.dedup.substrings.model_dump())


def _global_cut(mill: Mill, stage: str, function: Any, options: dict[str, Any]) -> Manifest:
    kept = kept_by_part(mill, "decide")
    inputs = [
        [part.key, kept_digest(rows)] for part, rows in zip(mill.run.manifest("documents").parts, kept, strict=True)
    ]
    key = job_key(stage, stage_version(stage), inputs, **options)
    arguments = {"documents": mill.refs("documents", DOCUMENTS), "kept": kept, **options}
    return mill.stage(stage, [Job(stage, key, function, arguments)])


def edit(mill: Mill) -> Manifest | None:
    """All spans of a document merged into one list; only where some stage cuts or masks."""
    stages = [stage for stage in SPAN_STAGES if mill.run.has(stage)]
    if not stages:
        return None
    spans = [Ref(part, SPANS) for stage in stages for part in mill.run.manifest(stage).parts]
    inputs = [mill.run.manifest("decide").key, *(mill.run.manifest(stage).key for stage in stages)]
    key = job_key("edits", VERSION, inputs)
    arguments = {
        "kept": Ref(mill.run.manifest("decide").parts[0], "kept.parquet"),
        "spans": spans,
        "signals": mill.refs("signals", "signals.parquet"),
    }
    return mill.stage("edits", [Job("edits", key, edit_stage, arguments)])


def edit_stage(kept: Path, spans: Sequence[Path], signals: Sequence[Path], folder: Path) -> Outcome:
    """Write kept.parquet with every document's spans; bytes_dropped of the account are those that removals cut."""
    table = pq.read_table(kept)
    merged = put_spans(table, merge_spans([pq.read_table(path) for path in spans]))
    pq.write_table(merged, folder / "kept.parquet", compression="zstd", compression_level=1)
    sizes = pa.concat_tables([pq.read_table(path, columns=["doc_id", "bytes"]) for path in signals])
    n_spans = pc.sum(pc.list_value_length(merged["spans"])).as_py() or 0
    facts = {"spans": n_spans, "by_reason": count_reasons(merged)}
    return Outcome(merged.num_rows, edit_accounts(merged, sizes), facts)


def edit_accounts(kept: pa.Table, sizes: pa.Table) -> dict[str, Account]:
    """By source: documents kept, bytes before, and bytes that stay (masked bytes count as staying)."""
    import polars as pl

    frame = pl.DataFrame(kept.select(["doc_id", "source"])).with_columns(cut=bytes_cut(kept["spans"].combine_chunks()))
    frame = frame.join(pl.DataFrame(sizes), on="doc_id", how="left")
    totals = frame.group_by("source").agg(pl.len(), pl.col("bytes").sum().cast(pl.Int64), pl.col("cut").sum())
    return {
        row["source"]: Account(row["len"], row["len"], 0, 0, row["bytes"], row["bytes"] - row["cut"], row["cut"], 0)
        for row in totals.sort("source").to_dicts()
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


def bytes_cut(spans: pa.ListArray) -> np.ndarray:
    """int64[n_docs]: bytes that the removals of each document cut out; masks cut none."""
    flat, parents = spans.flatten(), pc.list_parent_indices(spans).to_numpy()
    length = pc.subtract(flat.field("end"), flat.field("start")).to_numpy()
    removes = ~pc.starts_with(flat.field("reason"), "mask:").to_numpy(zero_copy_only=False)
    return np.bincount(parents, length * removes, minlength=len(spans)).astype(np.int64)
