import numpy as np
import polars as pl
import pytest

from gristmill.corpus.errors import SchemaError, SourceError
from gristmill.knowledge.graph import load_graph

PLACES = [("fr", "France"), ("pa", "Paris"), ("de", "Germany"), ("x", "Nowhere")]
FACTS = [("fr", "capital", "pa"), ("fr", "borders", "de"), ("de", "borders", "fr"), ("fr", "capital", "pa")]


def test_a_graph_is_sorted_integer_columns(write_graph):
    graph = load_graph(write_graph(PLACES, FACTS))
    assert graph.ids.to_pylist() == ["de", "fr", "pa", "x"]
    assert graph.relations.to_pylist() == ["borders", "capital"]
    triples = list(zip(graph.heads, graph.kinds, graph.tails, strict=True))
    assert triples == sorted(set(triples)) == [(0, 0, 1), (1, 0, 0), (1, 1, 2)]
    assert graph.degrees.tolist() == [2, 3, 1, 0]
    assert graph.head_offsets.tolist() == [0, 1, 3, 3, 3]


def test_neighbours_are_those_of_either_way_once(write_graph):
    graph = load_graph(write_graph(PLACES, [*FACTS, ("x", "same_as", "x")]))
    assert [graph.neighbours(entity).tolist() for entity in range(4)] == [[1], [0, 2], [1], []]


def test_triples_with_an_unknown_end_are_counted_and_left_out(write_graph):
    graph = load_graph(write_graph(PLACES, [*FACTS, ("fr", "member_of", "eu"), ("eu", "member", "fr")]))
    assert (graph.n_triples, graph.dangling) == (3, 2)


def test_the_order_of_rows_does_not_matter(write_graph):
    one = load_graph(write_graph(PLACES, FACTS, "one"))
    two = load_graph(write_graph(PLACES[::-1], FACTS[::-1], "two"))
    for field in ("ids", "names", "relations"):
        assert getattr(one, field).equals(getattr(two, field))
    for field in ("heads", "kinds", "tails", "near", "near_offsets", "candidates", "degrees"):
        assert np.array_equal(getattr(one, field), getattr(two, field))


def test_the_sample_graph_has_the_counts_of_its_readme(sample_graph):
    assert sample_graph.n_entities == 10_971
    assert sample_graph.n_triples == 21_848
    assert sample_graph.dangling == 0
    france = sample_graph.ids.index("iso3166:FR").as_py()
    neighbours = sample_graph.ids.take(sample_graph.neighbours(france)).to_pylist()
    assert {"city:paris", "iso3166:DE", "region:EU"} <= set(neighbours)
    assert neighbours == sorted(set(neighbours))


def test_loading_again_gives_the_same_object_until_a_file_changes(write_graph):
    folder = write_graph(PLACES, FACTS)
    first = load_graph(folder)
    assert load_graph(folder) is first
    write_graph([*PLACES, ("es", "Spain")], FACTS)
    assert load_graph(folder).n_entities == 5


@pytest.mark.parametrize("missing", ["entities.parquet", "triples.parquet"])
def test_a_missing_file_names_the_key(write_graph, missing):
    folder = write_graph(PLACES, FACTS)
    (folder / missing).unlink()
    with pytest.raises(SourceError, match=rf"{missing} is missing; set knowledge\.graph"):
        load_graph(folder)


def test_a_file_of_another_format_is_refused(write_graph):
    folder = write_graph(PLACES, FACTS)
    (folder / "triples.parquet").write_text("head,relation,tail\n")
    with pytest.raises(SourceError, match=r"triples\.parquet is no Parquet file.*knowledge\.graph"):
        load_graph(folder)


def test_a_missing_column_is_named(write_graph):
    folder = write_graph(PLACES, FACTS)
    pl.read_parquet(folder / "triples.parquet").rename({"tail": "object"}).write_parquet(folder / "triples.parquet")
    with pytest.raises(SchemaError, match=r"no column 'tail', it has head, relation, object; knowledge\.graph"):
        load_graph(folder)


def test_a_column_of_another_type_is_named(write_graph):
    folder = write_graph(PLACES, FACTS)
    entities = pl.read_parquet(folder / "entities.parquet")
    entities.with_columns(aliases=pl.lit("France")).write_parquet(folder / "entities.parquet")
    with pytest.raises(SchemaError, match=r"column 'aliases' is String, not List\(String\)"):
        load_graph(folder)


def test_nulls_in_ids_are_refused(write_graph):
    folder = write_graph(PLACES, FACTS)
    entities = pl.read_parquet(folder / "entities.parquet")
    entities.with_columns(id=pl.lit(None, pl.String)).write_parquet(folder / "entities.parquet")
    with pytest.raises(SchemaError, match="column 'id' has 4 nulls"):
        load_graph(folder)


def test_languages_that_no_label_has_are_an_error(write_graph):
    with pytest.raises(SourceError, match=r"no label to link in languages \['xx'\].*knowledge\.languages"):
        load_graph(write_graph(PLACES, FACTS), languages=["xx"])


def test_null_types_and_descriptions_are_empty(write_graph):
    graph = load_graph(write_graph([("a", "Alphaland", {"type": None, "description": None, "aliases": None})]))
    assert (graph.names.to_pylist(), graph.types.to_pylist()) == (["Alphaland"], [""])
