"""The knowledge stage: mentions, triples and signals of one part, row-aligned with its documents.

Here is the stage and its tables; the rule of linking stands in ``linking``.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from gristmill.corpus.account import Account, add_up, passed_on
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.schema import MENTION, MENTIONS, TRIPLES, signals_schema
from gristmill.corpus.tables import PartWriter, read_batches
from gristmill.corpus.text.columns import TextColumn, text_column
from gristmill.knowledge.graph import Graph, load_graph
from gristmill.knowledge.linking import Mentions, distinct_entities, find_mentions, join_documents

VERSION = "1"
TOP_TYPES = 20
COUNTED = ("mentions", "unwitnessed", "triples", "documents_with_entity", "documents_with_linked_pair")
UNITS = {
    "entities": "mentions",
    "distinct_entities": "entities",
    "entity_types": "types",
    "entities_per_kilobyte": "mentions/1000 bytes",
    "ambiguous_share": "share of mentions, 0 to 1",
    "linked_pairs": "pairs of entities that share a triple",
    "mean_log_degree": "bits: log2(1 + triples) over distinct entities",
}
SIGNALS = signals_schema(UNITS)
_FIXED = 1 << 20  # logarithms are summed as integers: the same on every machine


def link_part(
    documents: Path, graph: Path, folder: Path, *, languages: Sequence[str] = (), min_label_chars: int = 4
) -> Outcome:
    """Link one part to the graph and join the graph's triples to its documents.

    Parameters
    ----------
    documents : a documents.parquet (``gristmill.corpus.schema.DOCUMENTS``)
    graph : folder with entities.parquet and triples.parquet
    folder : filled with mentions.parquet and knowledge.parquet, one row a document, and triples.parquet
    languages : look for labels of these languages only; all when empty
    min_label_chars : shorter names are not looked for; a Chinese or Japanese character counts as two

    Returns
    -------
    Outcome : rows = documents; facts count mentions, linked documents, triples and mentions by entity type

    Raises
    ------
    SourceError, SchemaError : the graph is not as agreed, see ``load_graph``
    """
    loaded = load_graph(graph, languages=languages, min_label_chars=min_label_chars)
    accounts: dict[str, Account] = {}
    counts: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
    types: Counter[str] = Counter()
    with (
        PartWriter(folder / "mentions.parquet", MENTIONS) as mentions_out,
        PartWriter(folder / "triples.parquet", TRIPLES) as triples_out,
        PartWriter(folder / "knowledge.parquet", SIGNALS) as signals_out,
    ):
        for batch in read_batches(documents, ["doc_id", "source", "text"]):
            texts, doc_ids = text_column(batch), batch.column("doc_id")
            mentions = find_mentions(texts, loaded)
            docs, triples = join_documents(mentions, loaded)
            signals = _signals(texts, mentions, docs, triples, loaded)
            mentions_out.write(_mention_rows(doc_ids, mentions, loaded))
            triples_out.write(_triple_rows(doc_ids.take(pa.array(docs)), triples, loaded))
            signals_out.write(pa.record_batch([doc_ids, *signals.values()], schema=SIGNALS))
            accounts = add_up([accounts, _accounts(batch.column("source"), texts)])
            counts.update(_counts(mentions, triples, signals))
            types.update(_types(mentions, loaded))
    facts = {**counts, "dangling_triples": loaded.dangling, "top_types": dict(_top(types))}
    return Outcome(mentions_out.rows, accounts, facts)


def _signals(
    texts: TextColumn, mentions: Mentions, docs: np.ndarray, triples: np.ndarray, graph: Graph
) -> dict[str, np.ndarray]:
    """One double[n_docs] a signal of ``UNITS``, in its order."""
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
        _linked_pairs(docs, triples, graph, n_docs),
        np.bincount(named_by, weights=logs, minlength=n_docs) / _FIXED / np.maximum(distinct, 1),
    )
    return {name: column.astype(np.float64) for name, column in zip(UNITS, columns, strict=True)}


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


def _triple_rows(doc_ids: pa.Array, triples: np.ndarray, graph: Graph) -> pa.RecordBatch:
    heads = graph.ids.take(pa.array(graph.heads[triples]))
    relations = graph.relations.take(pa.array(graph.kinds[triples]))
    tails = graph.ids.take(pa.array(graph.tails[triples]))
    return pa.record_batch([doc_ids, heads, relations, tails], schema=TRIPLES)


def _accounts(sources: pa.Array, texts: TextColumn) -> dict[str, Account]:
    codes = sources.dictionary_encode()
    indices = codes.indices.to_numpy()
    n_sources = len(codes.dictionary)
    documents = np.bincount(indices, minlength=n_sources)
    n_bytes = [int(np.diff(texts.offsets)[indices == source].sum()) for source in range(n_sources)]
    names = codes.dictionary.to_pylist()
    return {name: passed_on(int(documents[i]), n_bytes[i]) for i, name in enumerate(names)}


def _counts(mentions: Mentions, triples: np.ndarray, signals: dict[str, np.ndarray]) -> dict[str, int]:
    with_entity, with_pair = (int(np.count_nonzero(signals[name])) for name in ("entities", "linked_pairs"))
    counts = (len(mentions.names), mentions.unwitnessed, len(triples), with_entity, with_pair)
    return dict(zip(COUNTED, counts, strict=True))


def _types(mentions: Mentions, graph: Graph) -> dict[str, int]:
    counts = graph.types.take(pa.array(mentions.entities)).value_counts()
    return dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))


def _top(types: Counter[str]) -> list[tuple[str, int]]:
    return sorted(types.items(), key=lambda item: (-item[1], item[0]))[:TOP_TYPES]
