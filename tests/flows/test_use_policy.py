"""Uses of sources and forbidden licences: what is withheld reaches neither rows nor exports; each break is caught."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from gristmill.corpus.errors import PolicyError, RecipeError
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.use_policy import UsePolicy
from gristmill.filters.decide import evidence, verdicts
from gristmill.flows.direct import refine_directly
from gristmill.flows.export.export_run import export_run
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.pipeline import policy_gate
from gristmill.flows.pipeline.assemble import encode, plan_mixture
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from gristmill.flows.pipeline.stages import stage_named

WORDS = np.array(
    [
        "grain",
        "stone",
        "river",
        "wheel",
        "miller",
        "flour",
        "sack",
        "spring",
        "summer",
        "harvest",
        "water",
        "barley",
        "oats",
        "rye",
        "bread",
    ]
)
QUESTION = "which of the seven {n} millers carried the long wooden ladder past the old round tower in the year {n}"
RECIPE = """
name = "uses"
seed = 3
[[sources]]
name = "web"
path = "{folder}/web.jsonl"
domain = "web"
[[sources]]
name = "quiz"
path = "{folder}/quiz.jsonl"
domain = "quiz"
use = "evaluate"
[[sources]]
name = "secret"
path = "{folder}/secret.jsonl"
domain = "web"
use = "blocked"
retention_budget = 0.1
priority = 5
[handoff]
forbid_licenses = ["CC-BY-NC*"]
[decide.rules.words]
at_least = 6
[tokenizer]
vocab_size = 400
[shards]
row_tokens = 64
heldout = 0.1
"""


def prose(rng: np.random.Generator, n_words: int) -> str:
    return " ".join(rng.choice(WORDS, n_words))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Web notes, a quiz, and secrets; copies of a quiz question and of a secret stand in the web too."""
    folder, rng = tmp_path_factory.mktemp("uses"), np.random.default_rng(5)
    quiz = [f"{QUESTION.format(n=n)} {prose(rng, 30)} zqx" for n in range(12)]
    secret = [f"{prose(rng, 40)} jvk" for _ in range(12)] + ["too short"]
    web = [{"text": prose(rng, 60)} for _ in range(60)]
    web += [{"text": prose(rng, 60), "license": "cc-by-nc-4.0"} for _ in range(7)]
    web += [{"text": quiz[0]}, {"text": secret[0]}, {"text": f"{prose(rng, 80)} {quiz[1]} {prose(rng, 80)}"}]
    for name, rows in (("web", web), ("quiz", [{"text": text} for text in quiz]), ("secret", secret)):
        lines = [
            {"id": f"{name}-{n}", **(row if isinstance(row, dict) else {"text": row})} for n, row in enumerate(rows)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture(scope="module")
def run(folder):
    (folder / "uses.toml").write_text(RECIPE.format(folder=folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        yield Path(refine_directly(folder / "uses.toml", until="pieces")["run"])


def names_in(rows: Path) -> set[str]:
    """Ids of the documents in packed rows, from the Arrow files alone."""
    tables = [pa.ipc.open_stream(path).read_all() for path in rows.rglob("*.arrow")]
    return {one["doc_id"] for table in tables for row in table["documents"].to_pylist() for one in row}


def documents(run: Path) -> pl.DataFrame:
    with reopen_run(run) as context:
        parts = range(len(context.run.manifest("documents").parts))
        return pl.concat([pl.read_parquet(context.file("documents", "documents.parquet", n)) for n in parts])


def test_what_is_withheld_never_reaches_rows_or_exports(run, tmp_path):
    frame = documents(run)
    by = {source: set(frame.filter(pl.col("source") == source)["doc_id"]) for source in ("web", "quiz", "secret")}
    forbidden = set(frame.filter(pl.col("license") == "cc-by-nc-4.0")["doc_id"])
    train, held = names_in(run / "shards"), names_in(run / "heldout")
    assert len(forbidden) == 7
    assert not (train | held) & (by["secret"] | forbidden)
    assert not train & by["quiz"]
    assert held >= by["quiz"]
    # the copy of a secret is the web's own; that of the quiz, and a page with a passage of it, are dropped
    assert len((train | held) & by["web"]) == 60 + 1
    for target in ("jsonl", "memmap"):
        result = export_run(run, target, tmp_path / target)
        assert result["by_source"] == {"quiz": 12, "web": 61}
    assert {row["doc_id"] for row in pl.read_ndjson(tmp_path / "jsonl" / "part-00000.jsonl").to_dicts()} <= train | held
    words = (run / "tokenizer" / "tokenizer.json").read_text()
    assert "zqx" not in words
    assert "jvk" not in words


def test_withheld_documents_are_judged_and_counted(run):
    with reopen_run(run) as context:
        ledger = pl.read_parquet(context.file("decide", "ledger.parquet"))
        accounts = context.run.manifest("decide").accounts
        (report,) = context.run.manifest("contamination").parts[0].facts["benchmarks"].items()
        signals = pl.concat(
            [pl.read_parquet(context.file("contamination", "contamination.parquet", n)) for n in range(3)]
        )
    counts = (
        ledger.filter(pl.col("profile") == "policy").group_by("source", "rule", "bound").len().sort("source").rows()
    )
    assert counts == [("secret", "use", "blocked", 13), ("web", "license", "cc-by-nc-4.0", 7)]
    short = ledger.filter(pl.col("source") == "secret", pl.col("rule") == "words")
    assert len(short) == 1
    assert all(one.balanced for one in accounts.values())
    assert (accounts["secret"].documents_dropped, accounts["quiz"].documents_kept) == (13, 12)
    assert (accounts["web"].documents_merged, accounts["web"].documents_dropped) == (0, 7 + 2)
    assert (report[0], report[1]["passages"]) == ("quiz", 12)  # although the recipe has no [decontaminate]
    found = documents(run).join(signals, on="doc_id").filter(pl.col("contamination") > 0.8)
    assert sorted(found["source"]) == ["web", "web"]


def test_a_keep_of_reviewers_does_not_beat_the_policy():
    table = pa.table({"doc_id": ["a", "b"], "source": ["s", "t"], "domain": ["d", "d"], "license": [None, "NC-1"]})
    for name, kind in (("lang_id", pa.string()), ("bytes", pa.int64()), ("part", pa.int32()), ("row", pa.int64())):
        table = table.append_column(name, pa.nulls(2, kind) if name == "lang_id" else pa.array([0, 1], kind))
    clusters = pa.table({name: pa.array([], pa.string()) for name in ("doc_id", "cluster", "kind")})
    clusters = clusters.append_column("jaccard", pa.array([], pa.float32()))
    for policy, dropped in ((UsePolicy(), []), (UsePolicy(("s",)), [0]), (UsePolicy(forbid_licenses=("nc-?",)), [1])):
        found = evidence.gather(table, table.select(["doc_id"]), clusters, {}, policy)
        codes = evidence.judge(found, {"d": ()}, np.full(2, evidence.KEEP, np.int8)).codes
        assert np.flatnonzero(codes == evidence.DROPPED).tolist() == dropped


def write(recipe: str, *changes: tuple[str, str]) -> str:
    for before, after in changes:
        assert before in recipe
        recipe = recipe.replace(before, after, 1)
    return recipe


CLASSIFIER = '[[classifiers]]\nname = "good"\npositive = ["{file}"]\nnegative = ["{folder}/secret.jsonl"]\n[tokenizer]'
MISTAKES = {
    "use = 'evaluate'": ([('use = "evaluate"', 'use = "test"')], "sources.1.use"),
    "a licence": ([('use = "evaluate"', 'license = "CC-BY-NC-SA"')], "sources.1.license: 'CC-BY-NC*' forbids"),
    "a share": (
        [("[tokenizer]", '[[curriculum]]\nuntil_tokens = "1K"\nshares = { web = 0.5, quiz = 0.5 }\n[tokenizer]')],
        "curriculum.0.shares.quiz: no source of the domain 'quiz' is for training",
    ),
    "a name": (
        [("[tokenizer]", '[decontaminate]\nsets = { quiz = ["{folder}/web.jsonl"] }\n[tokenizer]')],
        "decontaminate.sets.quiz: 'quiz' is an evaluation source",
    ),
    "a reference": (
        [("[tokenizer]", '[[references]]\nname = "r"\ntexts = ["{folder}/quiz.jsonl"]\n[tokenizer]')],
        "references.0.texts: {folder}/quiz.jsonl is a file of the evaluation source 'quiz', which teaches no model",
    ),
    "a classifier": (
        [("[tokenizer]", CLASSIFIER.replace("{file}", "{folder}/quiz.jsonl"))],
        "classifiers.0.positive: ",
    ),
    "no set": (
        [('use = "evaluate"\n', ""), ("[tokenizer]", "[decontaminate]\nsets = {{}}\n[tokenizer]")],
        "decontaminate.sets: no evaluation set is named",
    ),
    "nothing left": ([('domain = "web"', 'domain = "web"\nuse = "blocked"')], "no source is for training"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_recipe_that_breaks_a_use_is_refused_when_it_is_read(folder, name):
    changes, found = MISTAKES[name]
    text = write(RECIPE, *changes).replace("{folder}", str(folder)).replace("{{", "{").replace("}}", "}")
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text)
    assert found.replace("{folder}", str(folder)) in str(caught.value)


def test_a_copy_of_an_evaluation_file_teaches_no_model_either(folder, tmp_path, home):
    shutil.copy(folder / "quiz.jsonl", tmp_path / "innocent.jsonl")
    text = write(RECIPE, ("[tokenizer]", CLASSIFIER.replace("{file}", f"{tmp_path}/innocent.jsonl")))
    (tmp_path / "r.toml").write_text(text.replace("{folder}", str(folder)))
    with pytest.raises(RecipeError, match=r"classifiers.good.positive: .*innocent.jsonl is a file of the evaluation"):
        refine_directly(tmp_path / "r.toml")
    assert not (home / "runs").exists()


BREAKS = {
    "13 documents of the blocked source 'secret'": lambda one: one.rule == "use",
    "7 documents under the forbidden licence 'cc-by-nc-4.0'": lambda one: one.rule == "license",
}


@pytest.mark.parametrize("told", BREAKS)
def test_decide_that_lets_a_withheld_document_pass_is_stopped_before_shards(folder, home, monkeypatch, told):
    whole = evidence.withheld
    monkeypatch.setattr(evidence, "withheld", lambda *of: [one for one in whole(*of) if not BREAKS[told](one)])
    monkeypatch.setattr("gristmill.filters.decide.evidence.Rule.fails", lambda rule, values: values < 0)
    with pytest.raises(PolicyError, match=told):
        refine_directly(folder / "uses.toml")
    (run,) = (home / "runs" / "uses").iterdir()
    assert not any(RunDir(run).has(stage) for stage in ("tokenizer", "tokens", "shards"))


def test_decide_that_trains_on_an_evaluation_source_is_stopped_before_shards(folder, home, monkeypatch):
    whole = verdicts._kept
    monkeypatch.setattr(verdicts, "_kept", lambda *of: whole(*of[:-1], ()))
    with pytest.raises(PolicyError, match=r"\d+ documents of the evaluation source 'quiz' are not held out"):
        refine_directly(folder / "uses.toml")


def broken_kept(context):
    """Kept rows in which a blocked document came to stand."""
    return [
        part.set_column(1, "source", pa.array(["secret"] * part.num_rows, pa.string()))
        for part in policy_gate.WHOLE(context)
    ]


def use_check(run: Path) -> dict:
    (found,) = (one for one in verify_run(run)["checks"] if one["name"] == "use")
    return found


def test_every_door_refuses_what_came_to_be_kept_or_packed(run, tmp_path, monkeypatch):
    monkeypatch.setattr(policy_gate, "WHOLE", policy_gate.kept_by_part, raising=False)
    with reopen_run(run) as context, monkeypatch.context() as patch:
        patch.setattr(policy_gate, "kept_by_part", broken_kept)
        for step, name in ((encode, "tokens"), (plan_mixture, "plan")):
            with pytest.raises(PolicyError, match="of the blocked source 'secret' are kept"):
                step(context, stage_named(context.stages, name))
    for target in ("jsonl", "mds"):
        monkeypatch.setattr(policy_gate, "kept_by_part", broken_kept)
        with pytest.raises(PolicyError, match="are kept"):
            export_run(run, target, tmp_path / "out")
    monkeypatch.setattr(policy_gate, "kept_by_part", policy_gate.WHOLE)
    copy = tmp_path / "runs" / "uses" / run.name
    shutil.copytree(run, copy)
    path = copy / "manifests" / "shards.json"
    path.write_text(path.read_text().replace('"web"', '"quiz"'))
    assert use_check(run)["ok"]
    assert "the rows of shards hold" in use_check(copy)["detail"]
    with pytest.raises(PolicyError, match=r"the rows of shards hold 5\d documents of the source 'quiz'"):
        export_run(copy, "memmap", tmp_path / "out")
    assert not (tmp_path / "out").exists()
