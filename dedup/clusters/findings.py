"""What clustering found, in numbers for the receipt, the card and the alarms."""

from collections.abc import Callable
from typing import Any

import numpy as np

from gristmill.dedup.clusters.edges import NearGraph
from gristmill.dedup.clusters.exact import Texts
from gristmill.dedup.clusters.grouping import Nodes

LARGEST = 10  # clusters that are named


def count_findings(nodes: Nodes | Texts, graph: NearGraph) -> dict[str, Any]:
    """Documents, texts, pairs, clusters and their sizes.

    ``unverified_share`` is the share of candidate pairs that verification refused, ``largest_share`` the share of
    all documents in the largest cluster, ``sizes`` a list of [from, to, clusters] with bounds at powers of two.
    """
    sizes = cluster_sizes(nodes.copies, graph)
    sizes = sizes[sizes > 0]
    largest = int(sizes.max(initial=min(nodes.n_alone, 1)))
    return {
        "documents": nodes.n_documents,
        "texts": nodes.n_texts,
        "exact_copies": nodes.n_documents - nodes.n_texts,
        "candidates": graph.looked_at,
        "verified": graph.edges,
        "unverified_share": 1 - graph.edges / graph.looked_at if graph.looked_at else 0.0,
        "clusters": len(sizes) + nodes.n_alone,
        "largest_cluster": largest,
        "largest_share": largest / nodes.n_documents if nodes.n_documents else 0.0,
        "sizes": _histogram(sizes, nodes.n_alone),
        "bridges": graph.bridges(),
    }


def largest_clusters(
    nodes: Nodes | Texts,
    graph: NearGraph,
    jaccard: Callable[[np.ndarray, np.ndarray], np.ndarray],
    threshold: float,
) -> dict[str, Any]:
    """The largest clusters by name, and how far chains of edges have led from the root.

    ``jaccard(a, b)`` is the exact similarity of pairs of texts, asked for those that are not their cluster's root.

    ``chained`` counts texts whose own Jaccard to their cluster's smallest text is below the threshold: they are in
    only through others. ``lowest_to_root`` is that Jaccard's minimum in a cluster.
    """
    members = np.flatnonzero(graph.root != np.arange(graph.n_texts, dtype=np.int32))
    roots = graph.root[members]
    to_root = jaccard(roots.astype(np.int64), members)
    sizes = cluster_sizes(nodes.copies, graph)
    several = np.flatnonzero(sizes > 1)
    named = several[np.argsort(-sizes[several], kind="stable")[:LARGEST]]
    largest = [
        {
            "cluster": name,
            "size": int(sizes[root]),
            "lowest_to_root": round(float(to_root[roots == root].min(initial=1.0)), 6),
        }
        for name, root in zip(nodes.names_of(named).to_pylist(), named, strict=True)
    ]
    return {"chained": int((to_root < threshold).sum()), "largest": largest}


def cluster_sizes(copies: np.ndarray, graph: NearGraph) -> np.ndarray:
    """int32[n_texts]: documents of the cluster that the text is the root of, 0 for other texts.

    ``copies int32[n_texts]``: documents that have the text.
    """
    sizes = np.zeros(graph.n_texts, np.int32)
    np.add.at(sizes, graph.root, copies)
    return sizes


def _histogram(sizes: np.ndarray, n_alone: int) -> list[list[int]]:
    """[1, 1, n], [2, 2, n], [3, 4, n], [5, 8, n] ... without the empty ones; ``n_alone`` more clusters of one."""
    steps = np.ceil(np.log2(np.maximum(sizes, 1))).astype(int)
    counts = np.bincount(steps, minlength=1)
    counts[0] += n_alone
    return [[(1 << step >> 1) + 1 if step else 1, 1 << step, int(n)] for step, n in enumerate(counts) if n]
