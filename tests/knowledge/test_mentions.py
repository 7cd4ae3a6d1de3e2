import math

import polars as pl
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.account import passed_on
from gristmill.corpus.errors import SchemaError
from gristmill.corpus.measuring import measure_part
from gristmill.corpus.schema import MENTIONS, TRIPLES, signals_schema
from gristmill.knowledge.stage import GRAPH_FILES, Knowledge
from gristmill.knowledge.stage import MENTIONS as STAGE

TEXTS = [
    "Paris is the capital of France. France borders Germany; Victoria does not.",
    "Nothing to see.",
    "",
    "Ünter Völkern: Germany, 中国 and Victoria.",
    "Germany",
    "Paris and Germany",
    "法国 Germany",
]
SOURCES = ["web", "web", "books", "books", "books", "web", "web"]


def link_part(documents, graph, folder, **options):
    """The stage on one part, with a graph in a folder; every name is linked, however unlikely."""
    files = {"graph": [graph / name for name in GRAPH_FILES]}
    return measure_part(STAGE, documents, folder, Knowledge(graph=str(graph), min_score=0, **options), files)


ENTITIES = [
    ("fr", "France", {"type": "country"}),
    ("de", "Germany", {"type": "country"}),
    ("cn", "中国", {"type": "country", "lang": "zh"}),
    ("pa", "Paris", {"type": "city"}),
    ("v1", "Victoria", {"type": "city"}),
    ("v2", "Victoria", {"type": "person"}),
]
FACTS = [
    ("fr", "capital", "pa"),
    ("pa", "country", "fr"),
    ("fr", "borders", "de"),
    ("de", "borders", "fr"),
    ("fr", "borders", "de"),
    ("de", "near", "missing"),
]


@pytest.fixture
def part(write_documents, write_graph, tmp_path):
    documents, graph = write_documents(TEXTS, SOURCES), write_graph(ENTITIES, FACTS)
    folder = tmp_path / "out"
    folder.mkdir()
    return folder, link_part(documents, graph, folder)


def test_tables_have_the_agreed_schemas_and_rows(part):
    folder, outcome = part
    assert pq.read_schema(folder / "mentions.parquet").equals(MENTIONS)
    assert pq.read_schema(folder / "triples.parquet").equals(TRIPLES)
    assert pq.read_schema(folder / "knowledge.parquet").equals(
        signals_schema(STAGE.measured(Knowledge(graph="g")), STAGE.labels)
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "knowledge.parquet",
        "mentions.parquet",
        "triples.parquet",
        "types.parquet",
    ]
    ids = [f"{i:032x}" for i in range(len(TEXTS))]
    assert pl.read_parquet(folder / "mentions.parquet")["doc_id"].to_list() == ids
    assert pl.read_parquet(folder / "knowledge.parquet")["doc_id"].to_list() == ids
    assert outcome.rows == len(TEXTS)


def test_offsets_are_bytes_of_the_text(part):
    folder, _ = part
    mentions = pl.read_parquet(folder / "mentions.parquet")["mentions"].to_list()
    for text, found in zip(TEXTS, mentions, strict=True):
        for m in found:
            assert text.encode()[m["start"] : m["end"]].decode() == m["label"]
    assert [[m["entity"] for m in found] for found in mentions] == [
        ["pa", "fr", "fr", "de", "v1"],
        [],
        [],
        ["de", "cn", "v1"],
        ["de"],
        ["pa", "de"],
        ["de"],
    ]
    assert mentions[0][-1]["score"] < 0.25 < mentions[3][1]["score"] < 1


def test_triples_are_those_whose_ends_the_document_names(part):
    folder, _ = part
    first = f"{0:032x}"
    assert pl.read_parquet(folder / "triples.parquet").rows() == [
        (first, "de", "borders", "fr", 2),
        (first, "fr", "borders", "de", 2),
        (first, "fr", "capital", "pa", 2),
        (first, "pa", "country", "fr", 2),
    ]


def test_signals_by_their_definitions(part):
    folder, _ = part
    signals = pl.read_parquet(folder / "knowledge.parquet").drop("doc_id").to_dicts()
    assert signals[0].pop("main_type") == "country"
    degrees = {"fr": 4, "de": 2, "pa": 2, "v1": 0}
    assert signals[0] == pytest.approx(
        {
            "entities": 5,
            "distinct_entities": 4,
            "entity_types": 2,
            "entities_per_kilobyte": 5000 / len(TEXTS[0]),
            "ambiguous_share": 1 / 5,
            "linked_pairs": 2,
            "supported_triples": 4,
            "new_pairs": 1,  # France is named twice beside Victoria, which no triple joins with it
            "mean_log_degree": sum(math.log2(1 + d) for d in degrees.values()) / 4,
        },
        abs=1e-5,
    )
    assert [signal.pop("main_type") for signal in signals[1:3]] == ["", ""]
    assert set(signals[1].values()) == set(signals[2].values()) == {0.0}


def test_accounts_keep_every_document_and_byte(part):
    _, outcome = part
    sizes = {name: [len(t.encode()) for t, s in zip(TEXTS, SOURCES, strict=True) if s == name] for name in set(SOURCES)}
    assert outcome.accounts == {name: passed_on(len(size), sum(size)) for name, size in sizes.items()}


def test_facts_add_up(part):
    _, outcome = part
    assert outcome.facts == {
        "mentions": 12,
        "unwitnessed": 0,
        "triples": 4,
        "documents_with_entity": 5,
        "documents_with_linked_pair": 1,
        "dangling_triples": 1,
        "top_types": {"country": 8, "city": 4},
        "documents_by_entities": {"1": 5, "3": 2, "10": 0},
        "documents_by_type": {"city": {"1": 3, "3": 0, "10": 0}, "country": {"1": 5, "3": 0, "10": 0}},
        "triples_by_relation": {"borders": 2, "capital": 1, "country": 1},
        "supported_by_relation": {"borders": 2, "capital": 1, "country": 1},
        "benchmark_documents": {},
        "benchmark_stated": {},
    }


def test_languages_and_length_choose_the_labels(write_documents, write_graph, tmp_path):
    documents, graph = write_documents(TEXTS, SOURCES), write_graph(ENTITIES, FACTS)
    assert link_part(documents, graph, tmp_path, languages=["zh"]).facts["mentions"] == 1
    assert link_part(documents, graph, tmp_path, min_label_chars=7).facts["mentions"] == 7


def test_batches_do_not_matter(write_documents, write_graph, tmp_path):
    graph, outputs = write_graph(ENTITIES, FACTS), []
    for rows in (1, 100):
        documents = write_documents(TEXTS, SOURCES, f"by{rows}.parquet")
        pl.read_parquet(documents).write_parquet(documents, row_group_size=rows)
        folder = tmp_path / f"out{rows}"
        folder.mkdir()
        outcome = link_part(documents, graph, folder)
        tables = [pq.read_table(path) for path in sorted(folder.iterdir())]
        outputs.append((outcome, tables))
    assert outputs[0] == outputs[1]


def test_same_inputs_same_bytes(write_documents, write_graph, tmp_path):
    documents, graph, seen = write_documents(TEXTS, SOURCES), write_graph(ENTITIES, FACTS), []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        link_part(documents, graph, tmp_path / name)
        seen.append([path.read_bytes() for path in sorted((tmp_path / name).iterdir())])
    assert seen[0] == seen[1]


def test_an_empty_part_gives_empty_tables(write_documents, write_graph, tmp_path):
    outcome = link_part(write_documents([]), write_graph(ENTITIES, FACTS), tmp_path)
    assert (outcome.rows, outcome.accounts, outcome.facts["mentions"]) == (0, {}, 0)
    assert pq.read_table(tmp_path / "triples.parquet").schema.equals(TRIPLES)


def test_documents_without_text_are_refused(write_graph, tmp_path):
    documents = tmp_path / "documents.parquet"
    columns = {"doc_id": ["a"], "source": ["s"], "text": [None]}
    pl.DataFrame(columns, schema_overrides={"text": pl.String}).write_parquet(documents)
    with pytest.raises(SchemaError, match="1 nulls"):
        link_part(documents, write_graph(ENTITIES, FACTS), tmp_path)


def test_a_part_of_the_sample_is_linked(write_documents, sample_folder, tmp_path):
    book = pl.read_parquet(sample_folder.parent / "reference" / "world-factbook.parquet").head(24)
    outcome = link_part(write_documents(book["text"].to_list()), sample_folder, tmp_path)
    assert outcome.facts["documents_with_entity"] == outcome.facts["documents_with_linked_pair"] == 24
    triples = pl.read_parquet(tmp_path / "triples.parquet")
    mentions = pl.read_parquet(tmp_path / "mentions.parquet").explode("mentions").unnest("mentions")
    named = set(mentions.select("doc_id", "entity").rows())
    for end in ("head", "tail"):
        assert set(triples.select("doc_id", end).rows()) <= named
    assert triples.unique().height == triples.height
    assert triples["doc_id"].is_sorted()
