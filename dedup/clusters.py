"""Clusters: every document and the documents found to be the same as it.

Documents of one text (equal byte for byte, or under the reading that the signatures were made with) form a group;
one of them, that of the smallest doc_id, stands for all in the search for near duplicates. Candidate pairs come from
LSH, are verified by exact Jaccard, and only verified edges join clusters: a collision of bands alone merges nothing.
Which document of a cluster stays is not said here.

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

from corpus.account import Account
from corpus.receipt import Outcome
from corpus.schema import CLUSTERS
from corpus.tables import write_part
from dedup.candidates import NO_CANDIDATES, Engine
from dedup.edges import NearGraph, write_edges
from dedup.exact import Texts, group_texts
from dedup.findings import cluster_sizes, count_findings, largest_clusters
from dedup.identities import read_identities
from dedup.near import choose_scheme, find_candidates, read_sets
from dedup.verify import verified

VERSION = "3"
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
    """Write ``folder/clusters.parquet`` (CLUSTERS, a row a document) and ``folder/pairs.parquet`` (verified edges).

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

    Memory: 180 bytes a document (measured at 80,000 to 1.2 million, 18 bands) beside buffers of bounded size.
    Disk, in nameless files in ``folder``: 12 x bands bytes a document for the band tables, 12 bytes for each place in
    a bucket, 8 bytes a distinct shingle of the candidates' texts.
    """
    scheme = choose_scheme(threshold, hashes, shingle_words, bands, rows, engine)
    identities = read_identities(documents, signatures if near or signatures else None)
    texts, accounts = group_texts(identities.doc_ids, identities.text_hashes), identities.accounts
    candidates = find_candidates(signatures, texts, scheme, folder) if near else NO_CANDIDATES
    sets = read_sets(documents, texts, candidates, scheme, folder)
    graph = NearGraph(texts.n_texts)
    write_edges(folder / PAIRS_FILE, texts, verified(candidates, sets, threshold), graph)
    facts = {"near": near, **(scheme.facts() if near else {})}
    return write_findings(folder, texts, graph, sets.jaccard, threshold, accounts, facts)


def write_findings(
    folder: Path,
    texts: Texts,
    graph: NearGraph,
    jaccard: Callable[[np.ndarray, np.ndarray], np.ndarray],
    threshold: float,
    accounts: Mapping[str, Account],
    facts: Mapping[str, Any],
) -> Outcome:
    """Write clusters.parquet from a settled graph; what was found goes with ``facts`` into the outcome.

    ``jaccard(a, b)`` is the exact similarity of pairs of texts ``int64[n]``, double[n].
    """
    _write_clusters(folder / CLUSTERS_FILE, texts, graph)
    found = count_findings(texts, graph) | largest_clusters(texts, graph, jaccard, threshold)
    return Outcome(texts.n_documents, accounts, {**facts, **found})


def _write_clusters(path: Path, texts: Texts, graph: NearGraph) -> None:
    cuts = range(0, texts.n_documents, ROWS_AT_ONCE)
    write_part(path, CLUSTERS, cluster_rows(texts, graph, (texts.rank_of_row[at : at + ROWS_AT_ONCE] for at in cuts)))


def cluster_rows(texts: Texts, graph: NearGraph, blocks: Iterable[np.ndarray]) -> Iterator[pa.RecordBatch]:
    """CLUSTERS rows of the documents of each block of ranks ``int[n]``; the graph is settled."""
    sizes, copied = cluster_sizes(texts, graph), texts.copies > 1
    for ranks in blocks:
        text = texts.text_of_rank[ranks]
        root = graph.root[text]
        exact = copied[text] | (sizes[root] == 1)
        columns = [
            texts.ids_of(ranks),
            texts.names_of(root),
            pa.array(sizes[root]),
            pa.array(np.where(exact, "exact", "near")),
            pa.array(np.where(exact, np.float32(1), graph.nearest[text])),
        ]
        yield pa.record_batch(columns, schema=CLUSTERS)
