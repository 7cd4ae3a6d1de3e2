"""The life of a kept, a dropped, a merged and a rejected document."""

import json

import pyarrow.parquet as pq
import pytest

import gristmill
from gristmill.corpus.errors import AmbiguousNameError, UnknownNameError
from gristmill.corpus.identity import document_id
from gristmill.flows.inspect.explain import explain_document
from gristmill.flows.pipeline.open_context import reopen_run


@pytest.fixture(scope="module")
def ledger(small_run):
    with reopen_run(small_run) as context:
        return pq.read_table(context.file("decide", "ledger.parquet")).to_pylist()


def first(ledger, verdict: str) -> dict:
    return next(row for row in ledger if row["verdict"] == verdict)


def test_a_kept_document(small_run, ledger):
    life = explain_document(small_run, first(ledger, "kept")["doc_id"])
    assert life["verdict"] == "kept"
    assert [stage["stage"] for stage in life["stages"]] == ["documents", "signals", "language", "mentions", "decide"]
    assert life["rows"]
    assert all(row["doc_id"] == life["doc_id"] for row in life["rows"])
    assert life["stages"][1]["words"] > 0


def test_a_dropped_document_has_every_failing_rule(small_run, ledger):
    dropped = [row for row in ledger if row["verdict"] == "dropped"]
    many = max({row["doc_id"] for row in dropped}, key=lambda doc_id: sum(row["doc_id"] == doc_id for row in dropped))
    life = explain_document(small_run, many)
    assert life["verdict"] == "dropped"
    assert len(life["verdicts"]) > 1
    assert all(verdict["bound"] and verdict["profile"] for verdict in life["verdicts"])
    assert life["rows"] == []


def test_a_merged_document_names_the_one_it_lost_to(small_run, ledger):
    merged = first(ledger, "merged")
    life = explain_document(small_run, merged["doc_id"])
    assert life["verdict"] == "merged"
    assert life["verdicts"][0]["other"] in life["cluster"]["members"]
    assert explain_document(small_run, life["verdicts"][0]["other"])["verdict"] == "kept"


def test_a_rejected_record(small_run):
    life = explain_document(small_run, "samples/dirty/broken.jsonl:2")
    assert life["verdict"] == "rejected"
    assert life["stages"][0]["reason"] == "invalid_utf8"
    assert explain_document(small_run, life["doc_id"]) == life
    assert life["doc_id"] == document_id("dirty", "samples/dirty/broken.jsonl:2")


def test_by_locator_and_by_the_inputs_own_id(small_run):
    by_id = explain_document(small_run, "sotu/2016_barack_obama_d")
    assert explain_document(small_run, by_id["stages"][0]["locator"]) == by_id


@pytest.fixture(scope="module")
def named_alike(tmp_path_factory):
    """A run over two files that count their records from 1, beside other ids."""
    folder = tmp_path_factory.mktemp("named")
    ones = [{"id": 7, "text": "Seven is a number."}, {"id": "b", "text": "A letter.", "user": {"id": "elsewhere"}}]
    twos = [{"id": 7, "text": "Another seven."}, {"id": "elsewhere", "text": "A word."}, {"id": 12, "text": "A dozen."}]
    for name, rows in (("ones", ones), ("twos", twos)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sources = [{"name": name, "path": str(folder / f"{name}.jsonl"), "domain": "d"} for name in ("ones", "twos")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        return gristmill.run({"name": "alike", "seed": 1, "sources": sources}, until="documents", progress=False).path


def test_an_id_of_the_input_is_the_records_own_and_may_be_a_number(named_alike):
    assert explain_document(named_alike, "elsewhere")["stages"][0]["head"] == "A word."
    assert explain_document(named_alike, "12")["stages"][0]["head"] == "A dozen."


def test_an_id_that_two_documents_bear_names_them(named_alike):
    with pytest.raises(AmbiguousNameError, match=r"document '7' names 2: [0-9a-f]{32}, [0-9a-f]{32}; give one"):
        explain_document(named_alike, "7")


def test_nobody_of_that_name(small_run):
    with pytest.raises(UnknownNameError, match="unknown document 'nobody'"):
        explain_document(small_run, "nobody")
