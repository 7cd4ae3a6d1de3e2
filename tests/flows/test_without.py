"""A corpus without some documents: the same as a rerun without them, document by document."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.corpus.errors import RecipeError, SourceError, UnknownNameError
from gristmill.flows.without import corpus_without as room
from gristmill.flows.without.corpus_without import corpus_without, documents_of
from gristmill.flows.without.document_selection import chosen_rows
from gristmill.flows.without.selection_keys import DocumentSelection
from gristmill.flows.without.without_run import without_run
from tests.flows import selected_corpus as planted
from tests.gristmill.command_line import answer, call

SELECTIONS = 4  # bench/without.py takes 100


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The recipe, and the context of its run."""
    folder = tmp_path_factory.mktemp("without")
    recipe = planted.write_corpus(folder, 30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        yield recipe, planted.milled(recipe)


@pytest.fixture(scope="module")
def selections(corpus, tmp_path_factory):
    return list(planted.selections(corpus[1], tmp_path_factory.mktemp("ids"), SELECTIONS))


@pytest.fixture(scope="module")
def reruns(corpus, selections, tmp_path_factory):
    """For each selection the rows that it removes, and the recipe run again on files without them."""
    recipe, context = corpus
    documents, found = documents_of(context), []
    for one in selections:
        removed = chosen_rows(one, documents)
        gone = set(documents["doc_id"].filter(pa.array(removed)).to_pylist())
        found.append((removed, planted.rerun_without(recipe, tmp_path_factory.mktemp("again"), gone, context)))
    return found


def differences(corpus, reruns, **how):
    """Of each selection the tables that are not those of the rerun."""
    documents = documents_of(corpus[1])
    return [planted.differences(corpus_without(corpus[1], documents, rows, **how), rerun) for rows, rerun in reruns]


def test_the_answer_is_the_rerun(corpus, reruns):
    assert differences(corpus, reruns) == [[]] * SELECTIONS


def test_selections_hit_representatives_and_first_copies(corpus, selections):
    """Half of them; or the comparison above would prove little."""
    results = [without_run(corpus[1].run.path, one) for one in selections]
    for key in ("reelected", "freed"):
        assert sum(one[key]["documents"] > 0 for one in results) >= SELECTIONS // 2


def test_old_clusters_and_old_cuts_would_be_seen(corpus, reruns, monkeypatch):
    """Two planted faults: cuts whose first copies are gone, and clusters that nothing parts."""
    assert ["kept"] in differences(corpus, reruns, read_text=False)
    stored = pq.read_table(corpus[1].file("clusters", "clusters.parquet"))
    monkeypatch.setattr(room, "remaining_clusters", lambda _, remains: stored.filter(pa.array(remains)))
    assert any("ledger" in found for found in differences(corpus, reruns))


def test_columns_alone_answer_and_name_what_would_be_read(corpus):
    path = corpus[1].run.path
    result = without_run(path, DocumentSelection(source=("archive",)), read_text=False)
    assert result["text_read"] == []
    kept = sum(one["documents_kept"] for one in result["after"].values())
    assert f"the text of {kept} kept documents would have to be read for lines, substrings" in result["not_exact"][0]
    exact = without_run(path, DocumentSelection(source=("archive",)))
    assert (exact["text_read"], exact["not_exact"]) == (["lines", "substrings"], [])
    assert exact["after"] == result["after"]
    assert "archive" not in exact["after"]
    assert exact["removed"]["by_source"] == {"archive": 30}
    assert sum(one["after"] for one in exact["shares"].values()) == pytest.approx(1)


def test_documents_that_were_dropped_leave_everything_as_it_is(corpus, tmp_path):
    context = corpus[1]
    ledger = pl.read_parquet(context.file("decide", "ledger.parquet")).filter(pl.col("verdict") == "dropped")
    ids = ledger["doc_id"].unique().to_list()
    (tmp_path / "ids").write_text("\n".join(one[:12] for one in ids))
    result = without_run(context.run.path, DocumentSelection(ids=tmp_path / "ids"))
    assert (result["removed"]["documents"], result["removed"]["kept"], result["text_read"]) == (len(ids), 0, [])
    assert result["reelected"]["documents"] == result["freed"]["documents"] == result["cut_anew"]["documents"] == 0


@pytest.mark.parametrize(
    ("selection", "error", "text"),
    [
        ({}, RecipeError, "name what to leave out"),
        ({"source": ("archiv",)}, UnknownNameError, "did you mean 'archive'"),
        ({"license": ("MIT",)}, UnknownNameError, "unknown license of this run 'MIT'"),
        ({"ids": Path("nowhere")}, SourceError, "--ids nowhere"),
        ({"source": planted.SOURCES}, RecipeError, "nothing would be left"),
    ],
)
def test_a_wrong_selection_is_named(corpus, selection, error, text):
    with pytest.raises(error, match=text):
        without_run(corpus[1].run.path, DocumentSelection(**selection))


def test_the_curriculum_without_a_source_is_judged(small_run, capsys):
    found = answer(capsys, "without", small_run, "--source", "fewshot")
    assert not found["mixture"]["feasible"]
    assert "instructions" in found["mixture"]["advice"]
    quiet = answer(capsys, "without", small_run, "--source", "dirty", "--lang", "de", "--columns-only")
    assert quiet["mixture"]["feasible"]
    assert json.loads(json.dumps(quiet["shares"])) == quiet["shares"]
    status, out, _ = call(capsys, "without", small_run, "--source", "fewshot")
    assert status == 0
    assert "elected in place of removed ones" in out


def naive_clusters(context, remains):
    """Clusters of what remains in plain Python: doc_id to (cluster, size, kind, jaccard)."""
    documents = pq.read_table(context.file("documents", "documents.parquet"), columns=["doc_id", "text_hash"])
    for part in range(1, len(context.run.manifest("documents").parts)):
        table = pq.read_table(context.file("documents", "documents.parquet", part), columns=["doc_id", "text_hash"])
        documents = pa.concat_tables([documents, table])
    hashes = dict(zip(*(documents[name].to_pylist() for name in ("doc_id", "text_hash")), strict=True))
    there = [one for one, stays in zip(hashes, remains, strict=True) if stays]
    links = {one: {other for other in there if hashes[other] == hashes[one]} for one in there}
    nearest = dict.fromkeys(there, 0.0)
    for pair in pq.read_table(context.file("clusters", "pairs.parquet")).to_pylist():
        for one in there:
            for a, b in ((pair["a"], pair["b"]), (pair["b"], pair["a"])):
                others = {other for other in there if hashes[other] == hashes[b]}
                if hashes[one] == hashes[a] and others:
                    links[one] |= others
                    nearest[one] = max(nearest[one], pair["jaccard"])
    found = {}
    for one in there:
        members, left = set(), {one}
        while left:
            members |= left
            left = {other for member in left for other in links[member]} - members
        copies = [other for other in there if other != one and hashes[other] == hashes[one]]
        exact = bool(copies) or len(members) == 1
        found[one] = (min(members), len(members), "exact" if exact else "near", 1.0 if exact else nearest[one])
    return found


@given(st.integers(0, 2**32), st.floats(0.05, 0.9))
@settings(max_examples=6)
def test_clusters_of_what_remains_equal_the_naive_ones(corpus, seed, share):
    context = corpus[1]
    remains = np.random.default_rng(seed).random(documents_of(context).num_rows) > share
    if not remains.any():
        return
    rows = room.remaining_clusters(context, remains).to_pylist()
    naive = naive_clusters(context, remains)
    assert [row["doc_id"] for row in rows] == list(naive)
    for row in rows:
        cluster, size, kind, jaccard = naive[row["doc_id"]]
        assert (row["cluster"], row["size"], row["kind"]) == (cluster, size, kind)
        assert row["jaccard"] == pytest.approx(jaccard, abs=1e-6)


def test_keys_of_a_selection_hold_together(corpus):
    documents = documents_of(corpus[1])
    rows = documents.select(["source", "domain", "license", "lang_id"]).to_pylist()
    for keys in (
        {"source": ("blog", "crawl"), "lang": ("unknown",)},
        {"domain": ("d1",), "license": ("CC0", "unknown"), "lang": ("de", "en")},
    ):
        columns = {"source": "source", "domain": "domain", "license": "license", "lang": "lang_id"}
        expected = [all((row[columns[key]] or "unknown") in values for key, values in keys.items()) for row in rows]
        assert chosen_rows(DocumentSelection(**keys), documents).tolist() == expected
        assert 0 < sum(expected) < len(rows)
