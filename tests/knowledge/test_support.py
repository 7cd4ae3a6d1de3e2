"""Joins against a query in polars over the same mentions and triples; a triple that is planted wrong changes them."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.text.columns import text_column
from gristmill.knowledge.graph import load_graph
from gristmill.knowledge.linking import find_mentions, join_documents
from gristmill.knowledge.support import ClosePairs, close_pairs, new_pairs, support_of
from gristmill.knowledge.type_counts import documents_by_type, main_types, type_counts

from .conftest import SAMPLE_GRAPH, written_graph

WINDOW = 40
NAMES = {letter: letter.upper() + 3 * letter for letter in "abcde"}
FACTS = [("a", "r", "b"), ("b", "s", "a"), ("b", "r", "c"), ("d", "t", "d"), ("c", "t", "e")]
TYPES = {"a": "x", "b": "x", "c": "y", "d": "", "e": "y"}
DOCS = st.lists(
    st.lists(st.sampled_from([*NAMES.values(), "word", "a longer stretch of words"]), max_size=9), max_size=4
)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return load_graph(written_graph(tmp_path_factory.mktemp("toy"), entities(), FACTS))


def entities():
    return [(id_, name, {"type": TYPES[id_]}) for id_, name in NAMES.items()]


def joins(texts, graph):
    """(document, head, relation, tail, support), and new pairs of each document: what the stage computes."""
    mentions = find_mentions(text_column(pa.table({"text": pa.array(texts, pa.string())})), graph, 0.0)
    docs, triples = join_documents(mentions, graph)
    pairs = close_pairs(mentions, WINDOW)
    ids, relations = np.array(graph.ids.to_pylist()), np.array(graph.relations.to_pylist())
    columns = (docs, ids[graph.heads[triples]], relations[graph.kinds[triples]], ids[graph.tails[triples]])
    rows = zip(*(column.tolist() for column in (*columns, support_of(docs, triples, pairs, graph))), strict=True)
    return sorted(rows), new_pairs(pairs, graph, len(texts)).tolist(), mentions


def queried(mentions, graph, triples, n_docs):
    """The same from mentions and triples by joins of polars alone."""
    ids = graph.ids.take(pa.array(mentions.entities)).to_pylist()
    flat = pl.DataFrame(
        {"doc": mentions.docs, "start": mentions.starts, "end": mentions.ends, "entity": ids},
        schema_overrides={"entity": pl.String},
    )
    other = flat.rename({"start": "start2", "end": "end2", "entity": "entity2"})
    both = flat.join(other, on="doc").filter(pl.col("start") < pl.col("start2"), pl.col("entity") != pl.col("entity2"))
    near = both.filter(pl.col("start2") - pl.col("end") <= WINDOW)
    pair = pl.concat_list("entity", "entity2").list.sort().list.join("|").alias("pair")
    times = near.group_by("doc", pair).agg(times=pl.len())
    table = pl.DataFrame(triples, schema=["head", "relation", "tail"], orient="row").unique()
    named = flat.select("doc", "entity").unique()
    joined = named.rename({"entity": "head"}).join(table, on="head")
    joined = joined.join(named.rename({"entity": "tail"}), on=["doc", "tail"])
    keyed = joined.with_columns(pair=pl.concat_list("head", "tail").list.sort().list.join("|"))
    supported = keyed.join(times, on=["doc", "pair"], how="left").with_columns(pl.col("times").fill_null(0))
    known = table.select(pair=pl.concat_list("head", "tail").list.sort().list.join("|"))
    lacking = times.join(known, on="pair", how="anti").filter(pl.col("times") >= 2).group_by("doc").len()
    by_doc = dict(lacking.rows())
    return sorted(supported.select("doc", "head", "relation", "tail", "times").rows()), [
        by_doc.get(d, 0) for d in range(n_docs)
    ]


@given(DOCS)
def test_joins_equal_the_query(toy, docs):
    texts = [" ".join(doc) for doc in docs]
    rows, new, mentions = joins(texts, toy)
    assert (rows, new) == queried(mentions, toy, FACTS, len(texts))


TEXT = (
    "France borders Spain; its capital is Paris. The euro is the currency of Germany and Austria. Paris and Kenya, "
    "Kenya and Paris. Washington, Oregon, California and Nevada are states of the United States. Canada borders it."
)


def test_joins_of_the_sample_graph_equal_the_query(sample_graph):
    rows, new, mentions = joins([TEXT, ""], sample_graph)
    facts = pl.read_parquet(SAMPLE_GRAPH / "triples.parquet").rows()
    assert (rows, new) == queried(mentions, sample_graph, facts, 2)
    assert len(rows) > 10
    assert sum(row[-1] > 0 for row in rows) > 5
    assert new[0] > 0


def test_triples_planted_wrong_change_the_joins(tmp_path):
    """Paris as the capital of Kenya: joined, supported, and the pair is new no more."""
    folder = tmp_path / "planted"
    folder.mkdir()
    for name in ("entities.parquet", "triples.parquet"):
        (folder / name).write_bytes((SAMPLE_GRAPH / name).read_bytes())
    rows, new, _ = joins([TEXT], load_graph(folder))
    facts = pl.read_parquet(folder / "triples.parquet")
    wrong = ("iso3166:KE", "capital", "city:paris")
    pl.concat([facts, pl.DataFrame([wrong], schema=facts.schema, orient="row")]).write_parquet(
        folder / "triples.parquet"
    )
    planted, new_then, mentions = joins([TEXT], load_graph(folder))
    assert {row[:4] for row in planted} - {row[:4] for row in rows} == {(0, *wrong)}
    assert next(row[4] for row in planted if row[1:4] == wrong) >= 2
    assert new_then[0] == new[0] - 1
    assert (rows, new) != queried(mentions, load_graph(folder), pl.read_parquet(folder / "triples.parquet").rows(), 1)


@given(DOCS)
def test_types_by_definition(toy, docs):
    _, _, mentions = joins([" ".join(doc) for doc in docs], toy)
    counts, ids = type_counts(mentions, toy), toy.ids.to_pylist()
    named = [[ids[e] for e in mentions.entities[a:b].tolist()] for a, b in pairwise(mentions.offsets)]
    histograms = [{t: sum(TYPES[e] == t for e in doc) for t in ("x", "y")} for doc in named]
    expected = [
        [(t, n) for t, n in sorted(one.items(), key=lambda item: (-item[1], item[0])) if n] for one in histograms
    ]
    rows = counts.rows.select("type", "mentions").rows()
    assert [rows[a:b] for a, b in pairwise(counts.offsets)] == expected
    assert main_types(counts).to_pylist() == [one[0][0] if one else "" for one in expected]
    found = {t: sum(len({e for e in doc if TYPES[e] == t}) >= 1 for doc in named) for t in ("x", "y")}
    assert {t: row["1"] for t, row in documents_by_type(counts).items()} == {t: n for t, n in found.items() if n}


def test_a_batch_of_many_documents_on_a_large_graph():
    """100,000 documents and 10 M entities: (document, pair) as one number would not fit in 63 bits."""
    n, many = 100_000, 10_000_000
    graph = SimpleNamespace(heads=np.array([many - 1, 7, 3]), tails=np.array([5, 7, many - 2]), n_entities=many)
    docs = np.arange(n)
    pairs = ClosePairs(docs, np.full(n, 5), np.full(n, many - 1), docs % 9)
    asked = np.concatenate([docs[-1000:], docs[:2], docs[-2:]])
    triples = np.concatenate([np.zeros(1000, np.int64), [1, 2, 2, 1]])
    assert support_of(asked, triples, pairs, graph).tolist() == [*(docs[-1000:] % 9).tolist(), 0, 0, 0, 0]
    none = ClosePairs(*np.zeros((4, 0), np.int64))
    assert support_of(asked, triples, none, graph).sum() == 0
