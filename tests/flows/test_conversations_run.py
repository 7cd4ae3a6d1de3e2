"""A recipe with conversations and a tokenizer of its own, from files to rows, and mistakes in it."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.files import file_sha256
from gristmill.flows.direct import refine_directly
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from gristmill.tokenizer.chat_template import CONTROL
from gristmill.tokenizer.text_tokenizer import TextTokenizer
from tests.conftest import HOUSE
from tests.tokenizer.own_tokenizers import FAMILIES

RECIPE = """
name = "chat"
seed = 7
[[sources]]
name = "chat"
path = ["samples/chat/chat.jsonl", "{broken}"]
domain = "chat"
messages = "messages"
[[sources]]
name = "quotes"
path = "samples/forum/fortunes.de.jsonl"
domain = "chat"
[pii]
email = "mask"
[decide]
profiles = []
[tokenizer]
path = "{tokenizer}"
chat_template = "chatml"
specials.end = "</s>"
[shards]
row_tokens = 1024
heldout = 0.05
packing = "classes"
"""
BROKEN = [
    {"messages": [{"role": "user", "content": "unanswered"}]},
    {"messages": []},
    {"messages": [{"role": "user", "content": "a@b.org"}, {"role": "assistant", "content": "mail c@d.org"}]},
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    made = FAMILIES["byte_level"]()
    made.add_special_tokens(list(CONTROL["chatml"]))
    made.save(str(folder / "tokenizer.json"))
    (folder / "broken.jsonl").write_text("".join(json.dumps(one) + "\n" for one in BROKEN))
    text = RECIPE.format(tokenizer=folder / "tokenizer.json", broken=folder / "broken.jsonl")
    (folder / "recipe.toml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def run(files, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(tmp_path_factory.mktemp("home")))
        patch.chdir(HOUSE)
        yield Path(refine_directly(files / "recipe.toml", until="plan")["run"])


def test_the_tokenizer_is_the_file_and_stands_in_the_lock(run, files):
    assert (run / "tokenizer" / "tokenizer.json").read_bytes() == (files / "tokenizer.json").read_bytes()
    lock = json.loads((run / "lock.json").read_text())
    assert lock["artefacts"]["tokenizer"] == {"path": file_sha256(files / "tokenizer.json")}


def rows_of(run):
    for path in sorted(run.glob("shards/chat/*.arrow")) + sorted(run.glob("heldout/chat/*.arrow")):
        yield from pa.ipc.open_stream(path).read_all().to_pylist()


def pieces_of(run):
    """Tokens of each document by offset, and those of them that are targets."""
    whole, answers = {}, {}
    for row in rows_of(run):
        mask = np.full(1024, "targets" not in row)
        for one in row.get("targets", ()):
            mask[one["start"] : one["start"] + one["length"]] = True
        assert mask.any()
        for one in row["documents"]:
            at = slice(one["start"], one["start"] + one["length"])
            whole.setdefault(one["doc_id"], {})[one["offset"]] = row["tokens"][at]
            answers.setdefault(one["doc_id"], {})[one["offset"]] = np.array(row["tokens"][at])[mask[at]].tolist()
    return [{name: joined(found) for name, found in pieces.items()} for pieces in (whole, answers)]


def joined(pieces):
    return [token for _, piece in sorted(pieces.items()) for token in piece]


@pytest.fixture
def documents(run):
    with reopen_run(run) as context:
        parts = context.run.manifest("documents").parts
        tables = [pq.read_table(context.store.folder(part) / "documents.parquet") for part in parts]
        return {row["doc_id"]: row for row in pa.concat_tables(tables).to_pylist()}


def test_documents_come_back_from_rows_and_answers_alone_are_targets(run, documents):
    text = TextTokenizer(run / "tokenizer" / "tokenizer.json")
    whole, answers = pieces_of(run)
    assert len([doc_id for doc_id in whole if documents[doc_id]["source"] == "chat"]) == 7
    for doc_id, ids in whole.items():
        document, spelled = documents[doc_id], text.decode(answers[doc_id])
        if document["source"] == "quotes":
            assert text.decode(ids) == f"{document['text']}</s>"
            continue
        data, rendered = document["text"].encode(), text.decode(ids)
        assert rendered.startswith("<|im_start|>")
        assert "@" not in rendered
        for message in json.loads(document["meta"])["messages"]:
            content = data[slice(*message["content"])].decode()
            if "@" not in content:  # masked
                assert content in rendered
                assert content in spelled or message["role"] != "assistant"
                assert content not in spelled or message["role"] == "assistant"


def test_malformed_ones_are_counted(run):
    with reopen_run(run) as context:
        rejects = context.run.manifest("documents").parts[0].facts["rejects"]
    assert rejects == {"no_answer_at_end": 1, "no_messages": 1}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('specials.end = "</s>"', ""), r"tokenizer\.specials\.end: the tokenizer of path has no token"),
        (('"chatml"', '"headers"'), r"tokenizer\.specials\.control: the template headers is made of"),
        (('chat_template = "chatml"\n', ""), r"tokenizer\.chat_template: a source has messages"),
        (('"chatml"', '"{{ messages[-1].content }}"'), r"tokenizer\.chat_template: up to message 1"),
        (('"chatml"', '"none.jinja"'), r"tokenizer\.chat_template: no file at none\.jinja"),
        (("[tokenizer]\n", "[tokenizer]\nvocab_size = 600\n"), r"tokenizer\.vocab_size: the tokenizer of path"),
        (('messages = "messages"', 'messages = "m"\ntemplate = "{a}"'), r"sources\.0\.template: the text is that of"),
        (('"classes"', '"class"'), r"shards\.packing: unknown packing 'class'; did you mean 'classes'"),
        (("tokenizer.json", "broken.jsonl"), r"tokenizer\.path: .*broken\.jsonl is no tokenizer"),
    ],
)
def test_mistakes_are_found_before_work_starts(files, monkeypatch, change, told):
    monkeypatch.chdir(HOUSE)
    with pytest.raises(RecipeError, match=told):
        parse_recipe((files / "recipe.toml").read_text().replace(*change))
