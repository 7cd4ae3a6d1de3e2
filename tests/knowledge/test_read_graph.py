"""Graphs of other forms: files written as the published formats have them, every line used or counted."""

import bz2
import csv
import gzip
import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.corpus.errors import SchemaError, SourceError
from gristmill.knowledge.graph import load_graph
from gristmill.knowledge.graph_source import Read, files_of
from gristmill.knowledge.graph_tables import GraphAccount
from gristmill.knowledge.ntriples import statements_of
from gristmill.knowledge.read_graph import read_graph

EN_DE = Read(languages=("en", "de"))


def item(name, labels, claims=(), **more):
    """An entity as the dump has it; claims [(property, value or None, rank)]."""

    def texts(found):
        return {lang: {"language": lang, "value": value} for lang, value in found.items()} or []

    statements = {}
    for relation, value, rank in claims:
        snak = {"snaktype": "value", "property": relation, "datatype": "wikibase-item"}
        if isinstance(value, str) and value in ("somevalue", "novalue"):
            snak = {"snaktype": value, "property": relation, "datatype": "wikibase-item"}
        elif isinstance(value, dict):
            snak["datavalue"] = value
        else:
            held = {"entity-type": "item", "numeric-id": int(value[1:]), "id": value}
            snak["datavalue"] = {"value": held, "type": "wikibase-entityid"}
        statements.setdefault(relation, []).append({"mainsnak": snak, "type": "statement", "rank": rank})
    aliases = {
        lang: [{"language": lang, "value": one} for one in ones] for lang, ones in more.get("aliases", {}).items()
    }
    return {
        "type": "item",
        "id": name,
        "labels": texts(labels),
        "descriptions": texts(more.get("descriptions", {})),
        "aliases": aliases or [],
        "claims": statements or [],
        "sitelinks": [],
        "lastrevid": 1,
    }


TIME = {"value": {"time": "+1952-03-11T00:00:00Z"}, "type": "time"}
OLD_ID = {"value": {"entity-type": "item", "numeric-id": 30}, "type": "wikibase-entityid"}
PROPERTY = {"value": {"entity-type": "property", "id": "P17"}, "type": "wikibase-entityid"}
DUMP = [
    item(
        "Q42",
        {"en": "Douglas Adams", "fr": "Douglas Adams", "de": "Douglas Adams"},
        [
            ("P31", "Q5", "normal"),
            ("P27", "Q145", "normal"),
            ("P27", "Q30", "deprecated"),
            ("P19", "Q350", "preferred"),
            ("P19", "Q84", "normal"),
            ("P20", "somevalue", "normal"),
            ("P40", "novalue", "normal"),
            ("P569", TIME, "normal"),
            ("P27", OLD_ID, "normal"),
            ("P1", PROPERTY, "normal"),
        ],
        aliases={"en": ["DNA", "Douglas Noel Adams"], "fr": ["x"]},
        descriptions={"en": "English writer"},
    ),
    item("Q145", {"en": "United Kingdom"}, [("P31", "Q6256", "normal")]),
    item("Q350", {}),
    item("Q9999", {"fr": "rien"}),
    {
        "type": "property",
        "id": "P27",
        "datatype": "wikibase-item",
        "labels": {"en": {"language": "en", "value": "country"}},
    },
    {"type": "lexeme", "id": "L1", "lemmas": {"en": {"language": "en", "value": "run"}}, "claims": []},
    {"entity": "Q7", "redirect": "Q42"},
]


def dump_text(entities, extra=()):
    return "[\n" + ",\n".join([*(json.dumps(one) for one in entities), *extra]) + "\n]\n"


def read(tmp_path, name, content, form=None, options=EN_DE):
    path = tmp_path / name
    path.write_bytes(content)
    out = tmp_path / f"{name}.out"
    out.mkdir()
    facts = read_graph([path], form or "wikidata", options, out).facts
    return out, facts, pl.read_parquet(out / "entities.parquet").rows(), pl.read_parquet(out / "triples.parquet").rows()


@pytest.mark.parametrize(
    ("name", "pack"), [("d.json", bytes), ("d.json.gz", gzip.compress), ("d.json.bz2", bz2.compress)]
)
def test_a_dump_of_wikidata(tmp_path, name, pack):
    text = dump_text(DUMP, ['{"type": "item", "id":', '{"type": "item", "id": "Q8", "labels": 3}', '["a list"]'])
    out, facts, entities, triples = read(tmp_path, name, pack(text.encode()))
    assert entities == [
        ("Q42", "Douglas Adams", "en", ["DNA", "Douglas Noel Adams"], "English writer", "Q5"),
        ("Q42", "Douglas Adams", "de", [], "", "Q5"),
        ("Q145", "United Kingdom", "en", [], "", "Q6256"),
    ]
    expected = {("Q42", "P31", "Q5"), ("Q42", "P27", "Q145"), ("Q42", "P27", "Q30"), ("Q42", "P19", "Q350")}
    assert set(triples) == expected | {("Q145", "P31", "Q6256")}
    assert facts["left_out"] == {"frame": 2, "lexeme": 1, "no_entity": 2, "no_json": 1, "no_label": 2, "redirect": 1}
    assert facts["statements_left_out"] == {
        "deprecated": 1, "literal": 1, "not_preferred": 1, "novalue": 1, "other_entity": 1, "somevalue": 1,
    }  # fmt: skip
    assert facts["malformed"][0].startswith(f"{name}:9: no_json")
    assert facts["lines"] == facts["used_lines"] + sum(facts["left_out"].values()) == 12
    assert pl.read_parquet(out / "relations.parquet").rows() == [("P27", "en", "country")]
    graph = load_graph(out)
    assert graph.ids.to_pylist() == ["Q145", "Q42"]
    assert graph.dangling == 4  # Q5, Q30, Q350, Q6256 have no label here


def test_filters_of_a_dump(tmp_path):
    options = Read(languages=("en",), relations=("P27", "P31"), types=("Q5",), best_rank=False)
    _, facts, entities, triples = read(tmp_path, "d.json", dump_text(DUMP).encode(), options=options)
    assert [one[:3] for one in entities] == [("Q42", "Douglas Adams", "en")]
    assert set(triples) == {("Q42", "P31", "Q5"), ("Q42", "P27", "Q145"), ("Q42", "P27", "Q30")}
    assert facts["left_out"]["other_type"] == 3
    assert facts["statements_left_out"] == {"deprecated": 1, "other_relation": 6}


PREFIXES = {
    b"wd:": b"http://www.wikidata.org/entity/",
    b"wdt:": b"http://www.wikidata.org/prop/direct/",
    b"xsd:": b"http://www.w3.org/2001/XMLSchema#",
}
NT = (
    rb"""# a comment
<wd:Q42> <http://www.w3.org/2000/01/rdf-schema#label> "Douglas \"DNA\" Ad\u0061ms"@en .
<wd:Q42> <http://www.w3.org/2004/02/skos/core#altLabel> "DNA \U0001F600"@en-GB .
<wd:Q42> <http://schema.org/description> "writer"@en .
<wd:Q42> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <wd:Q5>.
<wd:Q42> <wdt:P27> <wd:Q145> . # uk
<wd:Q42> <wdt:P569> "1952"^^<xsd:gYear> .
<wd:Q145> <http://www.w3.org/2000/01/rdf-schema#label> "Vereinigtes K\u00F6nigreich"@de .
<wd:Q145> <http://www.w3.org/2000/01/rdf-schema#label> "UK"@fr .
_:b1 <wdt:P27> <wd:Q145> .
<wd:Q42> <wdt:P40> _:b1 .
<wd:Q1> <wdt:P27> <wd:Q145> .
<wd:Q42> <http://no.end "x" .
<http://a/b> <http://www.w3.org/2000/01/rdf-schema#label> "bad \q escape"@en .
<http://a/b> <http://www.w3.org/2000/01/rdf-schema#label> "bad \uD800"@en .
<http://a/b> <http://www.w3.org/2000/01/rdf-schema#label> "latin """
    + b"\xe9"
    + b""" one"@en .

<http://dbpedia.org/resource/X> <http://www.w3.org/2000/01/rdf-schema#label> "X town"@en .
"""
)
for short, whole in PREFIXES.items():
    NT = NT.replace(b"<" + short, b"<" + whole)


@pytest.mark.parametrize(("name", "pack"), [("d.nt", bytes), ("d.nt.gz", gzip.compress)])
def test_ntriples(tmp_path, name, pack):
    _, facts, entities, triples = read(tmp_path, name, pack(NT), "ntriples")
    assert entities == [
        ("Q145", "Vereinigtes Königreich", "de", [], "", ""),
        ("Q42", 'Douglas "DNA" Adams', "en", ["DNA 😀"], "writer", "Q5"),
        ("http://dbpedia.org/resource/X", "X town", "en", [], "", ""),
    ]
    rdf_type = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
    assert set(triples) == {("Q42", rdf_type, "Q5"), ("Q42", "P27", "Q145")}
    assert facts["left_out"] == {
        "bad_escape": 2, "blank_node": 2, "empty_or_comment": 2, "invalid_utf8": 1, "literal": 1, "no_triple": 1,
        "other_language": 1,
    }  # fmt: skip
    assert facts["statements_left_out"] == {"head_is_no_entity": 1}
    assert [one.split(":")[1] for one in facts["malformed"]] == ["13", "14", "15", "16"]
    assert facts["lines"] == facts["used_lines"] + sum(facts["left_out"].values()) == 18


def escaped(text):
    """As a writer of N-Triples escapes: what must be, and any other character as a writer pleases."""
    found = ""
    for n, one in enumerate(text):
        must = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r"}.get(one)
        wide = f"\\U{ord(one):08X}" if ord(one) > 0xFFFF else f"\\u{ord(one):04x}"
        found += must or (wide if n % 3 == 0 else one)
    return found


@settings(deadline=None, max_examples=100)
@given(st.text(st.characters(blacklist_categories=["Cs"]), min_size=1))
def test_any_text_comes_back_from_its_escapes(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("nt") / "x.nt"
    path.write_bytes(f'<http://a> <http://b> "{escaped(text)}" .\n'.encode())
    found = list(statements_of(path, GraphAccount()))
    assert [one.text for one in found] == [text]


def test_tables_with_other_columns(tmp_path):
    (tmp_path / "edges.tsv").write_text("subject\tpredicate\tobject\nq1\tcapital\tq2\nq1\t\tq2\nq9\tcapital\tq2\nbad\n")
    (tmp_path / "nodes.csv.gz").write_bytes(
        gzip.compress(b'id,name,aliases\nq1,France,"la France|FR"\nq2,Paris,\nq3,,\n')
    )
    options = Read(
        entities="nodes.csv.gz", columns={"head": "subject", "relation": "predicate", "tail": "object", "label": "name"}
    )
    out = tmp_path / "out"
    out.mkdir()
    facts = read_graph([tmp_path / "edges.tsv", tmp_path / "nodes.csv.gz"], "tsv", options, out).facts
    assert pl.read_parquet(out / "entities.parquet").rows() == [
        ("q1", "France", "", ["la France", "FR"], "", ""),
        ("q2", "Paris", "", [], "", ""),
    ]
    assert pl.read_parquet(out / "triples.parquet").rows() == [("q1", "capital", "q2")]
    assert facts["left_out"] == {"empty_cell": 1, "head_is_no_entity": 1, "no_label": 1, "other_length": 1}
    assert facts["malformed"] == ("edges.tsv:5: other_length (1 cells of 3)",)
    with pytest.raises(SchemaError, match=r"knowledge\.read\.columns: .* no column 'head'"):
        read_graph([tmp_path / "edges.tsv", tmp_path / "nodes.csv.gz"], "tsv", Read(columns={"label": "name"}), out)


def test_parquet_and_no_header(tmp_path):
    pl.DataFrame({"s": ["a", "b"], "p": ["r", "r"], "o": ["b", None]}).write_parquet(tmp_path / "t.parquet")
    (tmp_path / "e.tsv").write_text("a\tAda\nb\tByron\n")
    options = Read(columns={"head": "s", "relation": "p", "tail": "o"}, header=False)
    out = tmp_path / "out"
    out.mkdir()
    facts = read_graph([tmp_path / "t.parquet", tmp_path / "e.tsv"], "parquet", options, out).facts
    assert pl.read_parquet(out / "triples.parquet").rows() == [("a", "r", "b")]
    assert facts["left_out"] == {"empty_cell": 1}
    assert load_graph(out, min_label_chars=1).names.to_pylist() == ["Ada", "Byron"]


def test_a_file_of_another_form_is_one_clear_error(tmp_path, monkeypatch):
    for name, content, form, match in (
        ("a.json", NT, "wikidata", r"read as wikidata, holds no entity .* knowledge\.read\.format"),
        ("b.nt", dump_text(DUMP).encode(), "ntriples", r"read as ntriples, holds no entity"),
        ("c.json.gz", b"[\n", "wikidata", r"knowledge\.graph: .* is not a \.gz file"),
        ("d.json.gz", gzip.compress(dump_text(DUMP).encode() * 9)[:-20], "wikidata", r"cannot be read behind line \d+"),
    ):
        with pytest.raises(SourceError, match=match):
            read(tmp_path, name, content, form)
    with pytest.raises(SourceError, match=r"is no Parquet file .* knowledge\.read\.format"):
        read_graph([tmp_path / "a.json", tmp_path / "a.json"], "parquet", Read(), tmp_path)
    for nothing in ("nothing-*.nt", f"{tmp_path}/nothing-*.nt"):
        with pytest.raises(SourceError, match="no file fits"):
            files_of(nothing, None)
    with pytest.raises(SourceError, match=r"knowledge\.read\.entities"):
        files_of("triples.csv", None)


def test_a_pattern_may_begin_at_the_root_or_here(tmp_path, monkeypatch):
    for name in ("b.nt", "a.nt", "c.json"):
        (tmp_path / name).touch()
    assert files_of(f"{tmp_path}/*.nt", None) == (f"{tmp_path}/a.nt", f"{tmp_path}/b.nt")
    monkeypatch.chdir(tmp_path)
    assert files_of("*.nt", None) == ("a.nt", "b.nt")


def test_a_long_cell_is_read_whatever_was_read_before(tmp_path):
    """csv's limit of a cell is one for the whole process; a source of tables lifts it."""
    csv.field_size_limit(131_072)
    long = "b" * 200_000
    (tmp_path / "t.csv").write_text("head,relation,tail\na,r,b\n")
    (tmp_path / "e.csv").write_text(f"id,label,description\na,Ada,{long}\nb,Byron,\n")
    out = tmp_path / "out"
    out.mkdir()
    read_graph([tmp_path / "t.csv", tmp_path / "e.csv"], "csv", Read(), out)
    assert pl.read_parquet(out / "entities.parquet")["description"].to_list() == [long, ""]
