"""Grouping on disk: the same texts as the grouping in memory, whatever the parts and ranges; and nodes of them."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.corpus.errors import BudgetError, SchemaError
from gristmill.dedup.clusters import exact, grouping
from gristmill.dedup.clusters.candidates import Listed
from gristmill.dedup.clusters.exact import group_texts
from gristmill.dedup.clusters.grouping import ALONE, COPY, group_documents, node_of, number_nodes
from gristmill.dedup.clusters.identities import Identities, doc_ids_of

hashes = st.tuples(st.integers(0, 2), st.sampled_from([0, 1, 2**63, 2**64 - 1]))
tables = st.dictionaries(st.text("abcdef\0\xff", max_size=4), hashes, max_size=20)
cut_points = st.lists(st.integers(0, 20), max_size=3)


def parts_of(rows, cuts=()):
    """Identities of (doc_id, hash) rows, cut into parts; empty parts among them."""
    bounds = [0, *sorted(cut % (len(rows) + 1) for cut in cuts), len(rows)]
    for start, stop in itertools.pairwise(bounds):
        some = rows[start:stop]
        ids = pa.chunked_array([pa.array([row[0] for row in some], pa.string())])
        yield Identities(ids, np.array([row[1] for row in some], np.uint64).reshape(-1, 2), {})


def in_memory(rows):
    ids = pa.chunked_array([[row[0] for row in rows]], pa.string())
    return group_texts(ids, np.array([row[1] for row in rows], np.uint64).reshape(-1, 2))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


@pytest.fixture(autouse=True, scope="module", params=[1, 3, 1 << 18])
def range_documents(request):
    """Every test runs with ranges of one document, of three, and of all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "RANGE_DOCUMENTS", request.param)
        patch.setattr(grouping, "SAMPLE", 2)
        patch.setattr(grouping, "ROWS_AT_ONCE", request.param)
        yield


@settings(max_examples=40)
@given(tables, cut_points, st.randoms())
def test_groups_are_those_found_in_memory(scratch, table, cuts, random):
    rows = list(table.items())
    random.shuffle(rows)
    found, expected = group_documents(parts_of(rows, cuts), scratch), in_memory(rows)
    ids = [doc_id for batch in found.ids.batches() for doc_id in batch["doc_id"].to_pylist()]
    assert ids == sorted(table)
    assert (found.n_documents, found.n_texts) == (len(rows), expected.n_texts)
    text = expected.text_of_rank[expected.rank_of_row]
    assert node_of(found.text_of_row).tolist() == expected.first_rank[text].tolist()
    assert (found.text_of_row >= 0).tolist() == (expected.text_of_row >= 0).tolist()


@settings(max_examples=40)
@given(tables, cut_points, st.sets(st.integers(0, 20)))
def test_nodes_are_the_texts_with_copies_or_candidates(scratch, table, cuts, chosen):
    rows = list(table.items())
    texts = group_documents(parts_of(rows, cuts), scratch)
    by_hash = {}
    for doc_id, text_hash in sorted(rows):
        by_hash.setdefault(text_hash, []).append(doc_id)
    firsts = [members[0] for members in by_hash.values()]
    candidates = [rank for rank, doc_id in enumerate(sorted(table)) if doc_id in firsts and rank in chosen]
    expected = [ids for ids in by_hash.values() if len(ids) > 1 or sorted(table).index(ids[0]) in candidates]
    nodes, number = number_nodes(texts, np.array(candidates, np.int64), scratch)
    assert nodes.names_of(np.arange(nodes.n_nodes)).to_pylist() == [ids[0] for ids in expected]
    assert nodes.copies.tolist() == [len(ids) for ids in expected]
    assert nodes.n_alone == len(by_hash) - len(expected)
    place = {doc_id: node for node, ids in enumerate(expected) for doc_id in ids}
    assert node_of(nodes.row_nodes).tolist() == [place.get(doc_id, ALONE) for doc_id, _ in rows]
    assert [node for node in nodes.row_nodes.tolist() if node <= COPY] == [
        COPY - place[doc_id] for doc_id, text_hash in rows if doc_id != by_hash[text_hash][0]
    ]
    assert number[candidates].tolist() == [place[sorted(table)[rank]] for rank in candidates]


def test_a_doc_id_that_occurs_twice_is_named(scratch):
    rows = [("b", (1, 1)), ("a", (2, 2)), ("c", (3, 3)), ("b", (4, 4))]
    for cuts in ((), (1,), (2, 3)):
        with pytest.raises(SchemaError, match="doc_id b occurs more than once"):
            group_documents(parts_of(rows, cuts), scratch)


def test_more_documents_than_numbers_are_refused(monkeypatch, scratch):
    monkeypatch.setattr(exact, "MOST_DOCUMENTS", 1)
    with pytest.raises(BudgetError, match="2 documents in one search"):
        group_documents(parts_of([("b", (1, 1)), ("a", (2, 2))]), scratch)


def test_nothing_to_group(scratch):
    texts = group_documents([], scratch)
    nodes, number = number_nodes(texts, np.empty(0, np.int64), scratch)
    assert (texts.n_documents, texts.n_texts, nodes.n_nodes, nodes.n_alone, len(number)) == (0, 0, 0, 0, 0)


def test_renumbered_pairs_keep_their_order():
    pairs = Listed(np.array([1, 1, 5]), np.array([5, 9, 9])).renumbered(np.array([-1, 0, -1, -1, -1, 1, -1, -1, -1, 2]))
    assert (pairs.a.tolist(), pairs.b.tolist()) == ([0, 0, 1], [1, 2, 2])


@pytest.mark.parametrize("at_once", [1, 2, 3, 100])
def test_doc_ids_come_in_blocks_whatever_the_parts(write_documents, at_once):
    names = [f"{i:02}" for i in range(10)]
    documents = write_documents([[(name, "t") for name in names[:4]], [], [(name, "t") for name in names[4:]]])
    blocks = [block.to_pylist() for block in doc_ids_of(documents, at_once)]
    assert blocks == [names[at : at + at_once] for at in range(0, 10, at_once)]
