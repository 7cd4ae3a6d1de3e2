"""Exact groups: numbering by the smallest doc_id, row alignment, readings."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus.errors import SchemaError
from dedup.exact import IDENTITIES, group_texts, read_identities, text_keys


def identities(rows):
    ids, hashes = [row[0] for row in rows], [row[1] for row in rows]
    return pa.table([ids, hashes, ["web"] * len(rows), [1] * len(rows)], schema=IDENTITIES)


tables = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.sampled_from("pqrst"), max_size=20)


@given(tables, st.randoms())
def test_groups_equal_a_dictionary_of_lists(table, random):
    rows = list(table.items())
    random.shuffle(rows)
    texts = group_texts(identities(rows))
    by_hash = {}
    for doc_id, text_hash in sorted(rows):
        by_hash.setdefault(text_hash, []).append(doc_id)
    assert texts.n_documents == len(rows)
    assert texts.names.to_pylist() == [members[0] for members in by_hash.values()]
    assert texts.copies.tolist() == [len(members) for members in by_hash.values()]
    numbers = {text_hash: number for number, text_hash in enumerate(by_hash)}
    for row, (doc_id, text_hash) in enumerate(rows):
        rank = texts.rank_of_row[row]
        assert texts.doc_ids[int(rank)].as_py() == doc_id
        assert texts.text_of_rank[rank] == numbers[text_hash]
        assert texts.text_of_row[row] == (numbers[text_hash] if by_hash[text_hash][0] == doc_id else -1)


def test_names_ascend():
    texts = group_texts(identities([("c", "1"), ("a", "2"), ("b", "1"), ("d", "2")]))
    assert texts.names.to_pylist() == ["a", "b"]
    assert texts.text_of_row.tolist() == [-1, 0, 1, -1]


def test_a_doc_id_that_occurs_twice_is_named():
    with pytest.raises(SchemaError, match=r"doc_id b occurs more than once.*\[\[sources\]\]"):
        group_texts(identities([("b", "1"), ("a", "2"), ("b", "3")]))


@pytest.mark.parametrize("rows", [[], [("a", "1")]])
def test_no_documents_and_one(rows):
    texts = group_texts(identities(rows))
    assert texts.n_documents == texts.n_texts == len(rows)


def test_identities_with_and_without_signatures_agree(write_documents, sign):
    documents = write_documents([[("1", "äa", "web"), ("2", "b", "books")], [], [("3", "", "web")]])
    plain = read_identities(documents, None)
    assert plain.equals(read_identities(documents, sign(documents)))
    assert plain.schema == IDENTITIES
    assert plain["bytes"].to_pylist() == [3, 1, 0]
    assert plain["source"].to_pylist() == ["web", "books", "web"]


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


def test_ranks_are_int64():
    assert group_texts(identities([("a", "1")])).first_rank.dtype == np.int64
