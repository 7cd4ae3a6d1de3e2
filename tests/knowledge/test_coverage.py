import json
from collections import Counter

import polars as pl
import pytest

from gristmill.corpus.measuring import measure_part
from gristmill.knowledge.coverage import coverage
from gristmill.knowledge.stage import GRAPH_FILES, Knowledge
from gristmill.knowledge.stage import MENTIONS as STAGE


def link_part(documents, graph, folder, **options):
    """The stage on one part, with a graph in a folder."""
    files = {"graph": [graph / name for name in GRAPH_FILES]}
    return measure_part(STAGE, documents, folder, Knowledge(graph=str(graph), **options), files)


ENTITIES = [
    ("fr", "France", {"type": "country", "aliases": ["French Republic"]}),
    ("de", "Germany", {"type": "country"}),
    ("pa", "Paris", {"type": "city"}),
    ("xx", "Nowhere", {"type": "city"}),
]
TEXTS = [["France, France, Paris, Germany", "no one", "French Republic"], ["Germany", "Germany", ""]]


@pytest.fixture
def parts(write_documents, write_graph, tmp_path):
    graph, files = write_graph(ENTITIES), []
    for i, texts in enumerate(TEXTS):
        (tmp_path / f"out{i}").mkdir()
        link_part(write_documents(texts, name=f"part{i}.parquet"), graph, tmp_path / f"out{i}")
        files.append(tmp_path / f"out{i}" / "mentions.parquet")
    return files, graph


def test_coverage_counts_all_parts(parts):
    assert coverage(*parts) == {
        "documents": 6,
        "mentions": 7,
        "entities": 3,
        "entities_in_graph": 4,
        "documents_with": {"1": 4 / 6, "3": 1 / 6, "10": 0.0},
        "top_types": [
            {"type": "country", "mentions": 6, "entities": 2},
            {"type": "city", "mentions": 1, "entities": 1},
        ],
        "top_entities": [
            {"entity": "de", "label": "Germany", "mentions": 3, "documents": 3},
            {"entity": "fr", "label": "France", "mentions": 3, "documents": 2},
            {"entity": "pa", "label": "Paris", "mentions": 1, "documents": 1},
        ],
    }


def test_coverage_is_json_and_keeps_the_top(parts):
    short = coverage(*parts, top=1)
    assert json.loads(json.dumps(short)) == short
    assert [len(short[name]) for name in ("top_types", "top_entities")] == [1, 1]


def test_the_order_of_parts_does_not_matter(parts):
    files, graph = parts
    assert coverage(files, graph) == coverage(files[::-1], graph)


def test_no_part_is_an_empty_corpus(parts):
    found = coverage([], parts[1])
    assert (found["documents"], found["mentions"], found["top_entities"]) == (0, 0, [])


def test_coverage_equals_a_plain_count(parts):
    files, graph = parts
    rows = pl.concat([pl.read_parquet(path) for path in files])["mentions"].to_list()
    plain = Counter(mention["entity"] for row in rows for mention in row)
    assert {row["entity"]: row["mentions"] for row in coverage(files, graph)["top_entities"]} == plain
