import json

import polars as pl
import pyarrow.parquet as pq
import pytest
import xxhash

from gristmill.corpus.account import passed_on
from gristmill.corpus.errors import SourceError
from gristmill.corpus.schema import DOCUMENTS, REJECTS
from gristmill.knowledge.verbalise import TEMPLATES, template, verbalise_part

ANDORRA = (
    "Andorra: a small republic in the eastern Pyrenees between Spain and France.\n"
    "Andorra is a European country and a country. Andorra is part of Europe, Iberian Peninsula and Southern Europe. "
    "Andorra belongs to the continent of Europe. The capital of Andorra is Andorra la Vella. "
    "Andorra borders France and Spain. Official language of Andorra: Catalan. Currency of Andorra: Euro. "
    "Andorra is a member of United Nations."
)


@pytest.fixture(scope="module")
def sample(sample_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("verbalised")
    outcome = verbalise_part(sample_folder, folder, source="graph", domain="knowledge", license="mixed")
    return outcome, pq.read_table(folder / "documents.parquet"), folder


def told(folder, graph, **options):
    """{locator: text}"""
    verbalise_part(graph, folder, source="graph", domain="knowledge", **options)
    return dict(pl.read_parquet(folder / "documents.parquet").select("locator", "text").rows())


def test_a_country_of_the_sample_reads_well(sample):
    _, table, _ = sample
    rows = {row["locator"]: row for row in table.to_pylist()}
    assert rows["iso3166:AD"]["text"] == ANDORRA
    assert json.loads(rows["iso3166:AD"]["meta"]) == {"type": "country", "facts": 12}
    assert rows["wn:n11283682"]["text"].endswith("\nDorothy Sayers is a writer.")


def test_every_entity_is_a_document(sample):
    outcome, table, folder = sample
    assert table.schema.equals(DOCUMENTS)
    assert outcome.rows == table.num_rows == 10_971
    assert table["locator"].to_pylist() == sorted(set(table["locator"].to_pylist()))
    rejects = pq.read_table(folder / "rejects.parquet")
    assert (rejects.schema, rejects.num_rows) == (REJECTS, 0)
    assert outcome.accounts == {"graph": passed_on(10_971, outcome.facts["text_bytes"])}
    assert sum(len(text.encode()) for text in table["text"].to_pylist()) == outcome.facts["text_bytes"]
    assert outcome.facts["triples"] == 21_848


def test_ids_and_hashes_are_those_of_any_source(sample):
    _, table, _ = sample
    row = table.slice(5, 1).to_pylist()[0]
    assert row["doc_id"] == xxhash.xxh3_128_hexdigest(f"graph\x1f{row['locator']}".encode())
    assert row["text_hash"] == xxhash.xxh3_128_hexdigest(row["text"].encode())
    assert (row["source"], row["domain"], row["license"]) == ("graph", "knowledge", "mixed")


def test_same_graph_same_bytes_in_any_order_of_rows(write_graph, tmp_path):
    entities = [("a", "Alpha", {"description": "the first"}), ("b", "Beta"), ("c", "Gamma")]
    facts = [("a", "borders", "b"), ("a", "borders", "c"), ("a", "knows", "a")]
    seen = []
    for name, order in (("one", 1), ("two", -1)):
        (tmp_path / name).mkdir()
        graph = write_graph(entities[::order], facts[::order], f"graph_{name}")
        verbalise_part(graph, tmp_path / name, source="s", domain="d")
        seen.append((tmp_path / name / "documents.parquet").read_bytes())
    assert seen[0] == seen[1]


def test_an_unknown_relation_gets_a_plain_sentence(write_graph, tmp_path):
    entities = [("a", "Ada"), ("l", "London"), ("m", "Math")]
    texts = told(tmp_path, write_graph(entities, [("a", "bornIn", "l"), ("a", "field_of_work", "m")]))
    assert texts["a"] == "Ada.\nAda: born in: London. Ada: field of work: Math."
    assert texts["l"] == "London."


def test_an_unknown_tail_is_named_by_its_id(write_graph, tmp_path):
    texts = told(tmp_path, write_graph([("a", "Ada")], [("a", "borders", "Q42"), ("Q42", "borders", "a")]))
    assert texts == {"a": "Ada.\nAda borders Q42."}


def test_braces_in_names_are_text(write_graph, tmp_path):
    graph = write_graph([("a", "{tails}"), ("b", "{head} {0}")], [("a", "borders", "b"), ("b", "{x}", "a")])
    texts = told(tmp_path, graph)
    assert texts["a"] == "{tails}.\n{tails} borders {head} {0}."
    assert texts["b"] == "{head} {0}.\n{head} {0}: x: {tails}."


@pytest.mark.parametrize(
    ("label", "phrase"),
    [("island", "an island"), ("city", "a city"), ("European country", "a European country"), ("one-way", "a one-way")],
)
def test_common_nouns_have_an_article(write_graph, tmp_path, label, phrase):
    texts = told(tmp_path, write_graph([("a", "Ada"), ("c", label)], [("a", "instance_of", "c")]))
    assert texts["a"] == f"Ada.\nAda is {phrase}."


def test_labels_come_in_the_first_language_that_has_one(write_graph, tmp_path):
    entities = [("f", "France"), ("f", "Frankreich", {"lang": "de"}), ("p", "巴黎", {"lang": "zh"})]
    graph = write_graph(entities, [("f", "capital", "p")])
    assert told(tmp_path, graph)["f"] == "France.\nThe capital of France is 巴黎."
    assert told(tmp_path, graph, languages=["de", "en"])["f"] == "Frankreich.\nThe capital of Frankreich is 巴黎."
    languages = pl.read_parquet(tmp_path / "documents.parquet")["lang"].to_list()
    assert languages == ["de", "zh"]


def test_every_template_has_both_places_once():
    for relation in [*TEMPLATES, "other", "bornIn", "{head}"]:
        assert template(relation).count("{head}") == template(relation).count("{tails}") == 1


def test_a_missing_graph_names_the_key(tmp_path):
    with pytest.raises(SourceError, match=r"knowledge\.graph"):
        verbalise_part(tmp_path, tmp_path, source="s", domain="d")
