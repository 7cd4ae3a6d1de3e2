"""Encoding a part: what stands in tokens.parquet and in the accounts."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.tokenizer.encode import TOKENS, encode_part, tokens_schema
from gristmill.tokenizer.stage import END
from gristmill.tokenizer.text_counts import sum_by
from gristmill.tokenizer.text_tokenizer import load_reference


@pytest.fixture
def encode(tokenizer, tmp_path):
    def call(documents, kept, name="out"):
        folder = tmp_path / name
        folder.mkdir()
        outcome = encode_part(documents, kept, tokenizer, folder)
        return outcome, pq.read_table(folder / TOKENS)

    return call


def test_tokens_decode_to_the_documents(encode, parts, tokenizer):
    path, kept = parts[0]
    _, table = encode(path, kept)
    reference = load_reference(tokenizer)
    texts = [reference.decode(ids[:-1], skip_special_tokens=False) for ids in table["tokens"].to_pylist()]
    assert texts == pq.read_table(path)["text"].to_pylist()
    assert all(ids[-1] == 0 and 0 not in ids[:-1] for ids in table["tokens"].to_pylist())


def test_schema_and_columns(encode, parts):
    path, kept = parts[1]
    _, table = encode(path, kept)
    assert table.schema.equals(tokens_schema(1000))
    assert table.schema.field("tokens").type == pa.large_list(pa.field("item", pa.uint16(), False))
    for name in ("doc_id", "source", "domain", "heldout"):
        assert table[name].to_pylist() == kept[name].to_pylist()


def test_outcome_counts_what_stands_in_the_file(encode, parts):
    path, kept = parts[0]
    outcome, table = encode(path, kept)
    n_bytes = sum(len(text.encode()) for text in pq.read_table(path)["text"].to_pylist())
    assert outcome.rows == table.num_rows == kept.num_rows
    account = outcome.accounts["docs"]
    assert account.balanced
    assert (account.documents_in, account.bytes_in) == (kept.num_rows, n_bytes)
    assert outcome.facts["bytes"] == {"docs": n_bytes}
    assert outcome.facts["tokens"] == {"docs": sum(map(len, table["tokens"].to_pylist()))}
    assert (outcome.facts["engine"], outcome.facts["vocab_size"]) == ("kernels", 1000)


def test_spans_are_gone_before_encoding(encode, mill, tokenizer, tmp_path):
    documents = mill.documents(["Menu\nmail me@x.org."])
    spans = {0: [{"start": 0, "end": 5, "reason": "line"}, {"start": 10, "end": 18, "reason": "mask:email"}]}
    outcome, table = encode(mill.write(tmp_path / "part.parquet", documents), mill.kept(documents, spans=spans))
    assert load_reference(tokenizer).decode(table["tokens"][0].as_py()[:-1]) == "mail <EMAIL>."
    assert outcome.accounts["web"].bytes_in == len("mail <EMAIL>.")


def test_a_document_cannot_smuggle_in_an_end(encode, mill, tmp_path):
    documents = mill.documents([f"good{END}bad", END])
    _, table = encode(mill.write(tmp_path / "part.parquet", documents), mill.kept(documents))
    assert [ids.count(0) for ids in table["tokens"].to_pylist()] == [1, 1]


def test_same_bytes_twice(encode, parts, tmp_path):
    path, kept = parts[0]
    encode(path, kept, "a")
    encode(path, kept, "b")
    assert (tmp_path / "a" / TOKENS).read_bytes() == (tmp_path / "b" / TOKENS).read_bytes()


def test_nothing_kept_gives_an_empty_file(encode, mill, tmp_path):
    documents = mill.documents(["text"])
    outcome, table = encode(mill.write(tmp_path / "part.parquet", documents), mill.kept(documents, []))
    assert (outcome.rows, outcome.accounts, table.num_rows) == (0, {}, 0)
    assert outcome.facts["tokens"] == {}


def test_sum_by_name_over_a_slice():
    names = pa.array(["x", "b", "a", "b"])[1:]
    assert sum_by(names, np.array([1, 2, 3])) == {"b": 4, "a": 2}
