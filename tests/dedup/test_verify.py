"""Verification: exact Jaccard from texts that are read again, one row group at a time."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.schema import DOCUMENTS
from gristmill.dedup.clusters import verification as verify
from gristmill.dedup.clusters.candidates import Listed
from gristmill.dedup.clusters.verification import shingle_sets, verified

BASE = [f"word{i}" for i in range(100)]


def with_edits(*places):
    return " ".join("edit" if i in places else word for i, word in enumerate(BASE))


TEXTS = [with_edits(), with_edits(50), with_edits(10, 90), "unrelated words of another text altogether", ""]


def naive_jaccard(one, other):
    a, b = ({tuple(t.split()[i : i + 5]) for i in range(len(t.split()) - 4)} for t in (one, other))
    return len(a & b) / len(a | b)


def read(documents, tmp_path, node_of_row=None, wanted=None, n_nodes=None):
    n = sum(pq.read_metadata(path).num_rows for path in documents)
    nodes = np.arange(n) if node_of_row is None else np.array(node_of_row)
    n_nodes = n_nodes or n
    return shingle_sets(
        documents, nodes, n_nodes, np.arange(n_nodes) if wanted is None else np.array(wanted), 5, tmp_path
    )


@pytest.fixture
def documents(write_documents):
    return write_documents(
        [[("a", TEXTS[0]), ("b", TEXTS[1])], [], [("c", TEXTS[2]), ("d", TEXTS[3]), ("e", TEXTS[4])]]
    )


def test_jaccard_across_parts_equals_the_naive_one(documents, tmp_path):
    sets = read(documents, tmp_path)
    a, b = np.array([0, 0, 1, 0]), np.array([1, 2, 2, 3])
    expected = [naive_jaccard(TEXTS[x], TEXTS[y]) for x, y in zip(a, b, strict=True)]
    assert sets.jaccard(a, b).tolist() == expected


def test_a_text_without_words_is_similar_to_nothing(documents, tmp_path):
    sets = read(documents, tmp_path)
    assert sets.jaccard(np.array([4, 0]), np.array([4, 4])).tolist() == [0.0, 0.0]


def test_only_wanted_rows_are_read(documents, tmp_path):
    sets = read(documents, tmp_path, wanted=[1, 3])
    assert (sets.sizes > 0).tolist() == [False, True, False, True, False]


def test_rows_of_no_node_are_skipped(documents, tmp_path):
    sets = read(documents, tmp_path, node_of_row=[1, -1, 0, -1, -1], n_nodes=2)
    assert sets.jaccard(np.array([0]), np.array([1])).tolist() == [naive_jaccard(TEXTS[0], TEXTS[2])]


def test_unwanted_row_groups_are_not_touched(write_documents, tmp_path, monkeypatch):
    (path,) = write_documents([[(str(i), f"text {i} of a few words") for i in range(12)]])
    table = pq.read_table(path)
    pq.write_table(table.cast(DOCUMENTS), path, row_group_size=3)
    groups = []
    read_row_group = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_group",
        lambda self, i, **options: groups.append(i) or read_row_group(self, i, **options),
    )
    sets = read([path], tmp_path, wanted=[4, 11])
    assert groups == [1, 3]
    assert np.flatnonzero(sets.sizes).tolist() == [4, 11]


def test_the_scratch_file_is_gone_but_its_values_stay(documents, tmp_path):
    sets = read(documents, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(sets.values) == sets.sizes.sum()


@pytest.mark.parametrize("at_once", [1, 97, 200, 10**6])
def test_pages_may_be_let_go_of_after_any_number_of_shingles(documents, tmp_path, monkeypatch, at_once):
    sets = read(documents, tmp_path)
    a, b = np.array([0, 0, 4, 1, 0, 2]), np.array([1, 2, 4, 2, 3, 3])
    monkeypatch.setattr(verify, "SHINGLES_AT_ONCE", 10**9)
    whole = sets.jaccard(a, b)
    monkeypatch.setattr(verify, "SHINGLES_AT_ONCE", at_once)
    assert sets.jaccard(a, b).tolist() == whole.tolist()


def test_nothing_wanted_gives_empty_sets(documents, tmp_path):
    sets = read(documents, tmp_path, wanted=np.empty(0, np.int64))
    assert len(sets.values) == 0
    assert sets.jaccard(np.array([0]), np.array([1])).tolist() == [0.0]


def test_verified_keeps_the_edges_from_the_threshold_on(documents, tmp_path):
    sets = read(documents, tmp_path)
    candidates = Listed(np.array([0, 0, 0, 1]), np.array([1, 2, 3, 2]))
    exact = naive_jaccard(TEXTS[0], TEXTS[1])
    ((looked_at, (a, b, jaccard)),) = verified(candidates, sets, exact)  # the threshold itself is near
    assert looked_at == 4
    assert list(zip(a.tolist(), b.tolist(), jaccard.tolist(), strict=True)) == [(0, 1, exact)]


def test_no_candidates_no_blocks(documents, tmp_path):
    sets = read(documents, tmp_path)
    assert list(verified(Listed(np.empty(0, np.int64), np.empty(0, np.int64)), sets, 0.5)) == []


def test_text_columns_of_either_string_type_are_read(tmp_path):
    path = tmp_path / "plain.parquet"
    pq.write_table(pa.table({"text": pa.array(TEXTS, pa.string())}), path)
    assert read([path], tmp_path).sizes.tolist()[:2] == [96, 96]
