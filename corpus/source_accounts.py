"""Accounts by source of stages that pass everything on, from columns."""

import pyarrow as pa

from gristmill.corpus.account import Account, passed_on


def passed_by_source(sources: pa.Array, n_bytes: pa.Array) -> dict[str, Account]:
    """Documents and text bytes of each source.

    >>> passed_by_source(pa.array(["a", "b", "a"]), pa.array([1, 2, 3]))["a"].bytes_kept
    4
    """
    totals = pa.table({"source": sources, "bytes": n_bytes}).group_by("source")
    rows = totals.aggregate([("bytes", "sum"), ([], "count_all")]).to_pylist()
    return {row["source"]: passed_on(row["count_all"], int(row["bytes_sum"])) for row in rows}
