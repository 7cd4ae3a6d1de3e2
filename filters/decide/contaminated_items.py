"""Which evaluation items a dropped document holds, put into the ledger."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa

from gristmill.corpus.schema import LEDGER

SIGNAL = "contaminated_passages"  # the ledger names items where a rule on it fails
NAMED = 5  # items in one line, the rest are counted


def with_items(ledger: pa.Table, passages: Sequence[Path]) -> pa.Table:
    """The ledger with ``other`` = ``benchmark/item, ...`` where a document fails a rule on contaminated passages.

    Parameters
    ----------
    ledger : ``corpus.schema.LEDGER``
    passages : passages.parquet of every part of the stage contamination; none: the ledger as it is
    """
    if not passages:
        return ledger
    found = pl.concat([pl.read_parquet(path, columns=["doc_id", "benchmark", "item"]) for path in passages])
    item = pl.format("{}/{}", "benchmark", "item")
    more = pl.when(pl.len() > NAMED).then(pl.format(" and {} more", pl.len() - NAMED)).otherwise(pl.lit(""))
    named = found.group_by("doc_id", maintain_order=True).agg(items=item.head(NAMED).str.join(", ") + more.first())
    joined = pl.DataFrame(ledger).join(named, on="doc_id", how="left", maintain_order="left")
    other = pl.when((pl.col("signal") == SIGNAL).fill_null(False)).then("items").otherwise("other")
    return joined.with_columns(other=other).select(LEDGER.names).to_arrow().cast(LEDGER)
