"""The knowledge stage: mentions, triples and signals of one part, row-aligned with its documents.

Here is the stage and its tables; the rule of linking stands in ``linking``.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gristmill.corpus.schema import MENTION, MENTIONS, TRIPLES
from gristmill.corpus.stage import Measured
from gristmill.corpus.text.columns import TextColumn, text_column
from gristmill.knowledge.benchmarks import BenchmarkTriples, documents_and_stated, load_benchmarks, stated
from gristmill.knowledge.graph import load_graph
from gristmill.knowledge.graph_table import Graph
from gristmill.knowledge.linking import Mentions, distinct_entities, find_mentions, join_documents
from gristmill.knowledge.mapped_graph import open_graph
from gristmill.knowledge.stage import BENCHMARKS, SIGNALS, Knowledge, MentionsFacts
from gristmill.knowledge.support import close_pairs, new_pairs, support_of
from gristmill.knowledge.type_counts import AT_LEAST, documents_by_type, main_types, type_counts, type_rows

TOP_TYPES = 20
NAMES = tuple(signal.name for signal in SIGNALS)
_FIXED = 1 << 20  # logarithms are summed as integers: the same on every machine


class Joined(NamedTuple):
    """Triples of a batch's documents."""

    docs: np.ndarray  # int64[n]
    triples: np.ndarray  # int64[n] ordinal in the graph
    support: np.ndarray  # int64[n]
    new_pairs: np.ndarray  # int64[n_docs]


class Known(NamedTuple):
    """What is linked to: a graph, and the triples of benchmarks; None where the recipe names none."""

    graph: Graph
    benchmarks: BenchmarkTriples | None = None


def prepare(options: Knowledge, files: Mapping[str, tuple[Path, ...]]) -> Known:
    """The graph, with the names to look for: mapped where its index was made, else loaded.

    Raises
    ------
    SourceError, SchemaError : the graph is not as agreed, see ``load_graph``
    StoreError : the index is damaged
    """
    if "index" in files:
        graph = open_graph(files["index"][0].parent)
    else:
        folder = files["graph"][0].parent
        graph = load_graph(folder, languages=options.languages, min_label_chars=options.min_label_chars)
    asked = {name.removeprefix(BENCHMARKS): paths[0] for name, paths in files.items() if name.startswith(BENCHMARKS)}
    return Known(graph, load_benchmarks(asked, graph) if asked else None)


def measure(batch: pa.RecordBatch, options: Knowledge, state: Known) -> Measured:
    """Link a batch to the graph and join the graph's triples to its documents."""
    graph, benchmarks = state
    texts, doc_ids = text_column(batch), batch.column("doc_id")
    mentions = find_mentions(texts, graph, options.min_score)
    docs, triples = join_documents(mentions, graph)
    pairs, types = close_pairs(mentions, options.support_bytes), type_counts(mentions, graph)
    joined = Joined(docs, triples, support_of(docs, triples, pairs, graph), new_pairs(pairs, graph, texts.n_docs))
    signals = _signals(texts, mentions, joined, graph)
    tables = {
        "mentions.parquet": _mention_rows(doc_ids, mentions, graph),
        "triples.parquet": _triple_rows(doc_ids.take(pa.array(docs)), joined, graph),
        "types.parquet": type_rows(doc_ids, types),
    }
    columns = {"main_type": main_types(types), **{name: pa.array(column) for name, column in signals.items()}}
    facts = _facts(mentions, joined, signals, graph)
    if benchmarks is not None:
        stating, of = stated(pairs, benchmarks)
        columns["benchmark_triples"] = pa.array(np.bincount(stating, minlength=texts.n_docs).astype(np.float64))
        documents, n_stated = documents_and_stated(stating, of, benchmarks)
        facts = replace(facts, benchmark_documents=documents, benchmark_stated=n_stated)
    return Measured(columns, facts=replace(facts, documents_by_type=documents_by_type(types)), tables=tables)


def conclude(facts: MentionsFacts | None, folder: Path, options: Knowledge, state: Known) -> MentionsFacts:  # noqa: ARG001
    """The facts of a part: the most frequent types alone, and the triples of the graph that lead nowhere."""
    facts = facts or MentionsFacts(0, 0, 0, 0, 0, 0, {})
    return replace(facts, dangling_triples=state.graph.dangling, top_types=dict(_top(facts.top_types)))


def _signals(texts: TextColumn, mentions: Mentions, joined: Joined, graph: Graph) -> dict[str, np.ndarray]:
    """One double[n_docs] a signal of the stage, in its order."""
    n_docs = texts.n_docs
    entities = np.diff(mentions.offsets)
    named_by, named = distinct_entities(mentions, graph)
    distinct = np.bincount(named_by, minlength=n_docs)
    ambiguous = np.bincount(mentions.docs[np.diff(graph.candidate_offsets)[mentions.names] > 1], minlength=n_docs)
    logs = np.rint(np.log2(1.0 + graph.degrees) * _FIXED)[named]
    columns = (
        entities,
        distinct,
        _distinct_types(named_by, named, graph, n_docs),
        1000.0 * entities / np.maximum(np.diff(texts.offsets), 1),
        ambiguous / np.maximum(entities, 1),
        _linked_pairs(joined.docs, joined.triples, graph, n_docs),
        np.bincount(joined.docs[joined.support > 0], minlength=n_docs),
        joined.new_pairs,
        np.bincount(named_by, weights=logs, minlength=n_docs) / _FIXED / np.maximum(distinct, 1),
    )
    return {name: column.astype(np.float64) for name, column in zip(NAMES, columns, strict=True)}


def _distinct_types(docs: np.ndarray, entities: np.ndarray, graph: Graph, n_docs: int) -> np.ndarray:
    codes = graph.types.dictionary_encode()
    pairs = np.unique(docs * max(len(codes.dictionary), 1) + codes.indices.to_numpy()[entities])
    return np.bincount(pairs // max(len(codes.dictionary), 1), minlength=n_docs)


def _linked_pairs(docs: np.ndarray, triples: np.ndarray, graph: Graph, n_docs: int) -> np.ndarray:
    """int64[n_docs]: pairs of two entities that a triple of the document joins, either way, counted once."""
    heads, tails = graph.heads[triples].astype(np.int64), graph.tails[triples].astype(np.int64)
    pairs = np.stack([docs, np.minimum(heads, tails), np.maximum(heads, tails)])[:, heads != tails]
    return np.bincount(np.unique(pairs, axis=1)[0], minlength=n_docs)


def _mention_rows(doc_ids: pa.Array, mentions: Mentions, graph: Graph) -> pa.RecordBatch:
    values = pa.StructArray.from_arrays(
        [
            pa.array(mentions.starts, pa.int32()),
            pa.array(mentions.ends, pa.int32()),
            graph.ids.take(pa.array(mentions.entities)),
            graph.names.take(pa.array(mentions.names)).cast(pa.string()),
            pa.array(mentions.scores),
        ],
        fields=list(MENTION),
    )
    lists = pa.ListArray.from_arrays(pa.array(mentions.offsets, pa.int32()), values)
    return pa.record_batch([doc_ids, lists], schema=MENTIONS)


def _triple_rows(doc_ids: pa.Array, joined: Joined, graph: Graph) -> pa.RecordBatch:
    triples = joined.triples
    heads = graph.ids.take(pa.array(graph.heads[triples]))
    relations = graph.relations.take(pa.array(graph.kinds[triples]))
    tails = graph.ids.take(pa.array(graph.tails[triples]))
    return pa.record_batch([doc_ids, heads, relations, tails, pa.array(joined.support, pa.int32())], schema=TRIPLES)


def _facts(mentions: Mentions, joined: Joined, signals: dict[str, np.ndarray], graph: Graph) -> MentionsFacts:
    with_entity, with_pair = (int(np.count_nonzero(signals[name])) for name in ("entities", "linked_pairs"))
    counts = (len(mentions.names), mentions.unlinked, len(joined.triples), with_entity, with_pair)
    enough = {str(least): int((signals["distinct_entities"] >= least).sum()) for least in AT_LEAST}
    facts = MentionsFacts(*counts, dangling_triples=0, top_types=_types(mentions, graph))
    found, supported = joined.triples, joined.triples[joined.support > 0]
    relations = {
        "triples_by_relation": _by_relation(found, graph),
        "supported_by_relation": _by_relation(supported, graph),
    }
    return replace(facts, documents_by_entities=enough, **relations)


def _by_relation(triples: np.ndarray, graph: Graph) -> dict[str, int]:
    counts = np.bincount(graph.kinds[triples], minlength=len(graph.relations)).tolist()
    return {name: n for name, n in zip(graph.relations.to_pylist(), counts, strict=True) if n}


def _types(mentions: Mentions, graph: Graph) -> dict[str, int]:
    counts = graph.types.take(pa.array(mentions.entities)).value_counts()
    return dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))


def _top(types: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(types.items(), key=lambda item: (-item[1], item[0]))[:TOP_TYPES]
