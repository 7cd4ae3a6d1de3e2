"""The kept rows of a run, by part."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import xxhash

from gristmill.corpus.tables import read_part
from gristmill.corpus.whole_columns import in_one_piece, narrow, whole
from gristmill.flows.pipeline.context import RunContext


def kept_by_part(context: RunContext, stage: str | None = None) -> list[pa.Table]:
    """The kept rows of each documents part, in part order.

    Parameters
    ----------
    stage : ``decide`` for rows without spans; when left out, those with spans where some stage has cut or masked
    """
    stage = stage or ("edits" if context.run.has("edits") else "decide")
    kept = read_part(context.file(stage, "kept.parquet"))
    return by_part(kept, len(context.run.manifest("documents").parts))


def by_part(rows: pa.Table, n_parts: int) -> list[pa.Table]:
    """The rows of each part, by their column ``part`` and in their order. Sorted once: a filter each is n_parts passes.

    >>> [one["row"].to_pylist() for one in by_part(pa.table({"part": [2, 0, 2], "row": [7, 8, 9]}), 3)]
    [[8], [], [7, 9]]
    """
    part = rows["part"].to_numpy()
    order = np.argsort(part, kind="stable")
    bounds = np.searchsorted(part[order], np.arange(n_parts + 1))
    one = in_one_piece(rows)
    return [_narrowed(one.take(pa.array(order[start:stop])), rows.schema) for start, stop in pairwise(bounds)]


def _narrowed(part: pa.Table, schema: pa.Schema) -> pa.Table:
    return pa.table([narrow(whole(part[field.name]), field.type) for field in schema], schema)


def kept_digest(kept: pa.Table) -> str:
    """A hash of kept rows: a part whose kept rows did not change is not encoded again.

    Weights are left out, as 1: they say how often a document is drawn, and no text depends on them.
    """
    place = kept.schema.get_field_index("weight")
    kept = kept.set_column(place, kept.schema.field(place), pa.array(np.ones(len(kept), np.float32)))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, kept.schema) as writer:
        writer.write_table(kept)
    return xxhash.xxh3_128_hexdigest(sink.getvalue())
