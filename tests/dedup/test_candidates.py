"""Candidate pairs: the band index against datasketch's MinHashLSH and against a naive comparison of all pairs."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import BudgetError, UnknownNameError
from gristmill.dedup.clusters import bands as lsh
from gristmill.dedup.clusters.bands import BandTables, Buckets
from gristmill.dedup.clusters.candidates import DatasketchIndex, Listed, new_index
from gristmill.dedup.clusters.minhash import measure


def pairs_of(found):
    blocks = list(found.pairs())
    a = np.concatenate([block[0] for block in blocks]) if blocks else np.empty(0, np.int64)
    b = np.concatenate([block[1] for block in blocks]) if blocks else np.empty(0, np.int64)
    return list(zip(a.tolist(), b.tolist(), strict=True))


def naive_pairs(signatures, bands, rows):
    def share(x, y):
        same = [x[k] == y[k] for k in range(bands * rows)]
        return any(all(same[band * rows : (band + 1) * rows]) for band in range(bands))

    n = len(signatures)
    return [(a, b) for a in range(n) for b in range(a + 1, n) if share(signatures[a], signatures[b])]


def index_all(index, signatures, nodes=None):
    index.add(np.arange(len(signatures)) if nodes is None else nodes, signatures)
    return index.candidates()


small = st.lists(st.lists(st.integers(0, 2), min_size=6, max_size=6), min_size=1, max_size=25)


@given(small, st.sampled_from([(2, 3), (3, 2), (6, 1), (2, 2)]))
def test_both_engines_give_the_naive_pairs(rows_of_values, scheme):
    signatures = np.array(rows_of_values, np.uint64)
    bands, rows = scheme
    expected = naive_pairs(signatures.tolist(), bands, rows)
    ours = index_all(BandTables(len(signatures), bands, rows), signatures)
    theirs = index_all(DatasketchIndex(bands, rows, 6), signatures)
    assert pairs_of(ours) == pairs_of(theirs) == expected
    assert ours.nodes.tolist() == theirs.nodes.tolist() == sorted({node for pair in expected for node in pair})


@pytest.mark.parametrize("scheme", [(9, 13), (14, 9), (32, 4), (2, 64)])
def test_equal_to_datasketch_on_real_text(sample_texts, scheme):
    texts = pa.record_batch({"text": pa.array([text for _, text in sample_texts], pa.large_string())})
    _, signatures = measure(texts, shingle_words=5, hashes=128, seed=4)
    bands, rows = scheme
    ours = pairs_of(index_all(BandTables(len(signatures), bands, rows), signatures))
    assert ours == pairs_of(index_all(DatasketchIndex(bands, rows, 128), signatures))
    assert ours


@given(small, st.integers(1, 8), st.randoms())
def test_the_order_and_size_of_batches_do_not_matter(rows_of_values, size, random):
    signatures = np.array(rows_of_values, np.uint64)
    nodes = list(range(len(signatures)))
    random.shuffle(nodes)
    index = BandTables(len(signatures), 3, 2)
    for start in range(0, len(nodes), size):
        some = np.array(nodes[start : start + size])
        index.add(some, signatures[some])
    whole = index_all(BandTables(len(signatures), 3, 2), signatures)
    assert pairs_of(index.candidates()) == pairs_of(whole)


@pytest.mark.parametrize("room", [1, 2, 7, 100])
def test_blocks_of_any_size_hold_the_same_pairs(monkeypatch, room):
    signatures = np.random.default_rng(0).integers(0, 3, (60, 6)).astype(np.uint64)
    found = index_all(BandTables(60, 3, 2), signatures)
    whole = pairs_of(found)
    monkeypatch.setattr(lsh, "PAIRS_AT_ONCE", room)
    blocks = list(found.pairs())
    assert pairs_of(found) == whole
    firsts = [set(a.tolist()) for a, _ in blocks]
    assert all(not one & other for one, other in itertools.pairwise(firsts))
    assert len(blocks) > 1


def test_documents_that_were_not_added_are_in_no_pair():
    index = BandTables(10, 2, 2)
    index.add(np.array([3, 7]), np.ones((2, 4), np.uint64))
    found = index.candidates()
    assert pairs_of(found) == [(3, 7)]
    assert found.nodes.tolist() == [3, 7]


@pytest.mark.parametrize("engine", ["bands", "datasketch"])
def test_an_index_of_nothing_has_no_pairs(engine):
    index = new_index(engine, n_documents=0, bands=2, rows=2, hashes=4)
    index.add(np.empty(0, np.int64), np.empty((0, 4), np.uint64))
    found = index.candidates()
    assert pairs_of(found) == []
    assert found.nodes.tolist() == []


def test_identical_signatures_give_every_pair_once():
    found = index_all(BandTables(40, 4, 2), np.full((40, 8), 5, np.uint64))
    assert pairs_of(found) == [(a, b) for a in range(40) for b in range(a + 1, 40)]


def test_a_bucket_too_large_to_verify_stops_with_advice(monkeypatch):
    monkeypatch.setattr(lsh, "MAX_PAIRS", 44)
    index = BandTables(11, 2, 2)
    index.add(np.arange(10), np.ones((10, 4), np.uint64))
    with pytest.raises(BudgetError, match=r"45 pairs.*dedup\.near\.rows"):
        index.candidates()


def test_unknown_engine_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'datasketch'"):
        new_index("datasketsh", n_documents=1, bands=1, rows=1, hashes=1)


def test_the_index_kinds_of_the_engines():
    scheme = {"n_documents": 1, "bands": 2, "rows": 1, "hashes": 2}
    assert isinstance(new_index("bands", **scheme).candidates(), Buckets)
    assert isinstance(new_index("datasketch", **scheme).candidates(), Listed)
