"""Tables by part: the same rows whichever way they are read, and texts as the tokenizer reads them."""

import tomllib
from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gristmill
from gristmill import file_table
from gristmill.corpus._rooms import HOUSE
from gristmill.corpus.errors import RecipeError, SchemaError, UnknownNameError
from gristmill.recipe_text import is_text, to_toml
from gristmill.tokenizer.kept_text import kept_batches


@pytest.fixture(scope="module")
def run(small_text, tmp_path_factory) -> Iterator[gristmill.Run]:
    """The small corpus with spans that are cut and masked, in a home of its own."""
    edits = '[pii]\nemail = "mask"\n[line_edits]\nrules = ["refinedweb@dclm"]\ndomains = ["web"]\n'
    recipe = small_text.replace("[knowledge]", f"{edits}[knowledge]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(tmp_path_factory.mktemp("home")))
        patch.chdir(HOUSE)
        yield gristmill.run(recipe, until="edits", progress=False)


TABLES = {
    "documents": lambda run: run.documents(),
    "two columns": lambda run: run.documents(["text", "doc_id"]),
    "signals": lambda run: run.signals(),
    "signals of three stages": lambda run: run.signals(["lang_id", "words", "pii_email"]),
    "ledger": lambda run: run.ledger(),
    "kept": lambda run: run.kept(),
    "rejects": lambda run: run.rejects(),
    "text": lambda run: run.text(),
    "kept text": lambda run: run.text(kept=True),
    "text of others": lambda run: run.text(kept=False).select(["text", "kept"]),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_way_to_read_gives_the_same_rows(run, name):
    table = TABLES[name](run)
    whole = table.to_arrow()
    assert whole.num_rows == len(table) == sum(map(len, table)) > 0
    assert whole.schema.equals(table.schema)
    assert pa.table(table).equals(whole)
    frame = pl.DataFrame(whole)
    assert table.to_polars().equals(frame)
    assert table.scan().collect().equals(frame)
    assert table.scan().collect(engine="streaming").equals(frame)
    assert table.head(3).equals(frame.head(3))
    last = table.columns[-1]
    assert table.scan().select(pl.col(last).is_null().sum()).collect().item() == whole[last].null_count


def test_a_part_is_read_when_it_is_asked_for(run, monkeypatch):
    read, asked = file_table.read_part, []
    monkeypatch.setattr(file_table, "read_part", lambda path, names: asked.append(names) or read(path, names))
    table = run.signals(["words", "lang_id"])
    parts = table.parts()
    assert not asked
    assert next(parts).num_rows == run._context.run.manifest("documents").parts[0].rows
    assert asked == [["doc_id", "words"], ["lang_id"]]


def test_signals_stand_beside_their_documents(run):
    signals, documents = run.signals(["bytes", "lang_id"]).to_arrow(), run.documents().to_arrow()
    assert signals["doc_id"].equals(documents["doc_id"])
    assert signals["bytes"].cast(pa.int64()).equals(pc.binary_length(documents["text"]).cast(pa.int64()))
    assert run.signals("words").schema.field("words").metadata[b"unit"] == b"words"


def test_unknown_names_come_with_the_nearest(run):
    with pytest.raises(UnknownNameError, match="unknown signal 'wrods'; did you mean 'words'"):
        run.signals(["bytes", "wrods"])
    with pytest.raises(UnknownNameError, match="unknown column of documents 'txt'; did you mean 'text'"):
        run.documents("txt")
    with pytest.raises(UnknownNameError, match="unknown document 'nobody'"):
        run.text(ids="nobody")
    with pytest.raises(SchemaError, match="no column of kept is chosen"):
        run.kept([])


def test_kept_text_is_what_the_tokenizer_reads(run):
    kept = pq.read_table(run.kept().paths[0])
    assert pc.sum(pc.list_value_length(kept["spans"])).as_py() > 10
    for number, part in enumerate(run.text(kept=True)):
        rows = kept.filter(pc.equal(kept["part"], number))
        due = pa.Table.from_batches(kept_batches(run.documents().paths[number], rows))
        for name in ("doc_id", "text", "source", "domain"):
            assert part[name].to_pylist() == due[name].to_pylist()


def test_other_text_is_as_it_was_read(run):
    documents = run.documents(["doc_id", "text"]).to_polars()
    texts = run.text().to_polars()
    assert texts["doc_id"].equals(documents["doc_id"])
    same = texts["text"] == documents["text"]
    spans = run.kept(["doc_id", "spans"]).to_polars().filter(pl.col("spans").list.len() > 0)["doc_id"]
    assert set(texts.filter(~same)["doc_id"]) == set(spans)
    assert set(texts.filter("kept")["doc_id"]) == set(run.kept("doc_id").to_polars()["doc_id"])


def test_texts_of_some_documents(run):
    texts = run.text().to_polars()
    some = pl.concat([texts.filter("kept")["doc_id"].head(3), texts.filter(~pl.col("kept"))["doc_id"].head(2)])
    for ids in (some, some.to_list(), pa.array(some.to_list()), pa.chunked_array([some.to_list()]), set(some)):
        assert len(run.text(ids=ids)) == 5
    assert run.text(ids=some).to_polars().equals(texts.filter(pl.col("doc_id").is_in(some.to_list())))
    for kept, n_docs in ((True, 3), (False, 2)):
        assert len(run.text(kept, some)) == run.text(kept, some).to_arrow().num_rows == n_docs
    assert run.text(ids=some[0]).to_polars()["doc_id"].to_list() == [some[0]]


def test_a_query_over_text_is_a_query_over_its_rows(run):
    texts, scan = run.text().to_polars(), run.text().scan()
    web = pl.col("domain") == "web"
    assert scan.filter(web).select("text").collect().equals(texts.filter(web).select("text"))
    assert scan.head(300).filter(web).collect().equals(texts.head(300).filter(web))
    assert scan.filter(web).head(3).collect().equals(texts.filter(web).head(3))
    assert scan.tail(2).collect().equals(texts.tail(2))
    assert scan.select(pl.len()).collect().item() == texts.height


def test_a_kept_row_of_another_document_is_refused(run, tmp_path):
    from gristmill.text_table import TextTable, Wanted

    kept = run.kept().to_arrow()
    swapped = kept.set_column(0, "doc_id", kept["doc_id"].take(pa.array(range(kept.num_rows - 1, -1, -1))))
    pq.write_table(swapped, tmp_path / "kept.parquet")
    table = TextTable(run.text()._documents, tmp_path / "kept.parquet", Wanted(), 0)
    with pytest.raises(SchemaError, match="other documents"):
        table.to_arrow()


SCALARS = st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
VALUES = st.recursive(
    SCALARS | TEXT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=9
)


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_a_dict_comes_back_from_its_toml(tables):
    assert tomllib.loads(to_toml(tables)) == tables


@pytest.mark.parametrize("value", [None, b"x", float("nan"), object, [None], {"a": None}, {1: 2}])
def test_what_toml_cannot_hold_is_refused(value):
    with pytest.raises(RecipeError, match="a recipe"):
        to_toml({"key": value})


def test_a_path_is_told_from_a_text():
    assert [is_text(one) for one in ("a.toml", "/tmp/a b.toml", "~/x=1/a.toml")] == [False] * 3
    assert [is_text(one) for one in ('name="a"', "\n", "[a]", "a.b = 1")] == [True] * 4
