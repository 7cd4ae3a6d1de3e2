"""The account of a graph that is read, files behind compression, and the conservation that fails where it is broken."""

import bz2
import gzip

import polars as pl
import pytest

from gristmill.corpus.errors import ConservationError, SourceError
from gristmill.knowledge import graph_lines
from gristmill.knowledge.graph_lines import lines_of, open_unpacked
from gristmill.knowledge.graph_source import Read, files_of, format_of
from gristmill.knowledge.graph_tables import EXAMPLES, GraphAccount, GraphTables
from gristmill.knowledge.read_graph import read_graph
from gristmill.knowledge.stage import Knowledge, graph_files, is_read, source_files


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_lines_are_numbered_and_long_ones_passed_over(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(graph_lines, "MAX_LINE_BYTES", 8)
    path = tmp_path / "lines"
    path.write_bytes(pack(b"one\r\n\n" + b"x" * 40 + b"\nseven c\nlast"))
    assert list(lines_of(path)) == [(1, b"one"), (2, b""), (3, None), (4, b"seven c"), (5, b"last")]


def test_a_name_may_promise_nothing_but_not_another_compression(tmp_path):
    (tmp_path / "plain").write_bytes(bz2.compress(b"x\n"))
    assert list(lines_of(tmp_path / "plain")) == [(1, b"x")]
    (tmp_path / "empty.gz").write_bytes(b"")
    assert list(lines_of(tmp_path / "empty.gz")) == []
    (tmp_path / "plain").write_bytes(b"BZ1,label\n")
    assert list(lines_of(tmp_path / "plain")) == [(1, b"BZ1,label")]  # no bzip2 for two letters
    (tmp_path / "wrong.bz2").write_bytes(b"{}")
    with pytest.raises(SourceError, match=r"not a \.bz2 file: it begins with 7b 7d"):
        open_unpacked(tmp_path / "wrong.bz2")
    with pytest.raises(SourceError, match="cannot be read behind line 0"):
        list(lines_of(tmp_path / "missing"))


def test_an_account_that_loses_a_line_or_a_statement_fails(tmp_path):
    account = GraphAccount(lines=3, used_lines=1, statements=2, triples=1)
    account.left_out["no_label"] += 1
    with pytest.raises(ConservationError, match="3 lines, 1 used"):
        account.check(tmp_path)
    account.malformed(tmp_path / "x.nt", 7, "no_triple", "<a")
    with pytest.raises(ConservationError, match="2 statements, 1 triples"):
        account.check(tmp_path)
    account.statements_left_out["literal"] += 1
    account.check(tmp_path)
    assert account.examples == ["x.nt:7: no_triple (<a)"]
    for line in range(2 * EXAMPLES):
        account.malformed(tmp_path / "x.nt", line, "no_triple")
    assert len(account.examples) == EXAMPLES


def test_tables_are_written_in_batches_and_not_at_all_after_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("gristmill.knowledge.graph_tables.BATCH_ROWS", 3)
    entities = [(f"q{n}", f"Name {n}", "en", ["a"] * (n % 3), "", "t") for n in range(10)]
    with GraphTables(tmp_path) as tables:
        for one in entities:
            tables.add([one], [(one[0], "r", "q0")])
        tables.add(relations=[("r", "en", "near")])
    assert tables.n_entity_rows == 10
    assert pl.read_parquet(tmp_path / "entities.parquet").rows() == entities
    assert pl.read_parquet(tmp_path / "triples.parquet").height == 10
    assert pl.read_parquet(tmp_path / "relations.parquet").rows() == [("r", "en", "near")]
    with pytest.raises(RuntimeError, match="stop"):
        stopped(tmp_path, entities)
    assert pl.read_parquet(tmp_path / "entities.parquet").height == 0


def stopped(folder, entities):
    with GraphTables(folder) as tables:
        tables.add(entities[:1])
        raise RuntimeError("stop")


@pytest.mark.parametrize(
    ("graph", "read", "form"),
    [
        ("dump.json", None, "wikidata"),
        ("a/latest-all.JSON.BZ2", None, "wikidata"),
        ("x.jsonl.gz", None, "wikidata"),
        ("x.nt.gz", None, "ntriples"),
        ("t.csv", None, "csv"),
        ("t.tsv.gz", None, "tsv"),
        ("t.parquet", None, "parquet"),
        ("samples/knowledge", None, None),
        ("x.txt", None, None),
        ("x.txt", Read(format="tsv"), "tsv"),
    ],
)
def test_the_form_of_a_file_by_its_name_or_the_recipe(graph, read, form):
    assert format_of(graph, read) == form
    assert is_read(Knowledge(graph=graph, read=read)) == (form is not None)


def test_files_of_a_pattern_and_of_tables(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.nt", "a.nt", "c.txt"):
        (tmp_path / name).write_text("")
    assert files_of("*.nt", None) == ("a.nt", "b.nt")
    assert files_of("t.csv", Read(entities="e.csv")) == ("t.csv", "e.csv")
    assert source_files(Knowledge(graph="x.nt")) == {"graph": ("x.nt",)}
    assert graph_files(Knowledge(graph="x.nt", benchmarks={"b": "b.csv"})) == {"benchmarks.b": ("b.csv",)}
    assert graph_files(Knowledge(graph="folder"))["graph"] == ["folder/entities.parquet", "folder/triples.parquet"]
    with pytest.raises(SourceError, match=r"c\.txt does not tell what the file holds; set knowledge\.read\.format"):
        graph_files(Knowledge(graph="c.txt"))


def test_keys_of_the_section_are_checked():
    section = Knowledge(graph="graph", read=Read(columns={"haed": "s"}))
    assert [(one.keys, one.text) for one in section.mistakes()] == [
        (("read.format", "graph"), "the name 'graph' does not tell its form")
    ]
    assert section.read is not None
    (one,) = section.read.mistakes()
    assert "'haed' is none of head, relation, tail" in one.text


def test_statements_far_apart_are_brought_together_and_filtered(tmp_path):
    label, alias = "<http://www.w3.org/2000/01/rdf-schema#label>", "<http://www.w3.org/2004/02/skos/core#altLabel>"
    kind = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
    lines = [f'<a> {label} "Ada"@en .', f'<b> {label} "Bob"@en .', f"<a> {kind} <person> .", "<a> <knows> <b> .",
             f'<a> {alias} "A."@en .', f'<a> {label} "Ada B."@en .', f"<b> {kind} <robot> .", "<b> <knows> <a> .",
             "<a> <likes> <b> .", f'<a> {label} ""@en .', f'<a> {alias} "A"@fr .']  # fmt: skip
    (tmp_path / "first.nt").write_text("\n".join(lines[:5]) + "\n")
    (tmp_path / "second.nt").write_text("\n".join(lines[5:]) + "\n")
    out = tmp_path / "out"
    out.mkdir()
    options = Read(relations=("knows",), types=("person",), languages=("en", "fr"))
    facts = read_graph([tmp_path / "first.nt", tmp_path / "second.nt"], "ntriples", options, out).facts
    assert pl.read_parquet(out / "entities.parquet").rows() == [("a", "Ada", "en", ["Ada B.", "A."], "", "person")]
    assert pl.read_parquet(out / "triples.parquet").rows() == [("a", "knows", "b")]
    assert facts["left_out"] == {"empty_text": 1, "other_relation": 1}
    assert facts["statements_left_out"] == {"head_is_no_entity": 1, "other_relation": 2}
    assert list(out.iterdir()) == list(out.glob("*.parquet"))  # nothing is left aside
