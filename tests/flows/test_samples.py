"""Texts of what was dropped, kept, merged, cut and masked: the right ones, the same again, nothing masked."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import AmbiguousNameError, RecipeError, StoreError, UnknownNameError
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.id_prefixes import id_named
from gristmill.flows.inspect.sample_choice import SampleChoice
from gristmill.flows.inspect.samples import samples_of_run
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.pipeline.run_summary import notices
from gristmill.show_text import show_samples

PLUGIN = """
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.span_tables import spans_column
from gristmill.corpus.stage import Measured, PartStage, Signal

SHOUTS = PartStage(
    name="shouts", version="1", measure=":measure", table="shouts.parquet",
    signals=(Signal("exclamations", "marks", 0, 1e9, "exclamation marks"),),
)
AGENTS = PartStage(name="agents", version="1", title="agents", measure=":mask", table="agents.parquet", spans=True,
    signals=(Signal("agents", "finds", 0, None, "agents"),))


def measure(batch, options, state):
    return Measured({"exclamations": pc.count_substring(batch["text"], "!").cast(pa.float64())})


def mask(batch, options, state):
    texts = [text.encode() for text in batch["text"].to_pylist()]
    found = [(row, *hit.span(), 0) for row, text in enumerate(texts) for hit in re.finditer(rb"agent \\d+", text)]
    counts = np.bincount([row for row, *_ in found], minlength=len(texts)).astype(float)
    spans = spans_column(len(texts), np.array(found, np.int64).reshape(-1, 4), ["mask:AGENT"])
    return Measured({"agents": pa.array(counts)}, spans)
"""
RECIPE = """
name = "notes"
seed = 1
plugins = ["./shouts.py"]
[[sources]]
name = "notes"
path = "{folder}/notes.jsonl"
domain = "notes"
[[sources]]
name = "copies"
path = "{folder}/copies.jsonl"
domain = "notes"
[line_edits]
rules = ["refinedweb@dclm"]
[pii]
email = "mask"
key = "drop"
[decide]
profiles = []
[decide.rules.exclamations]
at_most = 2
[decide.rules.words]
at_most = 500
[decide.rules.pii_drop]
at_most = 0
"""
KEY = "ghp_" + "a1B2" * 9
TEXT = (
    "SHARE THIS BY MAIL TO bob@b.org\nThe wheel of mill {n} turned{marks} and é agent {n} wrote to ann{n}@example.org."
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    texts = [TEXT.format(n=f"{n:03}", marks="!" * (n % 4)) + f" {n * n * 7919}" * 9 for n in range(80)]
    texts.append(f"The key of agent 999 is {KEY} and it opens the mill, which turns all day and all night long.")
    lines = [json.dumps({"id": f"n{n}", "text": text}) + "\n" for n, text in enumerate(texts)]
    (folder / "notes.jsonl").write_text("".join(lines))
    (folder / "copies.jsonl").write_text("".join([*lines[:9], '{"text": "cut\n', '{"txt": 1}\n', '{"txt": 2}\n']))
    (folder / "shouts.py").write_text(PLUGIN)
    (folder / "recipe.toml").write_text(RECIPE.format(folder=folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        yield Path(refine_directly(folder / "recipe.toml", until="edits")["run"])


@pytest.fixture(scope="module")
def ledger(run):
    with reopen_run(run) as context:
        return pq.read_table(context.file("decide", "ledger.parquet")).to_pylist()


def samples(run: Path, n: int = 10, seed: int = 0, *, show_masked: bool = False, **choice) -> list[dict]:
    return samples_of_run(run, SampleChoice(**choice), n, seed, show_masked=show_masked)["samples"]


def test_a_rule_of_a_plug_in_shows_what_it_dropped(run, ledger):
    result = samples_of_run(run, SampleChoice(rule="exclamations"), 5)
    failed = {row["doc_id"] for row in ledger if row["rule"] == "exclamations"}
    assert result["documents"] == len(failed) > 5
    assert len(result["samples"]) == 5
    for sample in result["samples"]:
        assert sample["doc_id"] in failed
        assert sample["verdict"] == "dropped"
        assert sample["text"].count("!") == 3
        rule = next(one for one in sample["rules"] if one["rule"] == "exclamations")
        assert (rule["signal"], rule["value"], rule["bound"]) == ("exclamations", 3.0, "<= 2")


def test_a_rule_that_nothing_failed_is_none_that_is_unknown(run):
    assert samples_of_run(run, SampleChoice(rule="words"))["documents"] == 0
    with pytest.raises(UnknownNameError, match="unknown rule 'exclamation'; did you mean 'exclamations'"):
        samples(run, rule="exclamation")


def test_the_same_call_shows_the_same_and_another_seed_others(run):
    ids = [[one["doc_id"] for one in samples(run, 8, seed, kept=True)] for seed in (0, 0, 1)]
    assert ids[0] == ids[1]
    assert set(ids[0]) != set(ids[2])
    assert ids[0][:3] == [one["doc_id"] for one in samples(run, 3, kept=True)]


@pytest.mark.parametrize("verdict", ["kept", "dropped", "merged"])
def test_a_verdict(run, ledger, verdict):
    result = samples_of_run(run, SampleChoice(**{verdict: True}), 1000)
    assert {one["doc_id"] for one in result["samples"]} == {r["doc_id"] for r in ledger if r["verdict"] == verdict}
    assert all((one["other"] is not None) == (verdict == "merged") for one in result["samples"])


def test_rejected_records_are_shown_with_reason_and_first_bytes(run, capsys):
    result = samples_of_run(run, SampleChoice(rejected=True, source="copies"), 2)
    assert (result["documents"], result["reasons"]) == (3, {"field_missing": 2, "truncated": 1})
    assert len(result["samples"]) == 2
    assert samples_of_run(run, SampleChoice(rejected=True), 9)["documents"] == 3
    everything = samples_of_run(run, SampleChoice(rejected=True), 9)
    assert {one["locator"].rsplit(":")[-1]: one["head"] for one in everything["samples"]}["11"] == '{"txt": 1}\n'
    show_samples(everything)
    assert "3 records, 3 shown: 2 field_missing, 1 truncated" in capsys.readouterr().out
    with pytest.raises(RecipeError, match="--rejected and --kept"):
        samples(run, rejected=True, kept=True)
    with pytest.raises(UnknownNameError, match="unknown source 'copy'"):
        samples(run, rejected=True, source="copy")


def test_a_run_tells_what_was_rejected(run):
    with reopen_run(run) as context:
        assert notices(context.run)[0] == (
            "3 of 12 records of copies are rejected: 2 field_missing, 1 truncated; "
            "`gristmill samples RUN --rejected --source copies` shows some"
        )


def test_a_source_and_what_is_given_together(run, ledger):
    all_of = samples(run, 1000, source="copies")
    assert len(all_of) == 9
    merged = samples(run, 1000, source="copies", merged=True)
    expected = {row["doc_id"] for row in ledger if row["source"] == "copies" and row["verdict"] == "merged"}
    assert {one["doc_id"] for one in merged} == expected
    with pytest.raises(UnknownNameError, match="unknown source 'copis'; did you mean 'copies'"):
        samples(run, source="copis")


def test_a_cluster_by_id_member_and_beginning(run):
    merged = samples(run, 1, merged=True)[0]
    by_member = samples(run, cluster=merged["doc_id"])
    assert by_member == samples(run, cluster=merged["other"]) == samples(run, cluster=merged["doc_id"][:12])
    assert by_member[0]["verdict"] == "kept"
    assert {merged["doc_id"], merged["other"]} == {one["doc_id"] for one in by_member}
    alone = next(one for one in samples(run, 100, source="notes") if one["doc_id"] not in member_ids(run))
    for name in ("ffff" * 8, alone["doc_id"], "abc", "*"):
        with pytest.raises(UnknownNameError, match="unknown cluster"):
            samples(run, cluster=name)


def member_ids(run: Path) -> set[str]:
    with reopen_run(run) as context:
        rows = pq.read_table(context.file("clusters", "clusters.parquet")).to_pylist()
    return {row["doc_id"] for row in rows if row["size"] > 1}


def test_what_was_cut_before_and_after(run):
    found = samples(run, 100, cut="refinedweb:uppercase")
    assert len(found) > 20
    for sample in found:
        assert "text" not in sample
        assert sample["before"].startswith("SHARE THIS BY MAIL TO <EMAIL>\nThe wheel")
        assert sample["after"].startswith("The wheel")
        assert [one["text"] for one in sample["cut"]] == ["SHARE THIS BY MAIL TO <EMAIL>\n"]
    with pytest.raises(UnknownNameError, match="reason of --cut 'refinedweb:upercase'; did you mean"):
        samples(run, cut="refinedweb:upercase")


@pytest.mark.parametrize(
    "choice", [{"kept": True}, {"dropped": True}, {"merged": True}, {"source": "notes"}, {"cut": "mask:EMAIL"}], ids=str
)
def test_what_is_masked_is_shown_by_its_marker_alone(run, choice):
    found = samples(run, 1000, **choice)
    told = json.dumps(found)
    assert "@" not in told
    assert KEY not in told
    assert "agent 0" not in told
    assert "<AGENT>" in told
    shown = json.dumps(samples(run, 1000, show_masked=True, **choice))
    assert "@" in shown
    assert "agent 0" in shown


def test_a_key_for_which_a_document_was_dropped_is_not_shown(run):
    (sample,) = samples(run, rule="pii_drop")
    assert sample["text"].startswith("The key of <AGENT> is <SECRET> and it")
    assert KEY in samples(run, rule="pii_drop", show_masked=True)[0]["text"]


def test_wrong_questions(run, small_run, small_text, tmp_path, monkeypatch):
    with pytest.raises(RecipeError, match="say which documents: --rule"):
        samples(run)
    with pytest.raises(RecipeError, match="-n 0: at least 1"):
        samples(run, 0, kept=True)
    with pytest.raises(StoreError, match="cuts and masks nothing"):
        samples(small_run, cut="line")
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path))
    (tmp_path / "recipe.toml").write_text(small_text)
    early = Path(refine_directly(tmp_path / "recipe.toml", until="documents")["run"])
    with pytest.raises(StoreError, match="has no decide yet"):
        samples(early, kept=True)


def test_a_beginning_that_fits_several_and_the_neighbours_of_none():
    ids = [f"{n:032x}" for n in range(0, 1 << 20, 7)]
    with pytest.raises(AmbiguousNameError, match=r"cluster '0000' is the beginning of 149797 names: .*, \.\.\.; give"):
        id_named("cluster", "0000", ids)
    with pytest.raises(UnknownNameError, match="unknown cluster 'ffff'"):
        id_named("cluster", "ffff", ids)
    assert id_named("cluster", ids[5], ids) == ids[5]
