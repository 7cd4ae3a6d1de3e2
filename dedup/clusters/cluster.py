"""Clusters: every document and the documents found to be the same as it.

Documents of one text (equal byte for byte, or under the reading that the signatures were made with) form a group;
one of them, that of the smallest doc_id, stands for all in the search for near duplicates. Candidate pairs come from
LSH, are verified by exact Jaccard, and only verified edges join clusters: a collision of bands alone merges nothing.
Which document of a cluster stays is not decided here.

What a row says
- cluster: the smallest doc_id of the cluster; size: its documents.
- kind: "exact" when another document of the cluster has the same text, or when the document is alone; else "near".
- jaccard: 1 for exact; else the highest verified Jaccard of the document to another of its cluster.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.account import Account, add_up
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.schema import CLUSTERS
from gristmill.corpus.tables import write_part
from gristmill.dedup.clusters.candidates import NO_CANDIDATES, Engine
from gristmill.dedup.clusters.edges import NearGraph, write_edges
from gristmill.dedup.clusters.exact import Texts
from gristmill.dedup.clusters.findings import cluster_sizes, count_findings, largest_clusters
from gristmill.dedup.clusters.grouping import ALONE, Nodes, group_documents, node_of, number_nodes
from gristmill.dedup.clusters.identities import Identities, doc_ids_of, identities_by_part
from gristmill.dedup.clusters.near import choose_scheme, find_candidates, read_sets
from gristmill.dedup.clusters.verification import verified

CLUSTERS_FILE, PAIRS_FILE = "clusters.parquet", "pairs.parquet"
ROWS_AT_ONCE = 1 << 17


def cluster_documents(
    signatures: Sequence[Path],
    documents: Sequence[Path],
    folder: Path,
    *,
    threshold: float,
    hashes: int,
    bands: int | None,
    rows: int | None,
    shingle_words: int,
    near: bool = True,
    engine: Engine = "bands",
) -> Outcome:
    """Write ``folder/clusters.parquet`` (CLUSTERS, one row per document) and ``folder/pairs.parquet`` (verified edges).

    Rows stand in the order of the documents files; what they say depends on neither that order nor the cut into parts.

    Parameters
    ----------
    signatures : files of ``minhash.signatures_part``, aligned with documents; may be empty when ``near`` is False
    documents : part files with doc_id, text, source, text_hash
    folder : an empty folder
    threshold : Jaccard similarity from which on two texts are near duplicates, above 0 and at most 1
    hashes, shingle_words : as in the signatures
    bands, rows : the LSH scheme; chosen from threshold and hashes when both are None
    near : False looks for exact duplicates only
    engine : "bands" or "datasketch", which find the same pairs

    Raises
    ------
    RecipeError : threshold, bands or rows out of range
    SchemaError : files that do not belong together, or a doc_id that occurs twice
    BudgetError : more candidate pairs than can be verified

    Memory: 4 bytes a document, 5 more for a moment, and 36 a text that has a copy or a candidate, beside buffers of
    bounded size and mapped pages of the scratch files, which the system can take back but which count as resident
    (a process that also made the signatures: peak 664 MB at 0.3 million documents, 799 at 2.4, 345 of it mapped files).
    Disk, in nameless files in ``folder``: 112 bytes a document to order and group them, 12 x bands for the band
    tables, 12 for each place in a bucket, 8 a distinct shingle of the candidates' texts.
    """
    scheme = choose_scheme(threshold, hashes, shingle_words, bands, rows, engine)
    accounts: list[Mapping[str, Account]] = []
    texts = group_documents(_counted(documents, signatures if near or signatures else None, accounts), folder)
    candidates = find_candidates(signatures, texts, scheme, folder) if near else NO_CANDIDATES
    nodes, number = number_nodes(texts, candidates.nodes, folder)
    candidates = candidates.renumbered(number)
    del texts, number
    sets = read_sets(documents, nodes, candidates, scheme, folder)
    graph = NearGraph(nodes.n_nodes)
    write_edges(folder / PAIRS_FILE, nodes, verified(candidates, sets, threshold), graph)
    facts = {"near": near, **(scheme.facts() if near else {})}
    batches = _cluster_batches(documents, nodes, graph)
    return write_findings(folder, batches, nodes, graph, sets.jaccard, threshold, add_up(accounts), facts)


def write_findings(
    folder: Path,
    rows: Iterator[pa.RecordBatch],
    texts: Nodes | Texts,
    graph: NearGraph,
    jaccard: Callable[[np.ndarray, np.ndarray], np.ndarray],
    threshold: float,
    accounts: Mapping[str, Account],
    facts: Mapping[str, Any],
) -> Outcome:
    """Write clusters.parquet from ``rows``; what was found in the settled graph goes with ``facts`` into the outcome.

    ``jaccard(a, b)`` is the exact similarity of pairs of texts ``int64[n]``, double[n].
    """
    write_part(folder / CLUSTERS_FILE, CLUSTERS, rows)
    found = count_findings(texts, graph) | largest_clusters(texts, graph, jaccard, threshold)
    return Outcome(texts.n_documents, accounts, {**facts, **found})


def _counted(
    documents: Sequence[Path], signatures: Sequence[Path] | None, accounts: list[Mapping[str, Account]]
) -> Iterator[Identities]:
    for part in identities_by_part(documents, signatures):
        accounts.append(part.accounts)
        yield part


def _cluster_batches(documents: Sequence[Path], nodes: Nodes, graph: NearGraph) -> Iterator[pa.RecordBatch]:
    """CLUSTERS rows of all documents in the order of their files."""
    written, start = _Rows(nodes.copies, nodes.names_of, graph), 0
    for ids in doc_ids_of(documents, ROWS_AT_ONCE):
        yield written.of(ids, node_of(nodes.row_nodes[start : start + len(ids)]))
        start += len(ids)


def cluster_rows(texts: Texts, graph: NearGraph, blocks: Iterable[np.ndarray]) -> Iterator[pa.RecordBatch]:
    """CLUSTERS rows of the documents of each block of ranks ``int[n]``; the graph is settled."""
    written = _Rows(texts.copies, texts.names_of, graph)
    return (written.of(texts.ids_of(ranks), texts.text_of_rank[ranks]) for ranks in blocks)


class _Rows:
    """What there is to say about documents, from the copies of every text and the settled graph between texts."""

    def __init__(self, copies: np.ndarray, names_of: Callable[[np.ndarray], pa.Array], graph: NearGraph):
        self._copied, self._names_of, self._graph = copies > 1, names_of, graph
        self._sizes = cluster_sizes(copies, graph)

    def of(self, ids: pa.Array, texts: np.ndarray) -> pa.RecordBatch:
        """CLUSTERS rows of the documents ``ids`` with ``texts``, ALONE where nothing is the same."""
        n, known = len(ids), np.flatnonzero(texts != ALONE)
        sizes, exact, nearest = np.ones(n, np.int32), np.ones(n, np.bool_), np.ones(n, np.float32)
        text = texts[known]
        root = self._graph.root[text]
        sizes[known] = self._sizes[root]
        exact[known] = self._copied[text] | (sizes[known] == 1)
        nearest[known] = np.where(exact[known], np.float32(1), self._graph.nearest[text])
        names = pc.replace_with_mask(ids, pa.array(texts != ALONE), self._names_of(root))
        kinds = pa.array(["near", "exact"]).take(pa.array(exact.view(np.int8)))
        return pa.record_batch([ids, names, sizes, kinds, nearest], schema=CLUSTERS)
