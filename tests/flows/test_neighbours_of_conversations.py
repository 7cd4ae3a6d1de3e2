"""Neighbourhoods of conversations: mentions at their tokens in the rendered text, and what an answer names is one."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.verify import verify_run
from gristmill.handoff.neighbours import RunNeighbours
from gristmill.handoff.reader import ShardReader
from gristmill.tokenizer.text_tokenizer import TextTokenizer
from tests.knowledge.conftest import written_graph

TOWNS = ["Lisbon", "Madrid", "Warsaw", "Vienna", "Zagreb", "Dublin"]
RECIPE = """
name = "chat"
seed = 5
[[sources]]
name = "chat"
path = "{folder}/chat.jsonl"
domain = "chat"
messages = "messages"
[pii]
email = "mask"
[decide]
profiles = []
[knowledge]
graph = "{folder}/graph"
min_score = 0.0
[knowledge.neighbours]
answers = 0.0
[tokenizer]
vocab_size = 420
chat_template = "chatml"
specials.control = ["<|im_start|>", "<|im_end|>"]
[shards]
row_tokens = 128
heldout = 0.1
"""


def conversation(draw, number):
    asked, beside, given = draw.choice(TOWNS, 3, replace=False)
    question = f"  Note {number}, from a{number}@b.org: which town, like {asked} or {beside}, is meant? é語\n"
    return [{"role": "user", "content": question}, {"role": "assistant", "content": f"That would be {given}, I think."}]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("chat"), np.random.default_rng(3)
    lines = [json.dumps({"messages": conversation(draw, number)}) + "\n" for number in range(60)]
    (folder / "chat.jsonl").write_text("".join(lines))
    towns = [(f"q{n}", town) for n, town in enumerate(TOWNS)]
    written_graph(folder / "graph", towns, [(f"q{n}", "near", f"q{m}") for n in range(6) for m in range(6) if n != m])
    (folder / "recipe.toml").write_text(RECIPE.format(folder=folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        yield Path(refine_directly(folder / "recipe.toml", "neighbours")["run"])


def spans_of(run):
    """(doc_id, spelling, label, is answer, labels of neighbours, touches a target) of every entity in a row."""
    reader, graph = ShardReader(run / "shards" / "chat"), RunNeighbours(run, ["chat"])
    text, labels = TextTokenizer(run / "tokenizer" / "tokenizer.json"), graph.entities["label"].to_pylist()
    rows = np.arange(reader.rows)
    spans, tokens, masks = graph.read(np.zeros(len(rows), int), rows), reader.tokens(rows), reader.mask(rows)
    for n in range(len(spans.row)):
        row, at = spans.row[n], slice(spans.start[n], spans.start[n] + spans.length[n])
        (document,) = (
            one["doc_id"]
            for one in reader.documents(rows[row : row + 1])[0]
            if one["start"] <= spans.start[n] < one["start"] + one["length"]
        )
        near = [labels[one] for one in spans.neighbours[n] if one >= 0]
        yield (
            document,
            text.decode(tokens[row, at].tolist()),
            labels[spans.entity[n]],
            spans.answer[n],
            near,
            masks[row, at].any(),
        )


def test_mentions_stand_at_their_tokens_and_what_is_answered_is_in_no_neighbourhood(run):
    documents = {}
    for document, spelling, label, is_answer, near, is_target in spans_of(run):
        assert label in spelling
        assert len(spelling) <= len(label) + 2
        assert is_answer == is_target
        assert (len(near) == 0) if is_answer else (set(near) <= {*TOWNS})
        documents.setdefault(document, []).append((label, is_answer, near))
    assert len(documents) > 40
    for found in documents.values():
        answered = {label for label, is_answer, _ in found if is_answer}
        assert len(found) == 3
        assert len(answered) == 1
        assert all(set(near) == {*TOWNS} - {label} - answered for label, is_answer, near in found if not is_answer)


def test_every_mention_is_counted(run):
    manifest = json.loads((run / "manifests" / "neighbours.json").read_text())
    facts = [part["facts"] for part in manifest["parts"]]
    assert sum(one["placed"] for one in facts) == 3 * 60
    assert all(one["left_out"] == {} for one in facts)
    assert [one for one in verify_run(run)["checks"] if not one["ok"] and "neighbours" in one["name"]] == []
    files = {path.name for path in (run / "neighbours" / "heldout" / "chat").iterdir()}
    assert files == {"rows.arrow", "entities.arrow", "relations.arrow", "index.json"}
    store = run.parents[2] / "store" / "mentions"
    linked = sum(
        len(one) for path in store.glob("*/mentions.parquet") for one in pq.read_table(path)["mentions"].to_pylist()
    )
    assert linked == 3 * 60
