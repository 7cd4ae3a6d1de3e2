"""The life of a kept, a dropped, a merged and a rejected document."""

import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import UnknownNameError
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


def test_nobody_of_that_name(small_run):
    with pytest.raises(UnknownNameError, match="unknown document 'nobody'"):
        explain_document(small_run, "nobody")
