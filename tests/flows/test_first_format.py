"""Runs that version 0.1.0 made: some commands read them, every other names the command that makes them readable."""

import json
import shutil

import pytest

from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.lock import Lock
from gristmill.corpus.run_stages import STAGES_FILE
from gristmill.flows.direct import train_directly
from gristmill.flows.inspect.data_card import check_run_card, write_run_card
from gristmill.flows.inspect.explain import explain_document
from gristmill.flows.inspect.rank import rank_run
from gristmill.flows.inspect.sweep import sweep_run
from gristmill.flows.inspect.trace import trace_step
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.inspect.whatif import whatif_run
from gristmill.flows.review.page_server import queue_state
from gristmill.flows.takedown.removal import takedown

OTHERS = {
    "whatif": lambda run: whatif_run(run, ["words.at_least=8"]),
    "sweep": lambda run: sweep_run(run, "words.at_least", 0, 9, 3),
    "rank": lambda run: rank_run(run, ["forum"], ["web"]),
    "card": write_run_card,
    "card --check": check_run_card,
    "train": train_directly,
    "review": lambda run: queue_state(run, 0.1),
}


@pytest.fixture
def old(small_run, tmp_path):
    """The small run as 0.1.0 would have left it: lock of format 1, nothing said of stages, lists of models."""
    home = tmp_path / "home"
    shutil.copytree(small_run.parents[2], home, symlinks=True)
    run = home / small_run.relative_to(small_run.parents[2])
    lock = read_json(run / "lock.json")
    artefacts = lock.pop("artefacts")
    inputs = {
        "files": lock.pop("inputs"),
        "graph": artefacts["mentions"]["graph"],
        "language_model": artefacts["language"]["model"],
    }
    versions = {"stages": lock.pop("stages"), "libraries": lock.pop("libraries")["documents"]}
    first = {"format": 1, "recipe": lock["recipe"], "inputs": inputs, "versions": versions}
    (run / "lock.json").write_text(json.dumps(first))
    (run / STAGES_FILE).unlink()
    (run / "environment.json").unlink()
    manifest = read_json(run / "manifests" / "tokenizer.json")
    (part,) = manifest["parts"]
    part["facts"] = {name: part["facts"][name] for name in ("bytes_per_token", "sample_bytes", "vocab_size")}
    write_json(run / "manifests" / "tokenizer.json", manifest)
    write_json(home / "store" / "tokenizer" / part["key"] / "receipt.json", part)
    return run


def test_verify_explain_and_trace_read_it(old, small_run):
    assert verify_run(old)["ok"]
    name = "samples/forum/fortunes.en.jsonl:1"
    was, now = explain_document(small_run, name), explain_document(old, name)
    assert now == was
    assert trace_step(old, 1)["rows"] == trace_step(small_run, 1)["rows"]


def test_verify_still_sees_a_flipped_bit(old):
    path = next((old / "shards" / "legal").glob("data-*.arrow"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)
    assert not verify_run(old)["ok"]


def test_a_document_is_taken_down_from_it(old):
    doc_id = explain_document(old, "samples/forum/fortunes.en.jsonl:1")["doc_id"]
    result = takedown(old, [doc_id])
    assert result["removed"] == [doc_id]
    assert result["left"] == []
    assert not [check for check in verify_run(old)["checks"] if not check["ok"]]


@pytest.mark.parametrize("command", OTHERS)
def test_every_other_command_names_the_one_that_makes_it_readable(old, command):
    with pytest.raises(StoreError, match=r"was made by gristmill 0\.1\.0.*`gristmill run .*recipe\.toml`"):
        OTHERS[command](old)


def test_a_format_of_the_future_is_named(old):
    (old / "lock.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(StoreError, match="has format 99"):
        verify_run(old)


def test_a_lock_comes_back_as_it_was(small_run):
    value = read_json(small_run / "lock.json")
    assert Lock.from_json(value).to_json() == value
    assert Lock.from_json(value).run_id == small_run.name
