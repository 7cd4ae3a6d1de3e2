"""The documents of rows that are written, each once, by the source that the kept table names."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import ConservationError
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.kept import kept_by_part

_AT_ONCE = 1 << 20  # names, before repeats are left out


class Counted(NamedTuple):
    """Kept documents by source: in a row that was written, without a text, and in no such row."""

    written: Mapping[str, int]
    emptied: Mapping[str, int]
    undrawn: Mapping[str, int]
    heldout: int  # of those written


class DocumentCount:
    """Which documents the rows hold. Memory: their names, 40 bytes each."""

    def __init__(self) -> None:
        self._names: list[pa.Array] = []

    def add(self, documents: pa.ListArray) -> None:
        """Add the documents of rows, lists of ``ROW_DOCUMENT``."""
        self._names.append(pc.unique(documents.flatten().field("doc_id")))
        if sum(map(len, self._names)) > _AT_ONCE:
            self._names = [self._once()]

    def _once(self) -> pa.Array:
        return pc.unique(pa.chunked_array(self._names, pa.string()))

    def by_source(self, context: RunContext, *, all_rows: bool) -> Counted:
        """What became of every kept document.

        Parameters
        ----------
        all_rows : whether every row was written, so that a document in none of them is lost

        Raises
        ------
        ConservationError : a row holds a document that was not kept, or documents are lost
        """
        kept = pl.concat([pl.DataFrame(part.select(["doc_id", "source", "heldout"])) for part in kept_by_part(context)])
        held = kept.join(pl.DataFrame({"doc_id": self._once()}), on="doc_id")
        if len(held) != len(self._once()):
            raise ConservationError(
                f"rows hold {len(self._once()) - len(held)} documents that were not kept; "
                f"`gristmill verify {context.run.path}` looks for why"
            )
        accounts = context.run.manifest("tokens").accounts
        emptied = {source: one.documents_dropped for source, one in accounts.items() if one.documents_dropped}
        written = Counter(held["source"].to_list())
        undrawn = Counter(kept["source"].to_list())
        undrawn.subtract(written)
        undrawn.subtract(emptied)
        lost = {source: n for source, n in sorted(undrawn.items()) if n < 0 or (n and all_rows)}
        if lost:
            raise ConservationError(f"rows lack kept documents, by source: {lost}; see `gristmill verify`")
        return Counted(_counts(written), emptied, _counts(undrawn), int(held["heldout"].sum()))


def _counts(found: Counter[str]) -> dict[str, int]:
    return {source: n for source, n in sorted(found.items()) if n}
