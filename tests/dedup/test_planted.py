"""Planted near duplicates in real text: recall, precision and the number kept, together.

A defect that merges everything has perfect recall; one that merges nothing has perfect precision.
"""

import numpy as np
import pytest

from gristmill.dedup.clusters.curve import collision_probability


def words_edited(text, rate, draw):
    words = text.split(" ")
    for place in np.flatnonzero(draw.random(len(words)) < rate):
        words[place] = f"edit{draw.integers(10**6)}"
    return " ".join(words)


def shingles(text):
    words = "".join(char if char.isalnum() else " " for char in text.lower()).split()
    return {tuple(words[i : i + 5]) for i in range(max(len(words) - 4, 1))}


@pytest.fixture(scope="module")
def planted(sample_texts):
    """doc_id -> text: 150 English originals, each with copies edited at four rates."""
    draw = np.random.default_rng(11)
    english = [(name, text) for name, text in sample_texts if text.isascii() and 100 < len(text.split()) < 800][:150]
    corpus = {}
    for i, (_, text) in enumerate(english):
        for j, rate in enumerate([0.0, 0.002, 0.01, 0.03, 0.1]):
            corpus[f"{i:04}{j}"] = words_edited(text, rate, draw) if rate else text
    return corpus


@pytest.fixture(scope="module")
def truth(planted):
    """Exact Jaccard of all pairs of distinct texts at 0.5 or more, by inverted index."""
    sets = {doc_id: shingles(text) for doc_id, text in planted.items()}
    where = {}
    for doc_id, members in sorted(sets.items()):
        for shingle in members:
            where.setdefault(shingle, []).append(doc_id)
    shared = {}
    for holders in where.values():
        for i, a in enumerate(holders):
            for b in holders[i + 1 :]:
                shared[a, b] = shared.get((a, b), 0) + 1
    jaccard = {(a, b): n / (len(sets[a]) + len(sets[b]) - n) for (a, b), n in shared.items()}
    return {pair: j for pair, j in jaccard.items() if j >= 0.5}


@pytest.mark.parametrize(("bands", "rows"), [(14, 8), (None, None), (42, 3)])
def test_recall_keeps_the_curves_promise_and_precision_is_one(cluster, planted, truth, bands, rows):
    rows_of_parts = list(planted.items())
    found, promised, wanted = 0, 0.0, {pair: j for pair, j in truth.items() if j >= 0.8}
    for seed in range(4):
        run = cluster([rows_of_parts[:300], rows_of_parts[300:]], bands=bands, rows=rows, seed=seed)
        text_of = {}
        for doc_id, text in sorted(planted.items()):
            text_of.setdefault(text, doc_id)
        stands_for = {doc_id: text_of[text] for doc_id, text in planted.items()}
        edges = {(pair["a"], pair["b"]): pair["jaccard"] for pair in run.pairs}
        assert all(wanted.get(pair) == pytest.approx(j) for pair, j in edges.items())  # precision 1
        for (a, b), jaccard in wanted.items():
            a, b = sorted((stands_for[a], stands_for[b]))
            found += a == b or (a, b) in edges
            promised += 1.0 if a == b else collision_probability(jaccard, run.facts["bands"], run.facts["rows"])
    assert len(wanted) > 400
    assert found >= 0.985 * promised  # the mean of four families of hash functions over the mean they promise


def test_as_many_are_kept_as_the_true_graph_has_components(cluster, planted, truth):
    """With bands that find everything, the clusters are those of the exact graph: no fewer and no more."""
    root = {doc_id: doc_id for doc_id in planted}
    for (a, b), jaccard in sorted(truth.items()):
        if jaccard >= 0.8:
            low, high = sorted((root[a], root[b]))
            root = {doc_id: low if r == high else r for doc_id, r in root.items()} if low != high else root
    run = cluster([list(planted.items())], bands=64, rows=2)
    assert {row["doc_id"]: row["cluster"] for row in run.rows} == root
    assert run.facts["clusters"] == len(set(root.values()))
    assert 100 < run.facts["clusters"] < len(planted)


def test_real_licences_and_help_pages_cluster_by_family(cluster, sample_texts):
    """Untouched sample texts: every verified edge is real by an independent count, and some cluster is large."""
    corpus = {f"{name}#{i}": text for i, (name, text) in enumerate(sample_texts)}
    run = cluster([list(corpus.items())], bands=14, rows=8)
    assert len(run.pairs) > 50
    for pair in run.pairs[::7]:
        one, other = corpus[pair["a"]], corpus[pair["b"]]
        if one.isascii() and other.isascii():
            a, b = shingles(one), shingles(other)
            assert pair["jaccard"] == pytest.approx(len(a & b) / len(a | b))
    assert run.facts["verified"] == len(run.pairs)
    assert run.facts["largest_cluster"] > 3
    assert run.facts["largest_share"] < 0.1
