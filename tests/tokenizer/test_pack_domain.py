"""Packing a domain into shards: every token once, whatever the parts, and three ways to open the result."""

import subprocess
import sys

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import RecipeError, SchemaError
from gristmill.tokenizer import pack, packings
from gristmill.tokenizer.encode import TOKENS, encode_part, tokens_schema
from gristmill.tokenizer.pack import Layout, pack_domain
from gristmill.tokenizer.packings import Packing, best_fit
from gristmill.tokenizer.stage import PACKINGS, PAD_ID

OTHERS = {
    "packing": "best_fit",
    "padding_best_fit": None,
    "rows_without_targets": 0,
    "tokens_without_targets": 0,
    "documents_without_signal": 0,
}  # facts of a domain whose tokens all count
LAYOUT = {"row_tokens": 64, "shard_rows": 100, "batch_rows": 16}


@pytest.fixture(scope="module")
def encoded(parts, tokenizer, tmp_path_factory):
    """tokens.parquet of both parts."""
    folders = [tmp_path_factory.mktemp(f"tokens{number}") for number in range(len(parts))]
    for (path, kept), folder in zip(parts, folders, strict=True):
        encode_part(path, kept, tokenizer, folder)
    return [folder / TOKENS for folder in folders]


def write_tokens(path, lists, source="web", heldout=False):
    """A tokens.parquet with these ids; documents are called by number, from the largest down."""
    ids = [f"{source}-{len(lists) - number:04}" for number in range(len(lists))]
    columns = [ids, [source] * len(lists), ["web"] * len(lists), [heldout] * len(lists), [True] * len(lists), lists]
    schema = tokens_schema(1000)
    pq.write_table(pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema), path)
    return path


def packed(tokens, folder, domain="docs", heldout=False, vocab_size=1000, **changes):
    folder.mkdir()
    layout = Layout(**(LAYOUT | changes))
    return pack_domain(tokens, folder, domain=domain, heldout=heldout, vocab_size=vocab_size, layout=layout)


def rows_of(folder):
    table = pa.concat_tables(pa.ipc.open_stream(path).read_all() for path in sorted(folder.glob("*.arrow")))
    return np.array(table["tokens"].to_pylist()).reshape(table.num_rows, -1), table["documents"].to_pylist()


def documents_of(folder):
    """Documents put together again from their pieces, and how many places are padding."""
    tokens, lists = rows_of(folder)
    pieces, padding = {}, np.ones_like(tokens, bool)
    for row, documents in enumerate(lists):
        for piece in documents:
            stop = piece["start"] + piece["length"]
            pieces.setdefault(piece["doc_id"], {})[piece["offset"]] = tokens[row, piece["start"] : stop].tolist()
            padding[row, piece["start"] : stop] = False
    assert (tokens[padding] == PAD_ID).all()
    whole = {name: [i for _, part in sorted(found.items()) for i in part] for name, found in pieces.items()}
    return whole, int(padding.sum())


@pytest.mark.parametrize(("domain", "heldout"), [("docs", False), ("code", False), ("docs", True)])
def test_every_token_of_the_domain_stands_in_the_rows_once(encoded, tmp_path, domain, heldout):
    outcome = packed(encoded, tmp_path / "rows", domain, heldout)
    table = pa.concat_tables(map(pq.read_table, encoded))
    expected = {
        row["doc_id"]: row["tokens"]
        for row in table.to_pylist()
        if (row["domain"], row["heldout"]) == (domain, heldout)
    }
    whole, padding = documents_of(tmp_path / "rows")
    assert whole == expected
    n_tokens = sum(map(len, expected.values()))
    assert outcome.facts == OTHERS | {
        "rows": outcome.rows,
        "documents": len(expected),
        "tokens": n_tokens,
        "padding": round(padding / (outcome.rows * 64), 6),
        "cut_documents": sum(len(ids) > 64 for ids in expected.values()),
    }
    account = outcome.accounts[domain]
    assert account.balanced
    assert (account.documents_in, account.bytes_in) == (len(expected), 2 * n_tokens)


def test_rows_do_not_depend_on_the_parts(encoded, tmp_path):
    table = pq.read_table(encoded[0])
    cut = [tmp_path / "first.parquet", tmp_path / "second.parquet"]
    pq.write_table(table[70:], cut[0], row_group_size=7)
    pq.write_table(table[:70], cut[1], row_group_size=30)
    one = packed(encoded, tmp_path / "a")
    assert one == packed(cut, tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "b").iterdir())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)


def test_windows_and_blocks_keep_every_token(encoded, tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "WINDOW_DOCUMENTS", 9)
    monkeypatch.setattr(pack, "WRITE_BYTES", 1000)
    packed(encoded, tmp_path / "windows")
    monkeypatch.undo()
    packed(encoded, tmp_path / "whole")
    assert documents_of(tmp_path / "windows")[0] == documents_of(tmp_path / "whole")[0]


def test_load_from_disk_opens_the_folder(encoded, tmp_path):
    outcome = packed(encoded, tmp_path / "rows")
    dataset = datasets.load_from_disk(str(tmp_path / "rows"))
    assert dataset.num_rows == outcome.rows
    assert dataset[0]["tokens"] == rows_of(tmp_path / "rows")[0][0].tolist()


def test_a_document_of_exactly_one_row_is_not_cut(tmp_path):
    path = write_tokens(tmp_path / "tokens.parquet", [[7] * 64, [8] * 65, [9] * 63])
    outcome = packed([path], tmp_path / "rows", "web")
    assert outcome.facts | {"padding": 0} == OTHERS | {
        "rows": 3,
        "documents": 3,
        "tokens": 192,
        "padding": 0,
        "cut_documents": 1,
    }
    tokens, lists = rows_of(tmp_path / "rows")
    assert sorted(len(documents) for documents in lists) == [1, 1, 2]
    assert outcome.facts["padding"] == 0
    assert sorted(set(map(tuple, tokens)))[0] == (7,) * 64


def test_accounts_by_source(tmp_path):
    paths = [
        write_tokens(tmp_path / "b.parquet", [[5] * 3], "b"),
        write_tokens(tmp_path / "a.parquet", [[6], [6, 6]], "a"),
    ]
    outcome = packed(paths, tmp_path / "rows", "web")
    assert {name: (a.documents_kept, a.bytes_kept) for name, a in outcome.accounts.items()} == {
        "a": (2, 6),
        "b": (1, 6),
    }
    assert list(outcome.accounts) == ["a", "b"]


def test_a_domain_without_documents_is_an_empty_dataset(encoded, tmp_path):
    outcome = packed(encoded, tmp_path / "rows", "nobody")
    assert (outcome.rows, outcome.facts["padding"], outcome.accounts) == (0, 0.0, {})
    assert datasets.load_from_disk(str(tmp_path / "rows")).num_rows == 0


def test_nothing_but_shards_and_index_is_left(encoded, tmp_path):
    packed(encoded, tmp_path / "rows")
    names = {path.name for path in (tmp_path / "rows").iterdir()}
    assert {name for name in names if not name.endswith(".arrow")} == {"index.json", "state.json", "dataset_info.json"}


def test_ids_of_another_width_are_refused(encoded, tmp_path):
    with pytest.raises(SchemaError, match="expected lists of uint32"):
        packed(encoded, tmp_path / "rows", vocab_size=70_000)


@pytest.mark.parametrize("name", ["row_tokens", "shard_rows", "batch_rows"])
def test_numbers_below_1_name_their_key(encoded, tmp_path, name):
    with pytest.raises(RecipeError, match=rf"shards\.{name} is 0"):
        packed(encoded, tmp_path / "rows", **{name: 0})


def test_an_unknown_packing_is_named():
    with pytest.raises(RecipeError, match=r"shards\.packing: unknown packing 'bestfit'; did you mean 'best_fit'"):
        Layout(**LAYOUT, packing="bestfit")


def test_a_new_packing_is_one_entry_of_the_table(encoded, tmp_path, monkeypatch):
    """A row for every piece: the rows are more, the documents the same."""

    def one_a_row(lengths, row_tokens):
        found = best_fit(lengths, row_tokens)
        order = np.lexsort((found.offset, found.document))
        document, offset, length = (column[order] for column in found[:3])
        return Packing(document, offset, length, np.arange(len(order)), np.zeros(len(order), np.int64), len(order))

    monkeypatch.setattr(packings, "one_a_row", one_a_row, raising=False)
    monkeypatch.setitem(PACKINGS, "one_a_row", "gristmill.tokenizer.packings:one_a_row")
    best, own = packed(encoded, tmp_path / "best"), packed(encoded, tmp_path / "own", packing="one_a_row")
    assert own.rows > best.rows
    assert documents_of(tmp_path / "own")[0] == documents_of(tmp_path / "best")[0]


def test_the_names_of_packings_need_no_numba():
    heavy = "{'numba', 'pyarrow', 'tokenizers'} & set(sys.modules)"
    code = f"import sys, gristmill.tokenizer.stage; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
