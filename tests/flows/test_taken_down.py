"""What was taken down from one run of a home comes back into no other, as long as the input has the same bytes."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import gristmill
from gristmill.corpus.errors import StoreError
from gristmill.flows.takedown.removal import takedown

DAY = "2026-01-31"


@pytest.fixture
def texts(tmp_path, home) -> Path:
    """A file of ten records."""
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"id": n, "text": f"Text {n} of ten."}) + "\n" for n in range(10)))
    return path


def mill(texts: Path, **sections) -> gristmill.Run:
    sources = [{"name": "texts", "path": str(texts), "domain": "d"}]
    recipe = {"name": "ten", "seed": 1, "sources": sources, **sections}
    return gristmill.run(recipe, until="documents", progress=False, workers=1)


BOUND = {"decide": {"rules": {"words": {"at_least": 3}}}}


def test_another_run_that_would_bring_a_document_back_is_refused_and_keeps_nothing(texts, home):
    run = mill(texts)
    (gone,) = takedown(run.path, ["4"], date=DAY)["removed"]
    for _ in range(2):
        with pytest.raises(StoreError, match=f"1 of the documents .* from {run.path} are read again, .*{texts.name}:5"):
            mill(texts, **BOUND)
    held = [pq.read_table(path)["text"].to_pylist() for path in home.rglob("documents.parquet")]
    assert [len(one) for one in held] == [9]
    texts.write_text("".join(line for line in texts.read_text().splitlines(True) if '"id": 4' not in line))
    again = mill(texts, **BOUND)  # another text stands in its place now
    assert (len(again.documents()), gone in set(again.documents(["doc_id"]).to_polars()["doc_id"])) == (9, True)


def test_a_run_that_was_left_alone_goes_on(texts):
    run, other = mill(texts), mill(texts, limits={"document_bytes": 99})
    takedown(run.path, ["4"], date=DAY)
    assert mill(texts, limits={"document_bytes": 99}).path == other.path
    assert len(other.documents()) == 10


def test_other_documents_of_a_file_without_a_takedown_are_no_concern(texts, tmp_path):
    takedown(mill(texts).path, ["4"], date=DAY)
    more = tmp_path / "more.jsonl"
    more.write_text(texts.read_text())
    assert len(mill(more).documents()) == 10


def test_a_run_that_was_killed_before_it_looked_looks_when_it_starts_again(texts, monkeypatch):
    takedown(mill(texts).path, ["4"], date=DAY)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("gristmill.flows.pipeline.ingest.refuse_taken_down", killed)
        with pytest.raises(KeyboardInterrupt):
            mill(texts, **BOUND)
    with pytest.raises(StoreError, match="are read again"):
        mill(texts, **BOUND)
