"""Exact groups: numbering by the smallest doc_id, row alignment, readings."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.account import passed_on
from gristmill.corpus.errors import BudgetError, SchemaError
from gristmill.dedup.clusters import exact
from gristmill.dedup.clusters.exact import group_texts, text_keys
from gristmill.dedup.clusters.identities import read_identities


def group(rows):
    """group_texts of (doc_id, hash) rows, a hash being any two integers."""
    hashes = np.array([row[1] for row in rows], np.uint64).reshape(-1, 2)
    return group_texts(pa.chunked_array([[row[0] for row in rows]], pa.string()), hashes)


def names(texts):
    return texts.names_of(np.arange(texts.n_texts)).to_pylist()


hashes = st.tuples(st.integers(0, 2), st.sampled_from([0, 1, 2**64 - 1]))
tables = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), hashes, max_size=20)


@given(tables, st.randoms())
def test_groups_equal_a_dictionary_of_lists(table, random):
    rows = list(table.items())
    random.shuffle(rows)
    texts = group(rows)
    by_hash = {}
    for doc_id, text_hash in sorted(rows):
        by_hash.setdefault(text_hash, []).append(doc_id)
    assert texts.n_documents == len(rows)
    assert names(texts) == [members[0] for members in by_hash.values()]
    assert texts.copies.tolist() == [len(members) for members in by_hash.values()]
    numbers = {text_hash: number for number, text_hash in enumerate(by_hash)}
    for row, (doc_id, text_hash) in enumerate(rows):
        rank = texts.rank_of_row[row]
        assert texts.doc_ids[int(rank)].as_py() == doc_id
        assert texts.text_of_rank[rank] == numbers[text_hash]
        assert texts.text_of_row[row] == (numbers[text_hash] if by_hash[text_hash][0] == doc_id else -1)


def test_names_ascend():
    texts = group([("c", (1, 0)), ("a", (2, 0)), ("b", (1, 0)), ("d", (2, 0))])
    assert names(texts) == ["a", "b"]
    assert texts.text_of_row.tolist() == [-1, 0, 1, -1]


def test_ids_may_lie_in_several_chunks():
    ids = pa.chunked_array([["d", "b"], [], ["a", "c"]], pa.string())
    texts = group_texts(ids, np.array([[1, 1], [1, 2], [1, 1], [1, 2]], np.uint64))
    assert texts.doc_ids.to_pylist() == ["a", "b", "c", "d"]
    assert names(texts) == ["a", "b"]


def test_a_doc_id_that_occurs_twice_is_named():
    with pytest.raises(SchemaError, match=r"doc_id b occurs more than once.*\[\[sources\]\]"):
        group([("b", (1, 1)), ("a", (2, 2)), ("b", (3, 3))])


def test_more_documents_than_numbers_are_refused(monkeypatch):
    monkeypatch.setattr(exact, "MOST_DOCUMENTS", 1)
    with pytest.raises(BudgetError, match="2 documents in one search for duplicates; at most 1"):
        group([("a", (1, 1)), ("b", (2, 2))])


@pytest.mark.parametrize("rows", [[], [("a", (1, 1))]])
def test_no_documents_and_one(rows):
    texts = group(rows)
    assert texts.n_documents == texts.n_texts == len(rows)


def test_identities_with_and_without_signatures_agree(write_documents, sign):
    documents = write_documents([[("1", "äa", "web"), ("2", "b", "books")], [], [("3", "", "web")]])
    plain, signed = read_identities(documents, None), read_identities(documents, sign(documents))
    assert plain.doc_ids.to_pylist() == signed.doc_ids.to_pylist() == ["1", "2", "3"]
    assert plain.text_hashes.tolist() == signed.text_hashes.tolist()
    assert plain.accounts == signed.accounts == {"books": passed_on(1, 1), "web": passed_on(2, 3)}


def test_hashes_are_the_128_bits_of_the_text(write_documents):
    found = read_identities(write_documents([[("1", "äa"), ("2", "b")]]), None).text_hashes
    assert [row.tobytes() for row in found] == [xxhash.xxh3_128_digest(text.encode()) for text in ("äa", "b")]


@pytest.mark.parametrize("text_hash", ["", "12", "g" * 32, "A" * 32, "0" * 33])
def test_a_hash_that_is_none_is_refused(tmp_path, text_hash):
    table = pa.table({"doc_id": ["a"], "text_hash": [text_hash], "source": ["web"], "text": ["t"]})
    pq.write_table(table, tmp_path / "part.parquet")
    with pytest.raises(SchemaError, match=r"part\.parquet: a text_hash is not 32"):
        read_identities([tmp_path / "part.parquet"], None)


def test_signatures_of_other_documents_are_refused(write_documents, sign):
    documents, others = write_documents([[("1", "a")]]), write_documents([[("2", "a")]])
    with pytest.raises(SchemaError, match="not row-aligned"):
        read_identities(documents, sign(others))
    with pytest.raises(SchemaError, match="2 parts of documents but 1 of signatures"):
        read_identities([*documents, *others], sign(documents))


@given(st.text(max_size=40))
def test_casefold_reading_forgets_case_and_spacing(text):
    variants = [text, text.casefold(), f"  {text}\n", "\t ".join(text.split())]
    keys = text_keys(pa.record_batch({"text": variants}), "casefold").to_pylist()
    assert len(set(keys)) == 1
    assert len(keys[0]) == 32


def test_casefold_reading_keeps_words_apart():
    keys = text_keys(pa.record_batch({"text": ["ab c", "a bc", "abc", "ab, c"]}), "casefold").to_pylist()
    assert len(set(keys)) == 4


def test_raw_reading_is_the_stored_hash():
    batch = pa.record_batch({"text": ["a"], "text_hash": ["h"]})
    assert text_keys(batch).to_pylist() == ["h"]
