"""The section on the graph: what was read of its files, what lies beside rows, benchmarks; nothing of what was not."""

from dataclasses import replace
from types import SimpleNamespace

from gristmill.data_cards.parts.knowledge import (
    BenchmarkStated,
    Beside,
    Coverage,
    GraphSource,
    Knowledge,
    LeftOut,
)
from gristmill.data_cards.sections.knowledge import section

PLAIN = Knowledge(
    documents=200,
    mentions=900,
    triples=40,
    documents_with_entity=100,
    documents_with_linked_pair=10,
    top_types=(),
    coverage=(Coverage("", {"1": 100, "3": 50, "10": 2}), Coverage("city", {"1": 20, "3": 4, "10": 0})),
)
SOURCE = GraphSource(
    lines=1000,
    used_lines=900,
    entity_rows=700,
    triples=1500,
    left_out=(LeftOut("deprecated", 0, 7), LeftOut("no_json", 2, 0)),
    malformed=("dump.json:7: no_json (unexpected end)",),
)
BESIDE = Beside(mentions=880, placed=860, answers=120, edges=3000, leaking=33, left_out={"cut_text": 20})


def tables(facts):
    """{first head: rows} of the section."""
    found = section(SimpleNamespace(knowledge=facts))
    return {table.columns[0]: [[str(cell) for cell in row] for row in table.rows] for table in found.tables}


def test_without_a_graph_there_is_no_section():
    assert section(SimpleNamespace(knowledge=None)) is None


def test_coverage_is_in_shares_of_all_documents_by_type():
    rows = tables(PLAIN)["documents that name entities of"]
    assert [row[0] for row in rows] == ["any type", "city"]
    assert PLAIN.coverage[0].documents["1"] / PLAIN.documents == 0.5
    assert not {"files of the graph", "neighbourhoods beside rows", "benchmark"} & tables(PLAIN).keys()


def test_what_was_read_and_left_out_of_the_files():
    found = tables(replace(PLAIN, source=SOURCE))
    assert found["files of the graph"][:2] == [["read", "1,000", ""], ["used", "900", "1,500"]]
    assert [row[1:] for row in found["files of the graph"][2:]] == [["0", "7"], ["2", "0"]]
    assert len(found["malformed lines, the first ones"]) == 1
    assert "malformed lines, the first ones" not in tables(replace(PLAIN, source=replace(SOURCE, malformed=())))


def test_what_lies_beside_rows_and_what_of_benchmarks_is_stated():
    found = tables(replace(PLAIN, neighbours=BESIDE, benchmarks=(BenchmarkStated("quiz", 50, 75),)))
    numbers = dict(found["neighbourhoods beside rows"])
    assert numbers["whole in a row"] == "860"
    assert numbers["neighbours removed since they name an answer"] == "33"
    assert [value for name, value in numbers.items() if "left out" in name] == ["20"]
    assert [row[:2] + row[3:] for row in found["benchmark"]] == [["quiz", "50", "75"]]
