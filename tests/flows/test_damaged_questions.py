"""What a question says of a run whose store is gone, or whose tables the disk has changed: the entry, by its name."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gristmill.corpus.errors import DamagedEntryError, MissingEntryError
from gristmill.flows.diff.diff_runs import diff_runs
from gristmill.flows.export.export_run import export_run
from gristmill.flows.inspect.data_card import write_run_card
from gristmill.flows.inspect.explain import explain_document
from gristmill.flows.inspect.rank import rank_run
from gristmill.flows.inspect.samples import SampleChoice, samples_of_run
from gristmill.flows.inspect.sweep import sweep_run
from gristmill.flows.inspect.trace import trace_document
from gristmill.flows.inspect.whatif import whatif_run
from gristmill.flows.review.page_server import queue_state
from gristmill.flows.without.without_run import DocumentSelection, without_run

LOCATOR = "even.jsonl:1"
QUESTIONS: dict[str, tuple[str, Callable[[Path], Any]]] = {  # by name: a stage whose table it reads, and the question
    "card": ("decide", write_run_card),
    "diff": ("documents", lambda run: diff_runs(run, run)),
    "explain": ("documents", lambda run: explain_document(run, LOCATOR)),
    "export": ("documents", lambda run: export_run(run, "jsonl", run.parent / "out")),
    "rank": ("signals", lambda run: rank_run(run, ["even"], ["odd"])),
    "review": ("signals", lambda run: queue_state(run, 0.1)),
    "samples": ("decide", lambda run: samples_of_run(run, SampleChoice(kept=True))),
    "rejected": ("documents", lambda run: samples_of_run(run, SampleChoice(rejected=True))),
    "sweep": ("signals", lambda run: sweep_run(run, "words.at_least", 0, 9, 3)),
    "trace": ("documents", lambda run: trace_document(run, LOCATOR)),
    "whatif": ("signals", lambda run: whatif_run(run, ["words.at_least=5"])),
    "without": ("documents", lambda run: without_run(run, DocumentSelection(source=("even",)))),
}


@pytest.fixture
def run(milled, milled_home) -> Path:
    return milled_home / milled[2]


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_run_without_its_store(name, run, milled_home):
    shutil.rmtree(milled_home / "store")
    with pytest.raises(MissingEntryError, match=r"it is not in the store .*set GRISTMILL_HOME to that home"):
        QUESTIONS[name][1](run)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_table_of_other_bytes(name, run, milled_home):
    stage, question = QUESTIONS[name]
    for path in (milled_home / "store" / stage).glob("*/*.parquet"):
        bytes_ = bytearray(path.read_bytes())
        bytes_[4:-8] = bytes(byte ^ 0x55 for byte in bytes_[4:-8])  # as long as before, and a Parquet file by its ends
        path.write_bytes(bytes_)
    with pytest.raises(DamagedEntryError, match=rf"^{stage}/.*is not what its receipt says"):
        question(run)


def test_a_table_that_was_cut(run, milled_home):
    for path in (milled_home / "store" / "signals").glob("*/signals.parquet"):
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DamagedEntryError, match=r"signals.parquet is not what its receipt says"):
        QUESTIONS["whatif"][1](run)


def test_an_error_that_is_not_of_the_store_stays_what_it_is(run, monkeypatch):
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    def read(*_: Any) -> None:
        raise AssertionError("the whole run is read for an error that tells its cause")

    monkeypatch.setattr("gristmill.flows.inspect.whatif.gather_run", full)
    monkeypatch.setattr("gristmill.flows.pipeline.damage.damaged_entries", read)
    with pytest.raises(OSError, match="No space left"):
        QUESTIONS["whatif"][1](run)


def test_a_missing_entry_travels_between_processes():
    error = pickle.loads(pickle.dumps(MissingEntryError("documents", "0a1b", "/home/store")))
    assert str(error) == str(MissingEntryError("documents", "0a1b", "/home/store"))
    assert (error.stage, error.key) == ("documents", "0a1b")
