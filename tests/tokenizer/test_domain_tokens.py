"""Collecting one domain's tokens from parts."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import SchemaError
from gristmill.tokenizer.domain_tokens import gather_domain
from gristmill.tokenizer.encode import tokens_schema


def write(path, rows):
    """(doc_id, source, domain, heldout, tokens) a row, two rows a row group."""
    names = tokens_schema(1000).names
    table = pa.Table.from_pylist(
        [dict(zip(names, (*row[:4], True, row[4]), strict=True)) for row in rows], tokens_schema(1000)
    )
    pq.write_table(table, path, row_group_size=2)
    return path


@pytest.fixture
def tokens(tmp_path):
    first = [("d", "x", "web", False, [4, 0]), ("b", "x", "web", True, [9]), ("e", "y", "code", False, [1, 2, 0])]
    second = [("a", "y", "web", False, [5]), ("c", "z", "web", False, []), ("f", "z", "code", False, [7])]
    return [write(tmp_path / "1.parquet", first), write(tmp_path / "2.parquet", second)]


def gathered(tokens, folder, domain="web", heldout=False):
    folder.mkdir()
    with gather_domain(tokens, folder, domain, heldout, 1000) as found:
        assert list(folder.iterdir()) == []  # the file has no name
        lists = [found.ids[at : at + n].tolist() for at, n in zip(found.begins, found.lengths, strict=True)]
        return list(zip(found.doc_ids.to_pylist(), found.sources.to_pylist(), lists, strict=True))


def test_documents_come_in_order_of_doc_id(tokens, tmp_path):
    expected = [("a", "y", [5]), ("c", "z", []), ("d", "x", [4, 0])]
    assert gathered(tokens, tmp_path / "one") == expected
    assert gathered(tokens[::-1], tmp_path / "other") == expected


def test_held_out_documents_are_apart(tokens, tmp_path):
    assert gathered(tokens, tmp_path / "out", heldout=True) == [("b", "x", [9])]


@pytest.mark.parametrize("domain", ["nobody", ""])
def test_no_document_is_no_error(tokens, tmp_path, domain):
    assert gathered(tokens, tmp_path / "out", domain) == []


def test_windows_share_the_ids(tokens, tmp_path):
    with gather_domain(tokens, tmp_path, "web", False, 1000) as found:
        windows = [found.window(first, 2) for first in range(0, len(found), 2)]
        assert [len(window) for window in windows] == [2, 1]
        assert all(window.ids is found.ids for window in windows)
        assert np.concatenate([window.lengths for window in windows]).tolist() == [1, 0, 2]


def test_a_file_without_tokens_is_named(tokens, tmp_path):
    pq.write_table(pq.read_table(tokens[0]).drop_columns("tokens"), tmp_path / "3.parquet")
    with pytest.raises(SchemaError, match=r"3\.parquet has no column 'tokens'"):
        gathered([tmp_path / "3.parquet"], tmp_path / "out")
