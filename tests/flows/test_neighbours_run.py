"""A recipe that hands neighbourhoods over, from files to rows: places, what is left out, and what verify finds."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from gristmill.corpus.errors import SourceError
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.verify import verify_run
from gristmill.handoff.loader import Loader
from gristmill.handoff.neighbours import RunNeighbours
from gristmill.tokenizer.text_tokenizer import TextTokenizer
from tests.knowledge.conftest import written_graph

RECIPE = """
name = "graph"
seed = 3
[[sources]]
name = "notes"
path = "{folder}/notes.jsonl"
domain = "notes"
[decide]
profiles = []
[pii]
email = "mask"
[knowledge]
graph = "{folder}/graph"
min_score = 0.0
[knowledge.neighbours]
max_neighbours = 2
answers = 0.3
[tokenizer]
vocab_size = 300
[shards]
row_tokens = 64
heldout = 0.2
[[curriculum]]
until_tokens = "4K"
shares = {{ notes = 1.0 }}
"""
TOWNS = ["Lisbon", "Madrid", "Warsaw", "Vienna", "Zagreb", "Dublin", "Athens", "Helsinki"]
TEXT = "Note {n}: write to post{n}@example.org. The mayor of {a} met the mayor of {b} é語 and then left for {c}."


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graph")
    draw = np.random.default_rng(1)
    texts = [TEXT.format(n=n, **dict(zip("abc", draw.choice(TOWNS, 3, replace=False), strict=True))) for n in range(80)]
    (folder / "notes.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    entities = [(f"q{n}", town) for n, town in enumerate(TOWNS)]
    written_graph(
        folder / "graph", entities, [(f"q{n}", "near", f"q{m}") for n in range(8) for m in range(8) if n != m]
    )
    (folder / "recipe.toml").write_text(RECIPE.format(folder=folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        yield Path(refine_directly(folder / "recipe.toml", "neighbours")["run"])


def test_every_batch_of_the_loader_finds_its_entities(run):
    loader, text = Loader(run, batch_rows=3), TextTokenizer(run / "tokenizer" / "tokenizer.json")
    graph = RunNeighbours(run, loader.plan.names)
    labels, tokens = graph.entities["label"].to_pylist(), graph.entities["tokens"].to_pylist()
    seen, near = 0, 0
    for batch in loader:
        spans = graph.read(batch.domain, batch.row)
        for n in range(len(spans.row)):
            at = slice(spans.start[n], spans.start[n] + spans.length[n])
            found = text.decode(batch.tokens[spans.row[n], at].tolist())
            assert labels[spans.entity[n]] in found
            assert len(found) < len(labels[spans.entity[n]]) + 8
            assert text.decode(tokens[spans.entity[n]]) == f" {labels[spans.entity[n]]}"
            near += (spans.neighbours[n] >= 0).sum()
            assert not (spans.answer[n] and (spans.neighbours[n] >= 0).any())
        seen += len(spans.row)
    assert seen > 100
    assert near > 100


def test_answers_are_in_no_neighbourhood_of_their_document(run):
    from gristmill.handoff.reader import ShardReader

    graph, reader = RunNeighbours(run, ["notes"]), ShardReader(run / "shards" / "notes")
    rows = np.arange(reader.rows)
    spans = graph.read(np.zeros(len(rows), int), rows)
    documents = {}
    for n in range(len(spans.row)):
        piece = next(
            one["doc_id"]
            for one in reader.documents(spans.row[n : n + 1])[0]
            if one["start"] <= spans.start[n] < one["start"] + one["length"]
        )
        answers, near = documents.setdefault(piece, (set(), set()))
        (answers.add(spans.entity[n]) if spans.answer[n] else near.update(spans.neighbours[n]))
    assert sum(bool(answers) for answers, _ in documents.values()) > 10
    assert not any(answers & near for answers, near in documents.values())


def test_verify_finds_a_changed_file_and_rows_of_another_run(run, monkeypatch):
    checks = {one["name"]: one for one in verify_run(run)["checks"]}
    assert checks["neighbours shards notes"]["ok"]
    assert checks["neighbours heldout notes"]["ok"]
    path = run / "neighbours" / "heldout" / "notes" / "rows.arrow"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1] + b"\1")
    checks = {one["name"]: one for one in verify_run(run)["checks"]}
    assert not checks["neighbours heldout notes"]["ok"]
    assert checks["neighbours shards notes"]["ok"]


def test_a_graph_that_is_read_gives_the_same_neighbourhoods_and_a_line_on_the_card(run, tmp_path, monkeypatch):
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "home"))
    folder = run.parents[3]
    statements = {
        n: [
            {
                "mainsnak": {
                    "snaktype": "value",
                    "property": "near",
                    "datavalue": {"type": "wikibase-entityid", "value": {"entity-type": "item", "id": f"q{m}"}},
                },
                "rank": "normal",
            }
            for m in range(8)
            if m != n
        ]
        for n in range(8)
    }
    items = [
        {"type": "item", "id": f"q{n}", "labels": {"en": {"value": town}}, "claims": {"near": statements[n]}}
        for n, town in enumerate(TOWNS)
    ]
    lines = ",\n".join(json.dumps(one) for one in items)
    (tmp_path / "dump.json.gz").write_bytes(gzip.compress(f"[\n{lines},\nbroken\n]\n".encode()))
    text = (folder / "recipe.toml").read_text().replace(str(folder / "graph"), str(tmp_path / "dump.json.gz"))
    (tmp_path / "recipe.toml").write_text(f"{text}[card]\n")
    other = Path(refine_directly(tmp_path / "recipe.toml")["run"])
    pages = [(one / "neighbours/shards/notes/rows.arrow").read_bytes() for one in (run, other)]
    assert pages[0] == pages[1]
    card = (other / "card" / "README.md").read_text()
    assert "malformed lines, the first ones" in card
    assert "dump.json.gz:10:" in card
    assert "neighbours removed since they name an answer" in card
    assert [one for one in verify_run(other)["checks"] if not one["ok"]] == []
    (tmp_path / "recipe.toml").write_text(text.replace("min_score", "quotas = { Q5 = 3 }\nmin_score"))
    with pytest.raises(SourceError, match=r"knowledge\.quotas: no entity of the graph has the type 'Q5'"):
        refine_directly(tmp_path / "recipe.toml", "mentions")
