"""What a document says for a candidate, in plain Python: the features that ``bench/fit_linking.py`` fits."""

from collections.abc import Callable

import numpy as np

from gristmill.corpus.text.columns import TextColumn
from gristmill.knowledge._kernels_context import read_around
from gristmill.knowledge._kernels_graph import ALONE_FROM, N_AROUND
from gristmill.knowledge.graph_table import Graph
from gristmill.knowledge.linking import Found


def context_features(texts: TextColumn, found: Found, graph: Graph) -> Callable[[int, int], np.ndarray]:
    """A function (mention, place of a candidate) -> float64[14], ``linking_model.CONTEXT``."""
    docs = np.repeat(np.arange(len(found.offsets) - 1), np.diff(found.offsets))
    around = np.empty(N_AROUND)

    def features(mention: int, candidate: int) -> np.ndarray:
        doc, (start, end, name) = docs[mention], found.rows[mention]
        rows = slice(*found.offsets[doc : doc + 2])
        names, small = found.rows[rows, 2], found.is_small[rows]
        first = graph.candidate_offsets[names]
        certain = (graph.candidate_offsets[names + 1] - first == 1) & ~graph.doubtful[first] & ~small
        witnesses = np.unique(graph.candidates[first[certain]])
        entity = int(graph.candidates[candidate])
        others = witnesses[witnesses != entity]
        n_near = len(np.intersect1d(others, graph.neighbours(entity)))
        alone, named = not n_near and len(others) >= ALONE_FROM, graph.doubtful[candidate] and entity in witnesses
        begin = texts.offsets[doc]
        read_around(texts.data, begin, texts.offsets[doc + 1], begin + start, begin + end, around)
        raised, left, right, *others = around
        of_entity = (np.log2(1 + n_near), float(alone), float(named), float(found.is_small[mention]))
        return np.array(
            [*of_entity, raised, left, left * found.capitals[doc], right, *others, np.log2(np.sum(names == name))]
        )

    return features
