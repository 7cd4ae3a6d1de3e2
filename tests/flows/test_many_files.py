"""A source of very many files: lock and card hold sums and the digest of a list that lies beside them."""

import subprocess
from functools import partial
from pathlib import Path

import pytest

from gristmill.corpus import lock as locks
from gristmill.corpus.errors import StoreError
from gristmill.corpus.files import read_json
from gristmill.corpus.lock import Lock
from gristmill.corpus.rundir import RunDir
from gristmill.data_cards.check import check_card
from gristmill.flows.diff.diff_runs import diff_runs
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.pipeline.rebuild import rebuild_from_card

N = 7
NAMES = [f"even-{n}{chr(0x2028) * (n == 5)}.jsonl" for n in range(N)]  # it ends no line of the list


@pytest.fixture(scope="module")
def first_run(write_notes, tmp_path_factory):
    """The notes, one source in seven files, where two are many: their folder, the home in it, and the run in there."""
    folder = tmp_path_factory.mktemp("many")
    recipe = write_notes(folder, {}, "[card]\n")
    lines = (folder / "even.jsonl").read_text().splitlines(keepends=True)
    for number, name in enumerate(NAMES):
        (folder / name).write_text("".join(lines[number::N]))
    recipe.write_text(recipe.read_text().replace("/even.jsonl", "/even-*.jsonl"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        patch.setattr(locks, "MAX_LISTED", 2)
        run = Path(refine_directly(recipe)["run"])
    return folder, run.relative_to(folder)


@pytest.fixture
def many(first_run, tmp_path, monkeypatch):
    """The recipe, whose files are the shared ones, and the run in a copy of the home."""
    folder, run = first_run
    subprocess.run(["cp", "-a", str(folder / "home"), str(tmp_path / "home")], check=True)
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(locks, "MAX_LISTED", 2)
    return folder / "notes.toml", tmp_path / run


def test_sums_stand_in_the_lock_and_the_list_beside_it_and_in_the_card(many, request):
    recipe, run = many
    stated = read_json(run / "lock.json")["inputs"]
    assert (stated["even"]["files"], stated["even"]["formats"]) == (N, ["jsonl"])
    assert len(stated["odd"]) == 1
    assert [Path(file.path).name for file in RunDir(run).lock.inputs["even"]] == NAMES
    lock, brief = RunDir(run).lock, RunDir(run).brief_lock
    assert lock.run_id == brief.run_id == run.name
    assert (list(brief.inputs), brief.sizes) == (["odd"], lock.sizes)
    readme, card = (run / "card" / "README.md").read_text(), read_json(run / "card" / "card.json")
    assert "7 files, listed in inputs/even.jsonl" in readme
    assert "even-3" not in readme
    assert [source["files"] for source in card["sources"]] == [N, 1]
    assert (run / "card" / "inputs" / "even.jsonl").read_bytes() == (run / "inputs" / "even.jsonl").read_bytes()
    assert verify_run(run)["ok"]
    assert list(check_card(run / "card")) == []
    assert Path(refine_directly(recipe)["run"]) == run
    changed = recipe.with_name("even-0.jsonl")
    request.addfinalizer(partial(changed.write_text, changed.read_text()))
    changed.write_text('{"text": "another note"}\n')
    other = diff_runs(run, Path(refine_directly(recipe)["run"]), samples=0)
    assert [one["key"].rpartition("/")[2] for one in other["inputs"]["even"]] == ["even-0.jsonl"]


def test_a_card_gives_the_corpus_again_and_a_list_that_changed_does_not(many, tmp_path, monkeypatch):
    _, run = many
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "elsewhere"))
    assert rebuild_from_card(run / "card", check=True)["identical"]
    listed = run / "card" / "inputs" / "even.jsonl"
    copy = listed.read_bytes()
    listed.unlink()
    listed.write_bytes(copy.replace(b"even-3", b"even-4"))
    assert any("is not the list that the lock names" in one for one in check_card(run / "card"))
    with pytest.raises(StoreError, match=r"even\.jsonl is damaged"):
        rebuild_from_card(run / "card", check=True)


def test_a_damaged_list_is_written_anew_by_the_next_run(many):
    recipe, run = many
    for damage in (b"", None):
        path = run / "inputs" / "even.jsonl"
        path.unlink() if damage is None else path.write_bytes(damage)
        with pytest.raises(StoreError, match=r"inputs/even\.jsonl is (missing|damaged)"):
            _ = RunDir(run).lock
        with pytest.raises(StoreError, match=r"inputs/even\.jsonl is (missing|damaged)"):
            _ = RunDir(run).brief_lock
        assert refine_directly(recipe)["verified"]


def test_without_its_folder_a_lock_says_what_it_has_not_read(many):
    _, run = many
    lock = Lock.from_json(read_json(run / "lock.json"))
    assert (list(lock.inputs), lock.beside["even"].files) == (["odd"], N)
    assert lock.run_id == run.name
