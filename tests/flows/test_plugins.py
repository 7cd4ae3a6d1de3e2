"""Plug-ins: signals, spans and sections from a file or an installed package; questions and rebuild without them."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from gristmill.corpus.errors import RecipeError, StageError
from gristmill.corpus.files import read_json
from gristmill.corpus.schema import signal_of
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.catalogue_rows import Known
from gristmill.flows.inspect.data_card import check_run_card, write_run_card
from gristmill.flows.inspect.explain import explain_document
from gristmill.flows.inspect.rank import rank_run
from gristmill.flows.inspect.sweep import sweep_run
from gristmill.flows.inspect.trace import trace_step
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.inspect.whatif import whatif_run
from gristmill.flows.pipeline.dry_run import plan_run
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.pipeline.rebuild import rebuild_from_card
from gristmill.flows.review.decision_queue import ReviewQueue
from gristmill.flows.takedown.removal import takedown
from gristmill.handoff.reader import ShardReader

SHOUTS = """
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.stage import Measured, PartStage, Signal

SHOUTS = PartStage(
    name="shouts", version="1", measure=":measure", table="shouts.parquet",
    signals=(Signal("exclamations", "marks", 0, 12345678, "exclamation marks"),),
)


def measure(batch, options, state):
    return Measured({"exclamations": pc.count_substring(batch["text"], "!").cast(pa.float64())})
"""
LISTED = """
from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from gristmill.corpus.recipe_values import Section
from gristmill.corpus.span_tables import spans_column
from gristmill.corpus.stage import Measured, PartStage, Signal


class Listed(Section):
    words: str
    weight: float = 1.0


@dataclass(frozen=True)
class ListedFacts:
    found: int


def files(listed):
    return {"words": [listed.words]}


LISTED = PartStage(
    name="listed", version="2", title="words of a list", section=Listed, artefacts=files, facts=ListedFacts,
    measure=":count", prepare=":read", table="listed.parquet",
    signals=(Signal("listed_words", "words", 0, None, "words of the list, weighted"),),
)
CUTS = PartStage(name="cuts", version="1", title="adverts", measure=":cut", spans=True)


def read(listed, artefacts):
    (path,) = artefacts["words"]
    return path.read_text().split()


def count(batch, listed, words):
    found = [sum(text.count(word) for word in words) for text in batch["text"].to_pylist()]
    return Measured({"listed_words": pa.array([listed.weight * n for n in found])}, facts=ListedFacts(sum(found)))


def cut(batch, options, state):
    found = []
    for place, text in enumerate(batch["text"].to_pylist()):
        for match in re.finditer(rb"\\[advert \\d+\\]|agent (\\S+)", text.encode()):
            found.append((place, match.start(), match.end(), int(match[1] is not None)))
    return Measured(spans=spans_column(batch.num_rows, np.array(found).reshape(-1, 4), ["cut:advert", "mask:agent"]))
"""
RULES = """
[listed]
words = "{folder}/words.txt"
[decide.rules]
exclamations.at_most = 3
[decide.profiles.mine.rules.too_many]
signal = "listed_words"
at_most = 2
"""


@pytest.fixture(scope="module")
def milled(tmp_path_factory, write_notes):
    """Notes milled with two plug-in files: a signal, a section with a file, and spans."""
    folder = tmp_path_factory.mktemp("plugins")
    files = {"my_signals.py": SHOUTS, "more/listed.py": LISTED, "words.txt": "7 grinds"}
    recipe = write_notes(folder, files, RULES.format(folder=folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        yield Path(refine_directly(recipe)["run"])


@pytest.fixture
def copied(milled, tmp_path, monkeypatch):
    """A copy of the milled notes that a test may change; their plug-ins are where they were."""
    folder = tmp_path / "copy"
    shutil.copytree(milled.parents[3], folder)
    monkeypatch.setenv("GRISTMILL_HOME", str(folder / "home"))
    return folder / milled.relative_to(milled.parents[3])


def table(run: Path, stage: str, name: str) -> pa.Table:
    with reopen_run(run) as context:
        parts = context.run.manifest(stage).parts
        return pa.concat_tables([pq.read_table(context.store.folder(part) / name) for part in parts])


def test_a_signal_from_a_file_drops_documents(milled):
    ledger = table(milled, "decide", "ledger.parquet")
    dropped = [row for row in ledger.to_pylist() if row["verdict"] == "dropped"]
    by_signal = {row["signal"] for row in dropped}
    assert by_signal == {"exclamations", "listed_words"}
    assert sum(row["signal"] == "exclamations" for row in dropped) == 12  # four of five marks
    assert {row["profile"] for row in dropped if row["signal"] == "listed_words"} == {"mine v1"}
    assert all(row["value"] > 3 for row in dropped if row["signal"] == "exclamations")


def test_the_table_says_unit_and_range_to_the_last_digit(milled):
    field = table(milled, "shouts", "shouts.parquet").schema.field("exclamations")
    said = signal_of(field)
    assert (said.unit, said.low, said.high, said.text) == ("marks", 0, 12345678, "exclamation marks")


def test_stages_from_outside_run_before_the_shipped_ones_so_that_their_faults_are_told_first(milled):
    names = [stage["name"] for stage in read_json(milled / "stages.json")["stages"]]
    assert names.index("documents") < max(map(names.index, ("shouts", "listed"))) < names.index("signals")


def test_spans_reach_the_kept_text(milled):
    edits = table(milled, "edits", "kept.parquet").to_pylist()
    assert edits
    assert all([span["reason"] for span in row["spans"]] == ["cut:advert", "mask:agent"] for row in edits)
    with reopen_run(milled) as context:
        vocabulary = Tokenizer.from_file(str(context.file("tokenizer", "tokenizer.json")))
    reader = ShardReader(milled / "shards" / "notes")
    text = " ".join(vocabulary.decode(row) for row in reader.tokens(np.arange(reader.rows)).tolist())
    assert "advert" not in text
    assert "<AGENT>" in text


def test_facts_of_a_plug_in_stand_in_its_receipt(milled):
    with reopen_run(milled) as context:
        parts = context.run.manifest("listed").parts
    assert sum(part.facts["found"] for part in parts) > 60


def test_the_lock_names_the_plug_ins_and_the_run_keeps_them(milled):
    lock = read_json(milled / "lock.json")
    assert set(lock["plugins"]) == {"my_signals", "listed"}
    assert lock["artefacts"]["listed"].keys() == {"words"}
    assert lock["stages"]["listed"] == "2"
    assert str(milled.parents[3]) not in json.dumps(lock["plugins"])
    assert (milled / "plugins" / "my_signals.py").read_text() == SHOUTS
    assert (milled / "plugins" / "listed.py").read_text() == LISTED


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [("words.txt", "grinds", "grindx"), ("my_signals.py", '"!"', '"?"'), ("more/listed.py", "adverts", "advertz")],
)
def test_one_byte_is_another_run(copied, name, old, new, write_notes):
    folder = copied.parents[3]
    text = (folder / name).read_text()
    assert old in text
    words = {"my_signals.py": SHOUTS, "more/listed.py": LISTED, "words.txt": "7 grinds"}
    recipe = write_notes(folder, words, RULES.format(folder=folder))
    before = plan_run(recipe)["run"]
    write_notes(folder, words | {name: text.replace(old, new, 1)}, RULES.format(folder=folder))
    assert plan_run(recipe)["run"] != before


def gone(run: Path, monkeypatch) -> None:
    """Delete every plug-in file, and make loading one an error."""
    for path in [*run.parents[3].rglob("my_signals.py"), *run.parents[3].rglob("listed.py")]:
        path.unlink()

    def refuse(*_: object) -> None:
        raise AssertionError("a question loads a plug-in")

    monkeypatch.setattr("gristmill.corpus.plugins.module_of", refuse)
    monkeypatch.setattr("gristmill.flows.pipeline.plugged_in.module_of", refuse)
    monkeypatch.setattr("gristmill.flows.pipeline.plugged_in.plugged_in", refuse)
    monkeypatch.setattr("gristmill.flows.pipeline.open_context.plugged_in", refuse)


def test_questions_answer_when_the_plug_ins_are_gone(copied, monkeypatch, tmp_path):
    ledger = table(copied, "decide", "ledger.parquet").to_pylist()
    gone(copied, monkeypatch)
    assert not list(copied.rglob("*.py"))
    card = copied / "card"
    life = explain_document(copied, "n4")
    stages = {stage["stage"]: stage for stage in life["stages"]}
    assert stages["shouts"]["exclamations"] == 4
    assert stages["listed"]["listed_words"] > 0
    assert [span["reason"] for span in stages["cuts"]["cut"]] == ["cut:advert", "mask:agent"]
    assert [verdict["rule"] for verdict in life["verdicts"]] == ["exclamations"]

    kept = sum(row["verdict"] == "kept" for row in ledger)
    answer = whatif_run(copied, ["exclamations.at_most=1"])
    assert answer["before"]["documents_kept"] == kept
    assert answer["flipped"]["counts"]["to_dropped"] > 0
    assert whatif_run(copied, ["too_many.off=true"])["flipped"]["counts"]["to_kept"] == sum(
        row["rule"] == "too_many" for row in ledger
    )
    answer = whatif_run(copied, ["decide.profiles=mine,length"])
    assert answer["rules"]["notes"]["came"]
    assert not answer["rules"]["notes"]["went"]
    assert whatif_run(copied, ["decide.profiles=length"])["rules"]["notes"]["went"] == ["too_many <= 2 (mine v1)"]
    assert whatif_run(copied, diff=("mine", "length"))["before"]["documents_kept"] >= kept
    curves = sweep_run(copied, "exclamations.at_most", 0, 4, 5, plot=tmp_path / "curve.svg")
    assert curves["kept_documents"] == sorted(curves["kept_documents"])
    assert curves["kept_documents"][0] < curves["kept_documents"][-1]
    ranked = {row["signal"]: row for row in rank_run(copied, ["even"], ["odd"])["ranking"]}
    assert {"exclamations", "listed_words"} <= set(ranked)
    assert trace_step(copied, 1)["rows"]
    with reopen_run(copied) as context:
        desk = ReviewQueue(context, tmp_path / "decisions.jsonl", 0.5)
        assert desk.units["exclamations"] == "marks"
        assert "exclamations" in desk.document(desk.queue["doc_id"][0])["signals"]
    assert check_run_card(copied)["problems"] != []  # its plug-ins were deleted from it
    shutil.rmtree(card)
    failed = {check["name"] for check in verify_run(copied)["checks"] if not check["ok"]}
    assert failed == {"plug-in my_signals", "plug-in listed", "card", "receipts card"}  # all that was deleted


def test_a_whole_run_with_plug_ins_verifies_and_its_card_is_good(copied):
    assert [check for check in verify_run(copied)["checks"] if not check["ok"]] == []
    assert check_run_card(copied)["problems"] == []
    before = (copied / "card" / "card.json").read_bytes()
    assert write_run_card(copied)["problems"] == []
    assert (copied / "card" / "card.json").read_bytes() == before
    assert (copied / "card" / "plugins" / "my_signals.py").read_text() == SHOUTS


def test_a_card_that_lost_its_plug_in_or_has_another_is_told(copied):
    kept = copied / "card" / "plugins" / "my_signals.py"
    kept.unlink()
    assert any("plugins/my_signals.py" in problem for problem in check_run_card(copied)["problems"])
    kept.write_text(SHOUTS.replace("!", "?"))
    assert any("plugins/my_signals.py" in problem for problem in check_run_card(copied)["problems"])


def test_rebuild_from_a_card_that_lies_elsewhere(copied, tmp_path, monkeypatch):
    card = tmp_path / "sent"
    shutil.copytree(copied / "card", card)
    folder = Path(read_json(copied / "lock.json")["inputs"]["odd"][0]["path"]).parent
    moved = [folder / "my_signals.py", folder / "more" / "listed.py"]
    texts = [path.read_text() for path in moved]
    try:
        for path in moved:
            path.unlink()
        monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "fresh"))
        result = rebuild_from_card(card, check=True)
        assert result["identical"], result["first_difference"]
        assert Path(result["run"]).name == copied.name
    finally:
        for path, text in zip(moved, texts, strict=True):
            path.write_text(text)


def test_rebuild_runs_no_byte_of_another_plug_in(copied, tmp_path, monkeypatch):
    card = tmp_path / "sent"
    shutil.copytree(copied / "card", card)
    mark = tmp_path / "ran"
    kept = card / "plugins" / "my_signals.py"
    kept.write_text(f"open({str(mark)!r}, 'w')\n" + SHOUTS)
    with pytest.raises(RecipeError, match=r"1 mistake\n.*my_signals\.py is not the plug-in that the run was made with"):
        rebuild_from_card(card, check=False)
    assert not mark.exists()
    kept.unlink()
    with pytest.raises(RecipeError, match=r"my_signals\.py is gone"):
        rebuild_from_card(card, check=False)


def test_takedown_measures_again_with_the_kept_plug_in(copied, monkeypatch):
    with reopen_run(copied) as context:
        before = {part.key for part in context.run.manifest("shouts").parts}
    life = explain_document(copied, "n2")
    result = takedown(copied, [life["doc_id"]], date="2026-01-31")
    assert result["removed"] == [life["doc_id"]]
    assert result["left"] == []
    with reopen_run(copied) as context:
        assert before & {part.key for part in context.run.manifest("shouts").parts} != before
        assert context.run.manifest("shouts").rows == 59 if hasattr(context.run.manifest("shouts"), "rows") else True
    assert life["doc_id"] not in table(copied, "shouts", "shouts.parquet")["doc_id"].to_pylist()
    assert [check for check in verify_run(copied)["checks"] if not check["ok"]] == []


def test_takedown_needs_the_kept_plug_in(copied):
    (copied / "plugins" / "my_signals.py").write_text(SHOUTS + "\n")
    with pytest.raises(OSError, match=r"plugins/my_signals\.py is not the plug-in that the run was made with"):
        takedown(copied, ["n2"])
    (copied / "plugins" / "my_signals.py").unlink()
    with pytest.raises(OSError, match=r"plugins/my_signals\.py is gone"):
        takedown(copied, ["n2"])


def test_a_plug_in_leaves_the_keys_of_other_stages_alone(home, tmp_path, write_notes):
    plain = refine_directly(write_notes(tmp_path, {}), until="decide")
    assert all(stage["reused"] == 0 for stage in plain["stages"].values())
    plugged = refine_directly(write_notes(tmp_path, {"my_signals.py": SHOUTS}), until="decide")
    assert plugged["run"] != plain["run"]
    computed = {name for name, stage in plugged["stages"].items() if stage["computed"]}
    assert computed == {"shouts", "decide"}
    planned = plan_run(write_notes(tmp_path, {"my_signals.py": SHOUTS.replace('"1"', '"2"')}))["stages"]
    assert {name for name in ("documents", "signals", "signatures", "shouts") if planned[name]["compute"]} == {"shouts"}


def test_versions_of_libraries_that_a_plug_in_names_decide(home, tmp_path, write_notes):
    version = 'table="shouts.parquet", libraries=":versions",'
    code = SHOUTS.replace('table="shouts.parquet",', version) + "\n\ndef versions():\n    return {'wheel': {WHEEL}}\n"
    code = (
        code.replace("{WHEEL}", "WHERE.read_text()")
        + f"\n\nimport pathlib\n\nWHERE = pathlib.Path({str(tmp_path / 'version')!r})\n"
    )
    (tmp_path / "version").write_text("1.0")
    recipe = write_notes(tmp_path, {"my_signals.py": code})
    first = refine_directly(recipe, until="shouts")
    assert read_json(Path(first["run"]) / "lock.json")["libraries"]["shouts"] == {"wheel": "1.0"}
    (tmp_path / "version").write_text("1.1")
    second = refine_directly(recipe, until="shouts")
    assert second["run"] != first["run"]
    assert {name for name, stage in second["stages"].items() if stage["computed"]} == {"shouts"}


def test_a_stage_with_a_section_runs_only_where_the_recipe_has_it(home, tmp_path, write_notes):
    files = {"listed.py": LISTED.replace("CUTS = ", "_CUTS = "), "words.txt": "wheel"}
    result = refine_directly(write_notes(tmp_path, files), until="decide")
    assert "listed" not in result["stages"]
    result = refine_directly(write_notes(tmp_path, files, f'[listed]\nwords = "{tmp_path}/words.txt"'), until="decide")
    assert result["stages"]["listed"]["computed"] == 2


def test_sections_of_plug_ins_are_checked_with_all_others(home, tmp_path, write_notes):
    extra = (
        '[listed]\nwrods = "x"\nweight = "heavy"\n[decide.rules]\nlistedwords.at_most = 1\nexclamations.at_most = "x"'
    )
    recipe = write_notes(tmp_path, {"my_signals.py": SHOUTS, "listed.py": LISTED}, extra)
    with pytest.raises(RecipeError) as told:
        refine_directly(recipe)
    text = str(told.value)
    for part in (
        "5 mistakes",
        "listed.wrods: unknown key; did you mean 'words'?",
        "listed.words: this key is required",
        "listed.weight: Input should be a valid number",
        "unknown rule or signal 'listedwords'; did you mean 'listed_words'?",
        "decide.rules.exclamations.at_most",
    ):
        assert part in text, text
    recipe = write_notes(tmp_path, {"listed.py": LISTED}, '[listed]\nwords = "nowhere.txt"')
    with pytest.raises(RecipeError, match=r"listed\.words: no file at nowhere\.txt \(line"):
        refine_directly(recipe)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package on the path, and a folder of its metadata."""
    name = f"gristmill_test_{tmp_path.name.replace('-', '_')}"
    site = tmp_path / "site"
    (site / name).mkdir(parents=True)
    (site / name / "__init__.py").write_text("")
    (site / name / "signals.py").write_text(LISTED)
    (site / name / "other.py").write_text("ANYTHING = 1\n")
    monkeypatch.syspath_prepend(str(site))
    yield site, name
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        del sys.modules[module]
    from gristmill.corpus.plugins import package_digest

    package_digest.cache_clear()


def forget(name: str) -> None:
    """As a new process would see the package."""
    import importlib

    from gristmill.corpus.plugins import package_digest

    package_digest.cache_clear()
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        del sys.modules[module]
    importlib.invalidate_caches()


def test_an_installed_package(home, tmp_path, package, write_notes):
    site, name = package
    section = f'[listed]\nwords = "{tmp_path}/words.txt"'
    recipe = write_notes(tmp_path, {"words.txt": "wheel"}, section, [f"{name}.signals"])
    result = refine_directly(recipe)
    run = Path(result["run"])
    assert result["stages"]["listed"]["computed"] == 2
    assert not (run / "plugins").exists()
    assert set(read_json(run / "lock.json")["plugins"]) == {f"{name}.signals"}
    assert check_run_card(run)["problems"] == []
    forget(name)
    (site / name / "other.py").write_text("ANYTHING = 2\n")
    assert plan_run(recipe)["run"] != str(run)
    with pytest.raises(RecipeError, match=rf"plug-in '{name}\.signals' here is not the one that"):
        rebuild_from_card(run / "card", check=True)
    with pytest.raises(StageError, match="install the same version"):
        takedown(run, ["n2"])
    (site / name / "other.py").write_text("ANYTHING = 1\n")
    forget(name)
    assert rebuild_from_card(run / "card", check=True)["identical"]


def announce(site: Path, name: str, points: str) -> None:
    info = site / f"{name}-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    (info / "RECORD").write_text(f"{name}/__init__.py,,\n{name}/signals.py,,\n")
    (info / "entry_points.txt").write_text(f"[gristmill.stages]\n{points}\n")


def test_an_announced_package_takes_part_where_its_section_stands(home, tmp_path, package, write_notes):
    site, name = package
    announce(site, name, f"listed = {name}.signals:LISTED\nagain = {name}.signals")
    without = refine_directly(write_notes(tmp_path, {"words.txt": "wheel"}), until="decide")
    assert not {"listed", "cuts"} & set(without["stages"])
    assert read_json(Path(without["run"]) / "lock.json")["plugins"] == {}
    section = f'[listed]\nwords = "{tmp_path}/words.txt"'
    assert {row.name: row.origin for row in Known.of(None).signals()}["listed_words"] == f"{name}.signals"
    result = refine_directly(write_notes(tmp_path, {"words.txt": "wheel"}, section), until="edits")
    assert {"listed", "cuts"} <= set(result["stages"])
    (plugin,) = read_json(Path(result["run"]) / "lock.json")["plugins"].items()
    assert plugin[0] == f"{name}.signals"
    assert plugin[1]["version"] == "1.5"
    named = refine_directly(write_notes(tmp_path, {"words.txt": "wheel"}, section, [f"{name}.signals"]), until="edits")
    assert named["run"] == result["run"]  # named and announced is once


def test_an_announced_package_that_is_broken_is_told_where_it_is_used(home, tmp_path, package, write_notes):
    site, name = package
    (site / name / "signals.py").write_text("import nothing_of_this_name\n")
    announce(site, name, f"listed = {name}.signals:LISTED")
    refine_directly(write_notes(tmp_path, {}), until="decide")
    recipe = write_notes(tmp_path, {}, '[listed]\nwords = "x"')
    with pytest.raises(RecipeError, match=rf"1 mistake\n  listed: .*cannot be loaded: plug-in '{name}\.signals'"):
        refine_directly(recipe)
