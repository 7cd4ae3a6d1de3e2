"""What is damaged is named, deleted and made again, under every name that it has; a changed input is stored nowhere."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from gristmill.corpus.errors import ChangedInputError, StoreError
from gristmill.corpus.rundir import RunDir
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.pipeline import ingest
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.pipeline.run_state import latest_id, read_state, write_state
from tests.flows.notes_corpus import MEASURED


def contents(home: Path) -> dict[str, str]:
    files = [path for path in sorted(home.rglob("*")) if path.is_file() and path.name not in MEASURED]
    files = [path for path in files if path.name != "state.json" or not (path.parent / "lock.json").exists()]
    return {str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def flip(path: Path, at: float = 0.5) -> Path:
    """Change one bit in place, under all names of the file."""
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 4
    with path.open("r+b") as file:
        file.write(data)
    return path


DAMAGED = {  # file of the milled_home: what the summary names
    "store/documents/*/documents.parquet": "documents",
    "store/signals/*/signals.parquet": "signals",
    "store/decide/*/kept.parquet": "decide",
    "store/tokens/*/receipt.json": "tokens",
    "store/clusters/*/clusters.parquet": "clusters",
    "runs/*/*/shards/notes/data-*": "shards",
    "runs/*/*/tokenizer/tokenizer.json": "tokenizer",
    "runs/*/*/plan/plan.json": "plan",
    "runs/*/*/manifests/decide.json": "manifests",
}


def test_damage_everywhere_is_healed_and_reported_under_every_name(milled, milled_home):
    """All at once; the files that a second run shares with the first through hard links are healed in both."""
    recipe, whole, run = milled
    for pattern in DAMAGED:
        flip(next(milled_home.glob(pattern)))
    other = milled_home / "runs" / "notes" / "other"
    subprocess.run(["cp", "-al", str(milled_home / run), str(other)], check=True)
    result = refine_directly(recipe)
    assert result["verified"]
    assert {one["what"].split("/")[0] for one in result["healed"]} == set(DAMAGED.values())
    now, before = contents(milled_home), contents(whole)
    assert {name: sha for name, sha in now.items() if "/other/" not in name} == before
    names = [path for name in ("shards", "tokenizer", "plan") for path in (other / name).rglob("*") if path.is_file()]
    shared = [str(path.relative_to(other)) for path in names]
    assert len(shared) > 5
    assert not [name for name in shared if now[f"runs/notes/other/{name}"] != before[f"{run}/{name}"]]


def test_a_copy_in_the_run_alone_is_handed_over_again(milled, milled_home):
    recipe, whole, run = milled
    for name in ("heldout/notes/index.json", "plan/pieces/notes.arrow"):
        path = milled_home / run / name
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
        flip(path)
    result = refine_directly(recipe)
    assert result["verified"]
    assert {one["what"] for one in result["healed"]} == {"heldout/notes", "plan/pieces"}
    assert contents(milled_home) == contents(whole)


def test_what_no_stage_read_is_found_by_the_last_check(milled, milled_home):
    recipe, whole, _ = milled
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gristmill.corpus.store.LocalStore.scrub", lambda *_: [])
        flip(next(milled_home.glob("store/documents/*/rejects.parquet")))
        result = refine_directly(recipe)
    assert result["verified"]
    assert [one["what"].split("/")[0] for one in result["healed"]] == ["documents"]
    assert contents(milled_home) == contents(whole)


NOTES = {  # file: what stands in it, and what a bit makes of it; it is JSON all the same
    "state.json": ('"complete"', '"bomplete"'),
    "stages.json": ("by_part", "by_qart"),
    "../latest.json": ('"run"', '"rtn"'),
}


@pytest.mark.parametrize("torn", [True, False])
def test_small_files_that_are_damaged_are_written_anew_and_reported(milled, milled_home, torn):
    recipe, whole, run = milled
    damaged = {name: milled_home / run / name for name in ("report.json", *NOTES) if torn or name in NOTES}
    for name, path in damaged.items():
        path.write_text("{" if torn else path.read_text().replace(*NOTES[name]))
    assert latest_id((milled_home / run).parent) is None  # the state is damaged as well
    with pytest.raises(StoreError, match=r"stages\.json is damaged .* run the recipe again"):
        _ = RunDir(milled_home / run).stages
    result = refine_directly(recipe)
    assert result["verified"]
    assert {one["what"] for one in result["healed"]} == {path.name for path in damaged.values()}
    assert contents(milled_home) == contents(whole)
    assert latest_id((milled_home / run).parent) == run.name
    assert read_state(RunDir(milled_home / run)).state == "complete"


def test_a_torn_latest_is_the_run_that_was_complete_last_and_no_part_of_one(milled, milled_home):
    run = milled[2]
    runs = (milled_home / run).parent
    subprocess.run(["cp", "-a", str(runs / run.name), str(runs / ("f" * 16))], check=True)
    write_state(RunDir(runs / ("f" * 16)), "complete", "a part of its stages")
    (runs / "latest.json").write_text("")
    assert latest_id(runs) == run.name


def test_an_entry_that_is_damaged_again_and_again_ends_the_run(milled, milled_home, monkeypatch):
    recipe, *_ = milled
    monkeypatch.setattr("gristmill.corpus.entry_check.EntryWatch.believe", lambda *_: None)
    monkeypatch.setattr("gristmill.corpus.entry_check.file_sha256", lambda _: "another digest")
    with pytest.raises(StoreError, match=r"was made anew and is damaged again .*: the disk fails"):
        refine_directly(recipe)
    assert (milled_home / "runs").exists()


def test_a_changed_input_stops_the_run_when_the_other_parts_are_done(milled, milled_home, tmp_path, monkeypatch):
    recipe, _, run = milled
    text = (recipe.parent / "odd.jsonl").read_text()
    (tmp_path / "notes").mkdir()
    for name in ("even.jsonl", "odd.jsonl"):
        (tmp_path / "notes" / name).write_text((recipe.parent / name).read_text())
    own = tmp_path / "notes" / "notes.toml"
    own.write_text(recipe.read_text().replace(str(recipe.parent), str(tmp_path / "notes")))
    real = ingest.plan_ingest

    def plan(*arguments):
        jobs = list(real(*arguments))
        (tmp_path / "notes" / "even.jsonl").write_text(text)
        return iter(jobs)

    monkeypatch.setattr(ingest, "plan_ingest", plan)
    before = set(milled_home.glob("store/documents/*"))
    with pytest.raises(ChangedInputError, match=r"even\.jsonl changed after it was listed\. Nothing of it was stored"):
        refine_directly(own)
    (made,) = set(milled_home.glob("store/documents/*")) - before
    assert "odd" in json.loads((made / "receipt.json").read_text())["accounts"]
    monkeypatch.setattr(ingest, "plan_ingest", real)
    result = refine_directly(own)
    assert result["stages"]["documents"]["reused"] == 1
    assert Path(result["run"]).name != run.name


def test_an_edit_outside_the_lock_changes_the_run_with_its_card(milled, milled_home, tmp_path):
    recipe, _, run = milled
    edited = tmp_path / "notes.toml"
    edited.write_text(recipe.read_text() + "[engine]\nworkers = 1\n")
    refine_directly(edited, until="decide")
    assert verify_run(milled_home / run)["ok"]
    assert "workers" not in (milled_home / run / "recipe.toml").read_text()
    assert refine_directly(edited)["verified"]
    assert "workers" in (milled_home / run / "recipe.toml").read_text()
    assert "workers" in (milled_home / run / "card" / "README.md").read_text()


def test_an_unfinished_run_says_so_and_fails(milled, tmp_path, monkeypatch):
    recipe, *_ = milled
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path))
    run = Path(refine_directly(recipe, until="decide")["run"])
    found = verify_run(run)
    (problem,) = [check for check in found["checks"] if not check["ok"]]
    assert problem["detail"].startswith("unfinished: tokenizer, tokens, shards, heldout, plan, pieces, card not done")
    with reopen_run(run) as context:
        assert context.healing is None
