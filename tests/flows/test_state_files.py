"""Small JSON files that are torn, empty or of another shape: one sentence with the file's name, or healed and reported.

None is ever taken for a file that is not there: documents that were taken down, exports and a shut gate stay known.
"""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gristmill.cli import main
from gristmill.corpus.errors import DamagedFileError, StoreError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.rundir import RunDir
from gristmill.data_cards.parts.environment import environment
from gristmill.data_cards.reading import Reading
from gristmill.flows.diff.run_figures import _card
from gristmill.flows.direct import refine_directly
from gristmill.flows.drift.good_nights import frozen_bins, read_record
from gristmill.flows.export.export_run import _open_folder
from gristmill.flows.gc.collect import collect
from gristmill.flows.gc.kept_runs import Retention
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.nights.firings import read_firings
from gristmill.flows.pipeline.estimate import measured_costs
from gristmill.flows.pipeline.home_contents import tuned_entries
from gristmill.flows.pipeline.open_context import read_run
from gristmill.flows.pipeline.run_report import read_report
from gristmill.flows.pipeline.run_state import named_latest, read_approval, read_state
from gristmill.flows.pipeline.training_lineage import read_lineage
from gristmill.flows.pipeline.training_receipt import DONE, read_done
from gristmill.flows.takedown import removal
from gristmill.flows.takedown.journal import read_stopped
from gristmill.flows.takedown.removal import takedown
from tests.flows.notes_corpus import TRAINER


@dataclass(frozen=True)
class Kind:
    """A file of a run, what stands in it, and what reads it."""

    name: str  # from the run's folder
    whole: Any
    read: Callable[[Path], Any]
    wrong: tuple[Any, ...]  # of another shape, beside those that no kind may have


RUN_TAKEN = {"takedowns": [{"date": "2026-01-01", "removed": ["a"], "left": []}]}
KINDS = (
    Kind(
        "takedown.json",
        RUN_TAKEN,
        lambda run: RunDir(run).takedowns,
        ({}, {"takedowns": {}}, {"takedowns": [{"date": "2026-01-01"}]}, {"takedowns": [{"date": 3, "removed": []}]}),
    ),
    Kind("exports.json", {"exports": [{"folder": "/out"}]}, lambda run: RunDir(run).exports, ({}, {"exports": [{}]})),
    Kind("lock.json", None, lambda run: RunDir(run).lock, ({"format": 2}, {"format": 2, "recipe": 3})),
    Kind("stages.json", None, lambda run: RunDir(run).stages, ({}, {"stages": [{}], "unscanned": {}})),
    Kind("manifests/decide.json", None, lambda run: RunDir(run).manifest("decide"), ({}, {"stage": "a", "parts": [3]})),
    Kind("state.json", None, lambda run: read_state(RunDir(run)), ({}, {"state": 3})),
    Kind(
        "approval.json",
        {"by": "me", "when": "2026-01-01", "note": "seen"},
        lambda run: read_approval(RunDir(run)),
        ({}, {"by": "me", "when": "2026-01-01", "note": None}),
    ),
    Kind("report.json", None, read_report, ({"stages": []}, {"came_from": 3})),
    Kind("environment.json", None, lambda run: environment(Reading(RunDir(run), lambda *_: run)), ({"numpy": 3},)),
    Kind("drift.json", None, read_record, ({}, {"of": 3})),
    Kind("../drift_bins.json", {"web": {"words": [1.0, 2.0]}}, lambda run: frozen_bins(run.parent), ({"web": [1.0]},)),
    Kind("../latest.json", None, lambda run: named_latest(run.parent), ({}, {"run": "", "verified": True})),
    Kind(
        "../../../rates.json",
        None,
        lambda run: measured_costs(run.parents[2]),
        ({"format": 2, "stages": {"signals": 3}},),
    ),
    Kind(
        "train/lineage.json",
        [{"run": "notes/a", "checkpoint": "", "kind": "warm"}],
        read_lineage,
        ([{"run": "notes/a"}], {"run": "notes/a"}),
    ),
    Kind(
        ".takedown/names.json",
        {"names": ["a"]},
        lambda run: read_stopped(RunDir(run / ".takedown")),
        ({}, {"names": [3]}),
    ),
    Kind(
        "train/done.json",
        {"key": "a", "files": [{"name": "b", "bytes": 1, "sha256": "c"}]},
        lambda run: read_done(run / "train"),
        ({}, {"key": 3}, {"key": "a", "files": [{}]}),
    ),
    Kind(
        "tune/entries.json",
        [["proxies", "a"]],
        lambda run: tuned_entries([RunDir(run)]),
        ({}, [["proxies"]], [["proxies", 3]]),
    ),
    Kind("card/card.json", None, lambda run: _card(read_run(run)), ()),
    Kind("out/unfinished.json", {"run": "a"}, lambda run: _open_folder(run / "out", {"run": "a"}), ()),
)
RUBBISH = b"\xff\x00{"
SHAPES = ([1], "x", None)
LOCK = "lock.json"


@pytest.fixture(scope="module")
def nights(write_notes, tmp_path_factory):
    """A recipe with [drift], its home and the run in there; nothing of it is changed."""
    folder = tmp_path_factory.mktemp("state")
    recipe = write_notes(folder, {}, "[card]\n[drift]\nnights = 3\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        run = Path(refine_directly(recipe)["run"])
    return recipe, folder / "home", run.relative_to(folder / "home")


@pytest.fixture
def run(nights, tmp_path, monkeypatch) -> Path:
    """The run in a copy of the home."""
    shutil.copytree(nights[1], tmp_path / "home")
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / nights[2]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_file_that_is_not_what_was_written_is_one_sentence_with_its_name(run, kind):
    path = run / kind.name
    if kind.whole is not None:
        write_json(path, kind.whole)
    text = path.read_text()
    kind.read(run)
    path.write_text(text)  # an export that goes on writes it anew
    damages = [text[: len(text) // 2].encode(), b"", RUBBISH]
    damages += [json.dumps(shape).encode() for shape in (*SHAPES, *kind.wrong)]
    for damage in damages:
        path.write_bytes(damage)
        with pytest.raises(DamagedFileError, match=rf"{path.name} is damaged \(.+\); .+") as caught:
            kind.read(run)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("damage", ["", "[1]"])
def test_what_a_run_finds_damaged_it_writes_anew_and_reports(nights, run, damage):
    """An approval that cannot be read opens no gate: it is deleted, and a person has to look again."""
    home = run.parents[2]
    bins = read_json(run.parent / "drift_bins.json") if (run.parent / "drift_bins.json").exists() else None
    names = ("state.json", "approval.json", "report.json", "stages.json", "drift.json", "../latest.json")
    paths = [run / name for name in names] + [run.parent / "drift_bins.json", home / "rates.json", home / "digests.txt"]
    for path in paths:
        path.write_text(damage)
    result = refine_directly(nights[0])
    assert result["state"] == "complete"
    assert {one["what"] for one in result["healed"]} == {path.name for path in paths}
    assert not (run / "approval.json").exists()
    assert bins is None or read_json(run.parent / "drift_bins.json") == bins


@pytest.mark.parametrize("name", ["takedown.json", "exports.json"])
@pytest.mark.parametrize("damage", ["{", "{}"])
def test_no_command_passes_over_what_was_taken_down_or_exported(nights, run, tmp_path, capsys, name, damage):
    (run / name).write_text(damage)
    before = sorted(run.parents[2].rglob("*"))
    (tmp_path / "ids").write_text("n4\n")
    commands = {
        "takedown.json": (["run", str(nights[0]), "--direct"], ["diff", str(run), str(run)]),
        "exports.json": (["export", str(run), "--to", "jsonl", "--out", str(tmp_path / "out")],),
    }
    for command in (*commands[name], ["takedown", str(run), "--ids", str(tmp_path / "ids")]):
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert ended.value.code == 1
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert "taken down" in said or f"{name} is damaged" in said
    assert verify_run(run)["ok"] is (name == "exports.json")
    left = set(before).difference(run.parents[2].rglob("*"))
    assert not left


def test_a_lock_that_is_not_what_the_run_is_named_by_is_written_anew_and_reported(nights, run):
    path, whole = run / LOCK, (run / LOCK).read_bytes()
    for lose, healed in ((lambda: None, []), (path.unlink, [LOCK]), (lambda: path.write_bytes(whole[:-9]), [LOCK])):
        lose()
        result = refine_directly(nights[0])
        assert [one["what"] for one in result["healed"]] == healed
        assert (result["state"], path.read_bytes()) == ("complete", whole)


def test_a_record_of_takedowns_that_is_gone_is_missed_by_all_that_ask_for_it(nights, run, tmp_path, capsys):
    """Receipts count what was removed: no run brings it back, no second record begins, and gc keeps the run."""
    takedown(run, ["n4"])
    (run / "takedown.json").unlink()
    (run.parent / "latest.json").unlink()  # no other reason to keep the run
    before = sorted(run.parents[2].rglob("*"))
    (tmp_path / "ids").write_text("n6\n")
    for command in (["run", str(nights[0]), "--direct"], ["takedown", str(run), "--ids", str(tmp_path / "ids")]):
        with pytest.raises(SystemExit):
            main(command)
        said = capsys.readouterr().err.strip()
        assert re.search(r"takedown\.json.* is missing", said)
        assert "Traceback" not in said
    failed = [one["detail"] for one in verify_run(run)["checks"] if not one["ok"]]
    assert any("takedown.json is missing" in detail for detail in failed)
    assert "taken down" in collect(Retention(days=0), dry_run=True)["runs_kept"][str(run)]
    assert not set(before).difference(run.parents[2].rglob("*"))


def test_a_takedown_that_was_stopped_lets_no_run_bring_its_documents_back(nights, run, monkeypatch):
    monkeypatch.setattr(removal, "append_record", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        takedown(run, ["n4"])
    monkeypatch.undo()
    monkeypatch.setenv("GRISTMILL_HOME", str(run.parents[2]))
    with pytest.raises(StoreError, match=r"a takedown of .+ was stopped"):
        refine_directly(nights[0])
    assert takedown(run, ["n4"])["left"] == []


def test_a_lost_receipt_of_a_training_is_written_anew_and_reported(write_notes, tmp_path, monkeypatch):
    recipe = write_notes(tmp_path, {}, "")
    recipe.write_text(recipe.read_text() + TRAINER.format(batch_rows=4, extra=""))
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "home"))
    run = Path(refine_directly(recipe)["run"])
    done, weights = run / "train" / DONE, sorted((run / "train").rglob("*.safetensors"))
    key, before = read_json(done)["key"], [path.read_bytes() for path in weights]
    for lose, wrong in ((lambda: done.write_text("{"), "damaged"), (done.unlink, "missing")):
        lose()
        failed = [one["detail"] for one in verify_run(run)["checks"] if not one["ok"]]
        assert len(failed) == 1
        assert f"done.json is {wrong}" in failed[0]
    result = refine_directly(recipe)
    assert [one["what"] for one in result["healed"]] == ["train/done.json"]
    assert (read_json(done)["key"], result["state"]) == (key, "complete")
    assert [path.read_bytes() for path in weights] == before


def test_a_firing_that_cannot_be_read_is_reported_and_none_is_caught_up(run, capsys):
    for damage in ("{", "[1]", '{"since": "yesterday"}', '{"since": 3}'):
        (run.parent / "schedule.json").write_text(damage)
        read_firings("notes")
        assert "schedule.json is damaged" in capsys.readouterr().err
