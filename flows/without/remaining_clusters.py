"""Clusters of the documents that remain, from the verified edges and text hashes that a run keeps.

A removed document can part a cluster: the search for candidates looks at pairs alone, so the edges that a new search
would find are those of the old one between texts that are still there.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.dedup.clusters.cluster import PAIRS_FILE, cluster_rows
from gristmill.dedup.clusters.edges import NearGraph
from gristmill.dedup.clusters.exact import group_texts
from gristmill.dedup.clusters.identities import read_identities
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.jobs import resolve
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE


def remaining_clusters(context: RunContext, remains: np.ndarray) -> pa.Table:
    """Rows of ``corpus.schema.CLUSTERS`` of the documents that remain, in their order.

    Parameters
    ----------
    remains : bool[n_docs], in the order of the documents' parts

    Memory: about 250 bytes per document.
    """
    documents, signatures = (
        [resolve(context.store, ref) for ref in context.refs(stage, name)]
        for stage, name in (("documents", DOCUMENTS_FILE), ("signatures", "signatures.parquet"))
    )
    every = read_identities(documents, signatures)
    before = group_texts(every.doc_ids, every.text_hashes)
    texts = group_texts(every.doc_ids.filter(pa.array(remains)), every.text_hashes[remains])
    now = np.full(before.n_texts, -1, np.int64)  # the number that a text has among those that remain
    now[before.text_of_rank[before.rank_of_row[remains]]] = texts.text_of_rank[texts.rank_of_row]
    graph = NearGraph(texts.n_texts)
    graph.add(0, _edges(context.file("clusters", PAIRS_FILE), before.doc_ids, now[before.text_of_rank]))
    graph.settle()
    return pa.Table.from_batches(cluster_rows(texts, graph, [texts.rank_of_row]))


def _edges(path: Path, doc_ids: pa.Array, number: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges between texts that remain; ``number int64[n_docs]``: of each document's text, -1 where it is gone."""
    pairs = pq.read_table(path)
    ends = [number[pc.index_in(pairs[side].cast(doc_ids.type), doc_ids).to_numpy()] for side in ("a", "b")]
    both = (ends[0] >= 0) & (ends[1] >= 0)
    a, b = (end[both] for end in ends)
    return np.minimum(a, b), np.maximum(a, b), pairs["jaccard"].to_numpy()[both]
