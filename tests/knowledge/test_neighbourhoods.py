"""Neighbourhoods of rows against plain Python: places, conservation, what is drawn, and answers that would be given."""

import re
import unicodedata

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.handoff.failures import StoreError
from gristmill.handoff.neighbours import NONE, DomainNeighbours, RunNeighbours
from gristmill.handoff.shards import ShardWriter
from gristmill.knowledge.answer_names import entity_names
from gristmill.knowledge.graph import load_graph, read_tables
from gristmill.knowledge.neighbourhoods import KnownGraph, write_neighbourhoods
from gristmill.knowledge.row_mentions import DocumentMentions
from gristmill.knowledge.stage import Neighbours

ROW = 16
PLACES = [
    ("q1", "Paris", {"aliases": ["Lutetia"]}),
    ("q2", "France"),
    ("q3", "Paris Metro"),
    ("q4", "Berlin"),
    ("q5", "Paris", {"description": "in Texas"}),
    ("q6", "Parisian cuisine"),
    ("q7", "Germany"),
    ("q8", "東京"),
    ("q9", "東京駅"),
]
EDGES = [
    ("q2", "capital", "q1"),
    ("q2", "twin", "q5"),
    ("q2", "has", "q3"),
    ("q2", "kitchen", "q6"),
    ("q7", "capital", "q4"),
    ("q2", "borders", "q7"),
    ("q8", "station", "q9"),
]


def known_graph(folder) -> KnownGraph:
    graph, entities = load_graph(folder, min_label_chars=1), read_tables(folder)[0]
    ordinals = pl.DataFrame({"id": graph.ids}).with_row_index("entity")
    labels = ordinals.join(entities, on="id").select("label", "type")
    names = entity_names(entities.join(ordinals, on="id").with_columns(pl.col("entity").cast(pl.Int32)))
    return KnownGraph(graph, names, labels, lambda texts: pa.array([[len(one)] for one in texts.to_pylist()]))


def packed(folder, rows, targets=None):
    """Rows [[(doc_id, start, length, offset)]] as a folder of shards."""
    lists = [[dict(zip(("doc_id", "start", "length", "offset"), one, strict=True)) for one in row] for row in rows]
    counted = targets and [[{"start": start, "length": length} for start, length in row] for row in targets]
    options = {"row_tokens": ROW, "vocab_size": 300, "shard_rows": 4, "batch_rows": 2, "targets": targets is not None}
    with ShardWriter(folder, **options) as writer:
        writer.write(np.zeros((len(rows), ROW), np.int64), lists, counted)
    return folder


def of_documents(found):
    """{doc_id: [(start, length, entity, label)]} -> DocumentMentions."""
    flat = [(d, *one) for d, ones in enumerate(found.values()) for one in ones]
    document, start, length = (np.array([one[i] for one in flat], np.int64) for i in range(3))
    entity, label = (pa.array([one[i] for one in flat], pa.string()) for i in (3, 4))
    return DocumentMentions(pa.array(list(found), pa.string()), document, start, length, entity, label)


def words(name):
    wide = r"[\u3040-\u30ff\u4e00-\u9fff]"
    return re.findall(rf"{wide}|(?:(?!{wide})\w)+", unicodedata.normalize("NFKC", name).lower())


def holds(name, inner):
    """Does ``name`` hold the words of ``inner`` one after the other?"""
    name, inner = words(name), words(inner)
    return bool(inner) and any(name[i : i + len(inner)] == inner for i in range(len(name)))


def names_of(entity, entities=PLACES):
    _, label, *more = next(one for one in entities if one[0] == entity)
    return [label, *(more[0].get("aliases", []) if more else [])]


def as_dicts(reader, rows):
    """The spans of rows as plain values."""
    found, ids = reader.read(rows), reader.entities["id"].to_pylist()
    relations = list(zip(*(reader.relations[name].to_pylist() for name in ("name", "inverse")), strict=True))
    return [
        {
            "row": int(found.row[i]),
            "start": int(found.start[i]),
            "length": int(found.length[i]),
            "entity": ids[found.entity[i]],
            "answer": bool(found.answer[i]),
            "neighbours": [
                (*relations[r], ids[e])
                for r, e in zip(found.relations[i], found.neighbours[i], strict=True)
                if e != NONE
            ],
        }
        for i in range(len(found.row))
    ]


def allowed(entity, answers, written, edges=EDGES, entities=PLACES):
    """Neighbours by the definition: all of both ways, without those one of whose names holds a name of an answer."""
    asked = {name for one in answers for name in names_of(one, entities)} | set(written)
    both = [(relation, False, tail) for head, relation, tail in edges if head == entity]
    both += [(relation, True, head) for head, relation, tail in edges if tail == entity]

    def shown(other):
        return any(holds(name, one) for name in names_of(other, entities) for one in asked)

    return {edge for edge in both if edge[2] != entity and edge[2] not in answers and not shown(edge[2])}


@pytest.fixture
def places(write_graph):
    return known_graph(write_graph(PLACES, EDGES))


def test_an_edge_to_an_answer_is_removed_with_those_that_bear_or_hold_its_name(places, tmp_path):
    shards = packed(tmp_path / "rows", [[("a", 0, 12, 0)]], targets=[[(5, 2)]])
    mentions = of_documents({"a": [(1, 1, "q2", "France"), (5, 1, "q1", "Lutetia"), (9, 1, "q1", "Paris")]})
    (tmp_path / "out").mkdir()
    facts = write_neighbourhoods(mentions, shards, places, Neighbours(answers=0), tmp_path / "out", seed=1)
    france, answer, again = as_dicts(DomainNeighbours(tmp_path / "out"), np.array([0]))
    assert france["neighbours"] == [("kitchen", False, "q6")] or set(france["neighbours"]) == {
        ("kitchen", False, "q6"),
        ("borders", False, "q7"),
    }
    assert (answer["answer"], answer["neighbours"], again["answer"], again["neighbours"]) == (True, [], True, [])
    assert (facts.placed, facts.answers, facts.leaking, facts.edges) == (3, 2, 3, 2)


def test_without_answers_every_edge_stays(places, tmp_path):
    shards = packed(tmp_path / "rows", [[("a", 0, 12, 0)]])
    mentions = of_documents({"a": [(1, 1, "q2", "France"), (5, 1, "q1", "Paris"), (7, 1, "q8", "東京")]})
    (tmp_path / "out").mkdir()
    facts = write_neighbourhoods(mentions, shards, places, Neighbours(answers=0), tmp_path / "out", seed=1)
    found = {
        one["entity"]: set(one["neighbours"]) for one in as_dicts(DomainNeighbours(tmp_path / "out"), np.array([0]))
    }
    assert found == {name: allowed(name, set(), ()) for name in ("q1", "q2", "q8")}
    assert facts.leaking == facts.beyond == facts.answers == 0


def test_documents_cut_across_rows_and_several_in_a_row(places, tmp_path):
    rows = [[("a", 0, 16, 0)], [("b", 0, 6, 0), ("a", 6, 8, 16)]]  # a has 24 tokens, b 6; "c" is in no row
    mentions = of_documents(
        {
            "a": [
                (0, 2, "q1", "Paris"),
                (15, 2, "q3", "Paris Metro"),
                (16, 1, "q2", "France"),
                (23, 1, "q4", "Berlin"),
            ],
            "b": [(5, 1, "q7", "Germany")],
            "c": [(0, 1, "q8", "東京")],
        }
    )
    (tmp_path / "out").mkdir()
    facts = write_neighbourhoods(
        mentions, packed(tmp_path / "rows", rows), places, Neighbours(), tmp_path / "out", seed=1
    )
    reader = DomainNeighbours(tmp_path / "out")
    placed = [(one["row"], one["start"], one["length"], one["entity"]) for one in as_dicts(reader, np.array([1, 0, 1]))]
    second = [(5, 1, "q7"), (6, 1, "q2"), (13, 1, "q4")]
    assert placed == [(0, *one) for one in second] + [(1, 0, 2, "q1")] + [(2, *one) for one in second]
    assert facts.left_out == {"between_rows": 1, "no_row": 1}
    assert facts.mentions == 6
    assert facts.placed == 4
    with pytest.raises(StoreError, match="which has 2"):
        reader.read(np.array([2]))


NAMES = ["Ada", "Ada Byron", "Byron", "Lord Byron", "London", "New London", "東京", "京"]


@st.composite
def corpora(draw):
    n = draw(st.integers(1, 6))
    names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)
    entities = []
    for number in range(n):
        label, *aliases = draw(names)
        entities.append((f"q{number}", label, {"aliases": aliases}))
    node = st.integers(0, n - 1).map(lambda i: f"q{i}")
    edges = draw(st.lists(st.tuples(node, st.sampled_from("rs"), node), max_size=20, unique=True))
    documents = {}
    for number in range(draw(st.integers(1, 4))):
        starts = draw(st.lists(st.integers(0, 30), max_size=5, unique=True))
        documents[f"{number:032x}"] = [
            (s, draw(st.integers(1, 2)), e, names_of(e, entities)[0]) for s in sorted(starts) for e in [draw(node)]
        ]
    return entities, edges, documents


@settings(deadline=None, max_examples=25)
@given(corpora(), st.integers(1, 3), st.sampled_from([0.0, 0.3, 1.0]), st.integers(0, 9))
def test_equal_to_plain_python(tmp_path_factory, corpus, most, share, seed):
    from tests.knowledge.conftest import written_graph

    entities, edges, documents = corpus
    folder = tmp_path_factory.mktemp("n")
    known = known_graph(written_graph(folder / "graph", entities, edges))
    rows = [[(name, 0, 16, 0)] for name in documents] + [[(name, 0, 15, 16)] for name in documents]  # 31 tokens each
    shards = packed(folder / "rows", rows)
    (folder / "out").mkdir()
    options = Neighbours(max_neighbours=most, answers=share)
    facts = write_neighbourhoods(of_documents(documents), shards, known, options, folder / "out", seed=seed)
    spans = as_dicts(DomainNeighbours(folder / "out"), np.arange(len(rows)))
    expected = [
        (n + len(documents) * (start >= 16), start % 16, length, entity)
        for n, found in enumerate(documents.values())
        for start, length, entity, _ in found
        if start // 16 == (start + length - 1) // 16 and start + length <= 31
    ]
    assert [(one["row"], one["start"], one["length"], one["entity"]) for one in spans] == sorted(expected)
    assert facts.placed + sum(facts.left_out.values()) == facts.mentions == sum(map(len, documents.values()))
    for number in range(len(documents)):
        of_document = [one for one in spans if one["row"] % len(documents) == number]
        answers = {one["entity"] for one in of_document if one["answer"]}
        written = [names_of(one, entities)[0] for one in answers]
        drawn = {}
        for one in of_document:
            assert one["answer"] == (one["entity"] in answers)
            may = set() if one["answer"] else allowed(one["entity"], answers, written, edges, entities)
            assert set(one["neighbours"]) <= may
            assert len(one["neighbours"]) == len(set(one["neighbours"])) == min(most, len(may))
            assert drawn.setdefault(one["entity"], one["neighbours"]) == one["neighbours"]
    assert share < 1 or all(one["answer"] for one in spans)


def test_domains_of_a_run_share_their_numbers(places, tmp_path):
    for domain, entity, label in (("x", "q2", "France"), ("y", "q7", "Germany")):
        folder = tmp_path / "neighbours" / "shards" / domain
        folder.mkdir(parents=True)
        shards = packed(tmp_path / domain, [[("a", 0, 12, 0)]])
        write_neighbourhoods(
            of_documents({"a": [(3, 1, entity, label)]}), shards, places, Neighbours(answers=0), folder, seed=1
        )
    run = RunNeighbours(tmp_path, ["x", "y"])
    found = as_dicts_of_run(run, np.array([1, 0]), np.array([0, 0]))
    assert [one["entity"] for one in found] == ["q7", "q2"]
    assert set(found[0]["neighbours"]) == allowed("q7", (), ())
    assert set(found[1]["neighbours"]) == allowed("q2", (), ())


def as_dicts_of_run(run, domain, row):
    class Fixed:
        entities, relations = run.entities, run.relations
        read = staticmethod(lambda _: run.read(domain, row))

    return as_dicts(Fixed, None)


def test_a_changed_file_is_found(places, tmp_path):
    shards = packed(tmp_path / "rows", [[("a", 0, 12, 0)]])
    (tmp_path / "out").mkdir()
    write_neighbourhoods(
        of_documents({"a": [(1, 1, "q2", "France")]}), shards, places, Neighbours(), tmp_path / "out", seed=1
    )
    path = tmp_path / "out" / "entities.arrow"
    content = bytearray(path.read_bytes())
    content[content.index(b"France")] ^= 1
    path.write_bytes(content)
    assert "entities.arrow is not what its index says" in DomainNeighbours(tmp_path / "out").verify()[0]
    path.write_bytes(content[:-8])
    with pytest.raises(StoreError, match=r"entities\.arrow is missing or not of"):
        DomainNeighbours(tmp_path / "out")
