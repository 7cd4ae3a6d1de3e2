"""The check of what the graph says beside the rows of a run."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.files import file_sha256
from gristmill.flows.inspect.run_check import Check
from gristmill.flows.inspect.verify_files import placed_problems
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.kept import kept_by_part
from gristmill.flows.pipeline.row_neighbours import FOLDER, folders_of


def check_neighbours(context: RunContext) -> Iterator[Check]:
    """Neighbourhoods are those of their receipts, of these rows, and every mention is in a row or counted."""
    from gristmill.handoff.neighbours import DomainNeighbours
    from gristmill.handoff.shards import INDEX

    if not context.run.has("neighbours"):
        return
    parts = context.run.manifest("neighbours").parts
    for (rows, domain), part in zip(folders_of(context), parts, strict=True):
        name = f"{FOLDER}/{rows}/{domain}"
        problems = placed_problems(context, name)
        if not problems:
            reader = DomainNeighbours(context.run.path / name)
            problems = reader.verify()
            if reader.index["shards"] != file_sha256(context.run.path / rows / domain / INDEX):
                problems.append(f"{name} was made for other rows; run the recipe again")
            problems += _uncounted(part.facts, reader.n_spans)
        yield Check(f"neighbours {rows} {domain}", not problems, "; ".join(problems) or f"{part.rows} mentions in rows")
    linked, counted = _linked(context), sum(part.facts["mentions"] for part in parts)
    yield Check("neighbours mentions", linked == counted, f"{linked} linked in kept documents, {counted} counted")


def _linked(context: RunContext) -> int:
    """Mentions of kept documents, out of the tables of linking."""
    n = 0
    for number, kept in enumerate(kept_by_part(context, "decide")):
        found = pq.read_table(context.file("mentions", "mentions.parquet", number), columns=["mentions"])
        n += pc.sum(pc.list_value_length(found["mentions"].take(kept["row"]))).as_py() or 0
    return n


def _uncounted(facts: Mapping[str, Any], n_spans: int) -> Iterator[str]:
    if facts["placed"] != n_spans:
        yield f"{n_spans} mentions stand in the rows, {facts['placed']} were placed"
    if facts["mentions"] != facts["placed"] + sum(facts["left_out"].values()):
        yield f"{facts['mentions']} mentions are not {facts['placed']} placed and {facts['left_out']} left out"
