"""Triples in sentences of several languages: every told triple is the graph's, and what cannot be told is counted."""

import json

import polars as pl
import pytest
from pydantic import ValidationError

from gristmill.knowledge.sentence_templates import ALIKE, LISTINGS, SENTENCES
from gristmill.knowledge.stage import Knowledge, Verbalise
from gristmill.knowledge.verbalise_languages import templates_of, verbalise_languages


def told(graph, folder, asked):
    folder.mkdir()
    outcome = verbalise_languages(graph, folder, source="g", domain="k", license=None, asked=asked)
    return outcome.facts, pl.read_parquet(folder / "documents.parquet")


@pytest.fixture
def graph(write_graph):
    entities = [
        ("f", "France", {"description": "country in Europe."}),
        ("f", "Frankreich", {"lang": "de"}),
        ("f", "フランス", {"lang": "ja", "description": "ヨーロッパの国"}),
        ("p", "Paris"),
        ("p", "Paris", {"lang": "de"}),
        ("p", "パリ", {"lang": "ja"}),
        ("s", "Spain"),
        ("s", "Spanien", {"lang": "de"}),
        ("g", "Germany"),
    ]
    edges = [
        ("f", "capital", "p"),
        ("f", "borders", "s"),
        ("f", "borders", "g"),
        ("f", "P36", "p"),
        ("p", "mayor", "g"),
    ]
    return write_graph(entities, edges)


def test_each_language_by_itself(graph, tmp_path):
    own = {"de": {"mayor": "Oberhaupt von {head}: {tails}."}, "en": {"borders": "Beside {tails} lies {head}."}}
    facts, documents = told(graph, tmp_path / "a", Verbalise(languages=("en", "de", "ja"), templates=own))
    texts = dict(documents.select("locator", "text").rows())
    assert texts == {
        "f#en": "France: country in Europe.\nThe capital of France is Paris. Beside Germany and Spain lies France. "
        "The capital of France is Paris.",
        "f#de": "Frankreich.\nDie Hauptstadt von Frankreich ist Paris. Frankreich grenzt an Spanien. "
        "Die Hauptstadt von Frankreich ist Paris.",
        "f#ja": "フランス：ヨーロッパの国。\nフランスの首都はパリである。フランスの首都はパリである。",
    }
    assert facts["skipped"] == {
        "no_template: en": 1, "no_triple: en": 3, "no_label: de": 1, "no_tail_label: de": 2, "no_triple: de": 2,
        "no_label: ja": 2, "no_tail_label: ja": 2, "no_template: ja": 1, "no_triple: ja": 1,
    }  # fmt: skip
    assert facts["triples"] == 4 + 3 + 2


def test_every_triple_told_is_the_graphs_and_every_one_of_it_is_told_or_counted(sample_folder, tmp_path):
    entities, triples = (pl.read_parquet(sample_folder / f"{name}.parquet") for name in ("entities", "triples"))
    languages = ("en", "de", "es", "fr", "ru", "ja", "zh")
    facts, documents = told(sample_folder, tmp_path / "a", Verbalise(languages=languages))
    known = set(triples.rows())
    for language in languages:
        labels = dict(
            entities.filter(pl.col("lang") == language).unique("id", keep="first").select("id", "label").rows()
        )
        mine = documents.filter(pl.col("lang") == language)
        found = {tuple(one) for meta in mine["meta"] for one in json.loads(meta)["triples"]}
        told_relations = templates_of(language, {})
        assert found == {one for one in known if one[0] in labels and one[2] in labels and one[1] in told_relations}
        assert len(found) > 50
        for locator, text in mine.select("locator", "text").head(50).rows():
            name = locator.removesuffix(f"#{language}")
            tails = [labels[tail] for head, _, tail in found if head == name]
            assert all(one.strip() in text for one in (labels[name], *tails))
    assert facts["triples"] == sum(len(json.loads(meta)["triples"]) for meta in documents["meta"])
    assert documents["doc_id"].n_unique() == documents.height


def test_every_language_tells_the_same_relations_and_each_sentence_holds_both_places():
    assert LISTINGS.keys() >= SENTENCES.keys()
    for language in ("en", *SENTENCES):
        sentences = templates_of(language, {})
        assert sentences.keys() >= {*ALIKE, *ALIKE.values()}
        assert all(text.count("{head}") == text.count("{tails}") == 1 for text in sentences.values())


def test_a_sentence_without_a_place_is_a_mistake():
    with pytest.raises(ValidationError):
        Verbalise(languages=())
    section = Verbalise(languages=("de",), templates={"de": {"P36": "Hauptstadt: {tails}."}})
    assert [one.text for one in section.mistakes()] == ["a sentence holds {head} once and {tails} once"]
    assert Knowledge(graph="g", verbalise=section).verbalise == section
