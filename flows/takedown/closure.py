"""Which documents hold what a takedown names: the named ones and every copy of them, until no copy is left outside.

Exact copies have one text, near copies stand in one cluster. Cut copies share a passage that dedup cut out of one of
them: the one that kept it holds the other's text, and the one that lost it still has it in its raw text.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.span_tables import MASK
from gristmill.corpus.tables import read_batches, read_part
from gristmill.corpus.whole_columns import is_in
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE
from gristmill.flows.takedown._kernels import WINDOW
from gristmill.flows.takedown.search import Slices

CUTTING = ("lines", "substrings")  # the stages that cut what an earlier document has
Found = Callable[[set[str]], set[str]]


def close(context: RunContext, asked: Sequence[str]) -> dict[str, str]:
    """The documents to take down, by doc_id in order: ``asked``, or a copy that is ``exact``, ``near`` or ``cut``."""
    found = dict.fromkeys(asked, "asked")
    ways: dict[str, Found] = {
        "exact": lambda inside: _sharing(_columns(context, "text_hash"), inside),
        "near": lambda inside: _sharing(_clusters(context), inside),
        "cut": lambda inside: _cut_copies(context, inside),
    }
    while True:
        before = len(found)
        for why, copies in ways.items():
            found |= dict.fromkeys(copies(set(found)) - found.keys(), why)
        if len(found) == before:
            return dict(sorted(found.items()))


def _parts(context: RunContext) -> list[Path]:
    return [context.store.folder(part) / DOCUMENTS_FILE for part in context.run.manifest("documents").parts]


def _columns(context: RunContext, name: str) -> Iterator[pa.Table]:
    return (read_part(path, ["doc_id", name]) for path in _parts(context))


def _clusters(context: RunContext) -> Iterator[pa.Table]:
    if context.run.has("clusters"):
        yield read_part(context.file("clusters", "clusters.parquet"), ["doc_id", "cluster"])


def _sharing(tables: Iterator[pa.Table], inside: set[str]) -> set[str]:
    """doc_ids of rows whose second column has the value of a row of ``inside``."""
    kept, ids = list(tables), pa.array(sorted(inside), pa.string())
    values = {value for t in kept for value in t.filter(pc.is_in(t["doc_id"], value_set=ids))[1].to_pylist()}
    wanted = pa.array(sorted(values), pa.string())
    return {name for t in kept for name in t.filter(pc.is_in(t[1], value_set=wanted))["doc_id"].to_pylist()}


def _cut_copies(context: RunContext, inside: set[str]) -> set[str]:
    """Documents that share a cut passage with one of ``inside``, whichever of the two lost it."""
    stages = [stage for stage in CUTTING if context.run.has(stage)]
    if not stages:
        return set()
    tables = [read_part(context.file(stage, "spans.parquet")) for stage in stages]
    spans = pa.concat_tables(tables)
    inner = list(_texts(context, pa.array(sorted(inside), pa.string()), spans))
    whole = Slices.of([pa.array([text.decode() for _, text, _ in inner], pa.string())])
    lost = [passage for *_, passages in inner for passage in passages]
    found = set()
    for doc_id, _, passages in _texts(context, spans["doc_id"], spans):
        if any(_mostly(whole, passage) for passage in passages):
            found.add(doc_id)
    return found | (_holding(context, lost) if lost else set())


def _mostly(slices: Slices, passage: bytes) -> bool:
    """True when at least half of a passage's windows are among the slices; one without windows holds nothing."""
    windows = len(passage) - WINDOW + 1
    return windows > 0 and 2 * slices.count_in(np.frombuffer(passage, np.uint8)) >= windows


def _holding(context: RunContext, passages: list[bytes]) -> set[str]:
    """Documents whose text has most of one of the ``passages``."""
    sets = [Slices.of([pa.array([passage.decode(errors="replace")])]) for passage in passages]
    sets = [one for one in sets if len(one)]
    found = set()
    for path in _parts(context):
        for batch in read_batches(path, ["doc_id", "text"]):
            for doc_id, text in zip(batch["doc_id"].to_pylist(), batch["text"].to_pylist(), strict=True):
                data = np.frombuffer(text.encode(), np.uint8)
                if any(2 * one.count_in(data) >= len(one) for one in sets):
                    found.add(doc_id)
    return found


def _texts(context: RunContext, wanted: pa.Array, spans: pa.Table) -> Iterator[tuple[str, bytes, list[bytes]]]:
    """doc_id, text and cut passages of the ``wanted`` documents; a Python loop over these alone."""
    for path in _parts(context):
        for batch in read_batches(path, ["doc_id", "text"]):
            chosen = batch.filter(is_in(batch["doc_id"], wanted))
            cut = spans.filter(pc.is_in(spans["doc_id"], value_set=chosen["doc_id"])).to_pylist()
            by_document: dict[str, list[dict]] = {}
            for one in cut:
                by_document.setdefault(one["doc_id"], []).extend(one["spans"])
            for doc_id, text in zip(chosen["doc_id"].to_pylist(), chosen["text"].to_pylist(), strict=True):
                data = text.encode()
                removed = [s for s in by_document.get(doc_id, ()) if not s["reason"].startswith(MASK)]
                yield doc_id, data, [data[s["start"] : s["end"]] for s in removed]
