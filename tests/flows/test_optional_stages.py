"""Stages that a recipe may ask for: personal data, contamination, blocklists, classifiers, cut lines, substrings."""

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.files import file_sha256
from gristmill.data_cards.gather import gather
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.explain import explain_document
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.inspect.whatif import whatif_run
from gristmill.flows.pipeline.catalogue import profiles_of, rules_of
from gristmill.flows.pipeline.dry_run import plan_run
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.pipeline.recipe import Recipe

OPTIONAL = """
[line_edits]
rules = ["refinedweb@dclm", "c4"]
domains = ["forum"]
[pii]
email = "mask"
key = "drop"
[blocklist]
words = ["{words}"]
[decontaminate]
sets = {{ sample = ["samples/eval/contamination.jsonl"] }}
[[classifiers]]
name = "speech"
positive = ["samples/legal/state-of-the-union.parquet"]
negative = ["samples/forum/fortunes.en.jsonl"]
dim = 4
epochs = 2
buckets = 1000
[[references]]
name = "speech"
texts = ["samples/legal/state-of-the-union.parquet"]
sample_bytes = "100K"
[compression]
[entropy]
[dedup.lines]
min_chars = 20
[dedup.substrings]
min_tokens = 20
"""
BOUNDS = "score_speech.at_most = 2\ncross_entropy_speech.at_most = 9\nzstd_ratio.at_most = 90\n"
TEXT = (
    "SHARE THIS NOTE\nWrite to jane.doe{n}@example.org about it. "
    "The mill turns slowly but it grinds exceedingly small, says number {n}."
)
BOILERPLATE = "\nThis line of boilerplate stands in every single note of the collection.\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory, small_text):
    """The small recipe with every optional section, and notes that have something for each of them."""
    folder = tmp_path_factory.mktemp("optional")
    notes = [
        {"id": f"note-{n}", "text": TEXT.format(n=n) + BOILERPLATE + f"And note {n} ends here."} for n in range(40)
    ]
    (folder / "notes.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))
    (folder / "words.txt").write_text("# blocked\ngrinds exceedingly\n")
    source = f'[[sources]]\nname = "notes"\npath = "{folder}/notes.jsonl"\ndomain = "forum"\n'
    text = small_text.replace("[[sources]]", source + "[[sources]]", 1)
    text = text.replace("[decide]\n", OPTIONAL.format(words=folder / "words.txt") + "[decide]\n")
    text = text.replace("[decide.domains.web]", f"[decide.rules]\n{BOUNDS}[decide.domains.web]")
    (folder / "recipe.toml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        yield Path(refine_directly(folder / "recipe.toml", until="plan")["run"])


def table(run: Path, stage: str, name: str):
    with reopen_run(run) as context:
        parts = context.run.manifest(stage).parts
        return [pq.read_table(context.store.folder(part) / name) for part in parts]


def test_every_promise_holds(run):
    result = verify_run(run)
    assert [check["name"] for check in result["checks"] if not check["ok"]] == ["finished"]  # it stopped at the plan
    names = " ".join(check["name"] for check in result["checks"])
    for stage in ("line_edits", "pii", "blocklist", "contamination", "reference-speech", "compression", "edits"):
        assert f"conservation {stage} notes" in names


def test_addresses_are_masked_and_lines_are_cut(run):
    kept = table(run, "edits", "kept.parquet")[0]
    notes = [row for row in kept.to_pylist() if row["source"] == "notes"]
    reasons = {span["reason"] for row in notes for span in row["spans"]}
    assert {"mask:EMAIL", "refinedweb:uppercase"} <= reasons
    assert "line" in reasons
    assert sum(any(span["reason"] == "line" for span in row["spans"]) for row in notes) == len(notes) - 1


def union_of_spans(run: Path) -> dict[str, int]:
    """By source: bytes of kept documents that any stage removes, byte by byte in Python."""
    source_of = {row["doc_id"]: row["source"] for row in table(run, "decide", "kept.parquet")[0].to_pylist()}
    cut: dict[str, set[int]] = {}
    for stage in ("line_edits", "lines", "substrings", "pii"):
        for part in table(run, stage, "spans.parquet"):
            for row in part.to_pylist():
                for span in row["spans"]:
                    if row["doc_id"] in source_of and not span["reason"].startswith("mask:"):
                        cut.setdefault(row["doc_id"], set()).update(range(span["start"], span["end"]))
    found = dict.fromkeys(source_of.values(), 0)
    for doc_id, places in cut.items():
        found[source_of[doc_id]] += len(places)
    return found


def test_every_cut_byte_is_accounted_for_once(run):
    """Spans of lines and substrings overlap: what they find apart is more than what is cut."""
    with reopen_run(run) as context:
        manifests = {stage: context.run.manifest(stage) for stage in ("decide", "lines", "substrings", "edits")}
    union = union_of_spans(run)
    edits = manifests["edits"]
    assert {source: account.bytes_dropped for source, account in edits.accounts.items()} == union
    for source, account in edits.accounts.items():
        reasons = edits.parts[0].facts["by_reason"].get(source, {})
        assert sum(one["bytes"] for reason, one in reasons.items() if not reason.startswith("mask:")) == union[source]
        assert account.bytes_in == manifests["decide"].accounts[source].bytes_kept
        for stage in ("lines", "substrings"):
            passed = manifests[stage].accounts[source]
            assert passed.bytes_in == passed.bytes_kept == account.bytes_in
    apart = sum(manifests[stage].parts[0].facts["bytes_removed"] for stage in ("lines", "substrings"))
    reasons = [by_reason for by_source in edits.parts[0].facts["by_reason"].values() for by_reason in by_source.items()]
    assert apart > sum(one["bytes"] for reason, one in reasons if reason in ("line", "substring"))
    names = [check["name"] for check in verify_run(run)["checks"]]
    assert "edits by reason" in names
    assert "edits notes" in names


def test_the_card_shows_the_union(run):
    from gristmill.data_cards.sections.funnel import cuts
    from gristmill.data_cards.sums import unbalanced

    with reopen_run(run) as context:
        card = gather(context.run, context.store.folder)
    assert unbalanced(card) == []
    shown = cuts(card.edits)
    fates = {row[0]: row[1] for row in shown.rows}
    assert fates.items() >= {"line": "cut", "substring": "cut", "mask:EMAIL": "masked", "c4:few_words": "cut"}.items()
    wrong = [replace(one, bytes=one.bytes + (one.source == "notes" and one.reason == "line")) for one in card.edits]
    assert unbalanced(replace(card, edits=tuple(wrong))) == ["notes"]


def test_no_address_reaches_the_tokens(run):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(run / "tokenizer" / "tokenizer.json"))
    texts = [
        tokenizer.decode(tokens, skip_special_tokens=False)
        for part in table(run, "tokens", "tokens.parquet")
        for source, tokens in zip(part["source"].to_pylist(), part["tokens"].to_pylist(), strict=True)
        if source == "notes"
    ]
    assert texts
    assert not any("@example.org" in text for text in texts)
    assert all("EMAIL" in text for text in texts)
    assert not any("SHARE THIS" in text for text in texts)
    assert sum("boilerplate" in text for text in texts) == 1


def test_a_line_tells_why_it_went(run):
    first = explain_document(run, "note-0")
    entry = next(stage for stage in first["stages"] if stage["stage"] == "line_edits")
    assert {"start": 0, "end": 16, "reason": "refinedweb:uppercase", "text": "SHARE THIS NOTE\n"} in entry["cut"]
    assert 0 < entry["refinedweb_cut_word_share"] < 0.2
    assert {"start": 0, "end": 16, "reason": "refinedweb:uppercase"} in first["spans"]


def test_signals_of_line_rules_answer_what_if(run):
    setting = "decide.domains.forum.rules.refinedweb_cut_word_share.at_most=0.01"
    kept = [account["documents_kept"] for account in map(whatif_run(run, [setting]).get, ("before", "after"))]
    assert kept[0] > kept[1]
    assert len(table(run, "line_edits", "line_edits.parquet")) == len(table(run, "signals", "signals.parquet"))


def test_signals_of_every_stage_can_be_bounded(run):
    words = [n for part in table(run, "blocklist", "blocklist.parquet") for n in part["blocked_words"].to_pylist()]
    assert sum(words) >= 40
    scores = [
        s for part in table(run, "classifier-speech", "classifier.parquet") for s in part["score_speech"].to_pylist()
    ]
    assert all(0 <= score <= 1 for score in scores)
    found = [
        share
        for part in table(run, "contamination", "contamination.parquet")
        for share in part["contamination"].to_pylist()
    ]
    assert max(found) == 1


def test_no_document_with_an_evaluation_passage_is_kept(run):
    """The ledger names the items; and a plain scan for 13 words in a row sees none in what is kept."""
    passages = pl.concat(pl.DataFrame(part) for part in table(run, "contamination", "passages.parquet"))
    ledger = pl.DataFrame(table(run, "decide", "ledger.parquet")[0])
    dropped = ledger.filter(pl.col("signal") == "contaminated_passages")
    assert set(dropped["doc_id"]) == set(passages["doc_id"]) != set()
    assert set(dropped["profile"]) == {"decontaminated v1"}
    named = passages.group_by("doc_id").agg(pl.format("sample/{}", pl.col("item").first()).alias("first"))
    joined = dropped.join(named, on="doc_id")
    assert joined.select(pl.col("other").str.starts_with(pl.col("first")).all()).item()
    kept = set(table(run, "edits", "kept.parquet")[0]["doc_id"].to_pylist())
    documents = [row for part in table(run, "documents", "documents.parquet") for row in part.to_pylist()]
    lines = Path("samples/eval/contamination.jsonl").read_text().split("\n")
    wanted = {gram for line in lines if line for gram in thirteen(json.loads(line)["text"])}
    holding = {row["doc_id"] for row in documents if not wanted.isdisjoint(thirteen(row["text"]))}
    assert holding
    assert not holding & kept


def thirteen(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[at : at + 13]) for at in range(len(words) - 12)}


@pytest.mark.parametrize(
    ("asked", "domains", "names"),
    [
        ("", {}, ("length", "decontaminated")),
        ('action = "count"', {}, ("length",)),
        ("", {"profiles": ["fineweb@0.1"]}, ("fineweb@0.1", "decontaminated")),
        ("", {"rules": {"contaminated_passages": {"off": True}}}, ("decontaminated",)),
    ],
)
def test_decontamination_judges_every_domain_unless_it_only_counts(small_text, asked, domains, names):
    given = tomllib.loads(small_text + f'[decontaminate]\nsets = {{ a = ["x"] }}\n{asked}\n')
    given["decide"] = {"profiles": ["length"], "domains": {"forum": domains} if domains else {}}
    recipe = Recipe.model_validate(given)
    assert profiles_of(recipe, "forum") == names
    rules = rules_of(recipe, frozenset({"contaminated_passages"}))["forum"]
    judged = "contaminated_passages" in {rule.signal for rule in rules}
    assert judged is ("decontaminated" in names and "rules" not in domains)


def test_references_and_compression_are_signals_like_any_other(run):
    talk = [
        n for part in table(run, "reference-speech", "scores.parquet") for n in part["cross_entropy_speech"].to_pylist()
    ]
    assert 1 < sorted(talk)[len(talk) // 2] < 6
    ledger = table(run, "decide", "ledger.parquet")[0]
    failed = [row for row in ledger.to_pylist() if row["signal"] == "cross_entropy_speech"]
    assert {row["bound"] for row in failed} == {"<= 9"}
    assert all(row["value"] > 9 for row in failed)
    assert 0 < len(failed) < sum(value > 9 for value in talk)  # the domain web has rules of its own
    by_rule = whatif_run(run, ["cross_entropy_speech.at_most=3", "zstd_ratio_residual.at_least=-9"])
    assert by_rule["after"]["documents_dropped"] > by_rule["before"]["documents_dropped"]


def test_the_card_names_a_reference_by_its_digest(run):
    with reopen_run(run) as context:
        (said,) = gather(context.run, context.store.folder).references
        assert said.sha256 == file_sha256(context.file("reference-model-speech", "reference.parquet"))
    assert said.name == "speech"
    assert said.fitted.cross_entropy.p5 <= said.fitted.cross_entropy.p95


def test_explain_tells_what_every_stage_measured(run):
    doc_id = table(run, "documents", "documents.parquet")[0]["doc_id"][0].as_py()
    told = {stage["stage"]: stage for stage in explain_document(run, doc_id)["stages"]}
    assert told["reference-speech"]["cross_entropy_speech"] > 0
    assert told["compression"]["zstd_ratio"] > 0
    parts = [value for name, value in told["entropy"].items() if name.startswith("entropy_part_")]
    assert told["entropy"]["entropy_score"] == pytest.approx(sum(parts))
    assert told["entropy"]["entropy_language"] != "none"
    assert told["classifier-speech"].keys() >= {"score_speech"}
    json.dumps(told)


def test_a_missing_file_is_named_with_its_key(small_text, tmp_path, monkeypatch):
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path))
    for key, value in (("texts", '["none.jsonl"]'), ("model", '"none.parquet"')):
        section = f'[[references]]\nname = "x"\n{key} = {value}\n[decide]\n'
        (tmp_path / "recipe.toml").write_text(small_text.replace("[decide]\n", section, 1))
        with pytest.raises(RecipeError, match=rf"references\.0\.{key}: no file at none"):
            refine_directly(tmp_path / "recipe.toml", until="references")


def test_a_given_reference_serves_as_well(run, small_text, tmp_path, monkeypatch):
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path))
    with reopen_run(run) as context:
        model = context.file("reference-model-speech", "reference.parquet")
    section = f'[[references]]\nname = "speech"\nmodel = "{model}"\n[decide]\n'
    (tmp_path / "recipe.toml").write_text(small_text.replace("[decide]\n", section, 1))
    other = Path(refine_directly(tmp_path / "recipe.toml", until="references")["run"])
    speeches = [
        [row for part in table(one, "reference-speech", "scores.parquet") for row in part.to_pylist()]
        for one in (run, other)
    ]
    mine = {row["doc_id"]: row for row in speeches[0]}
    assert all(mine[row["doc_id"]] == row for row in speeches[1])


def test_again_nothing_is_computed(run):
    recipe = run.parents[3] / "recipe.toml"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(run.parents[2]))
        stages = refine_directly(recipe, until="plan")["stages"]
    assert all(stage["computed"] == 0 for stage in stages.values())


def test_a_plan_knows_them_before_and_after(run, tmp_path, monkeypatch):
    recipe = run.parents[3] / "recipe.toml"
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path))
    before = plan_run(recipe)["stages"]
    assert before["pii"]["compute"] == before["pii"]["parts"] > 1
    assert before["classifier-speech"]["known"]
    assert not before["lines"]["known"]
    monkeypatch.setenv("GRISTMILL_HOME", str(run.parents[2]))
    after = plan_run(recipe)["stages"]
    assert list(after)[-1] == "card"
    done = {name: stage for name, stage in after.items() if name not in ("pieces", "train", "card")}  # until plan
    assert all(stage["known"] and stage["compute"] == 0 for stage in done.values())


@pytest.mark.parametrize(("setting", "name"), [('profiles = ["c4@edited"]', "c4@edited"), ("", "c4_words_left")])
def test_a_rule_on_lines_that_nobody_measures_names_the_key(small_text, tmp_path, monkeypatch, setting, name):
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path))
    bound = "" if setting else "[decide.rules.c4_words_left]\nat_least = 9\n"
    head, tail = small_text.split("[decide]\n")
    rest = tail[tail.index("\n") + 1 :] if setting else tail
    text = f"{head}[decide]\n{setting}\n{rest}".replace("[decide.domains.web]", f"{bound}[decide.domains.web]")
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(RecipeError, match=rf"{name} judges what line rules leave .*line_edits.rules = \[\"c4\"\]"):
        plan_run(tmp_path / "recipe.toml")
