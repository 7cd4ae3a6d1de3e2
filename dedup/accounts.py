"""The accounts of dedup's stages, which keep every document."""

import pyarrow as pa

from corpus.account import Account, passed_on


def passed_by_source(source: pa.Array, n_bytes: pa.Array) -> dict[str, Account]:
    """The accounts of a stage that keeps every document: documents and bytes a source."""
    sums = (
        pa.table({"source": source, "bytes": n_bytes})
        .group_by("source")
        .aggregate([("bytes", "sum"), ("bytes", "count")])
    )
    rows = sums.to_pylist()  # one row a source
    return {row["source"]: passed_on(row["bytes_count"], row["bytes_sum"]) for row in rows}
