"""RUN/state.json: what a run is from outside, through every end that it can come to."""

import json
from pathlib import Path

import pytest

from gristmill.corpus.errors import BudgetError, LockedError, StoreError
from gristmill.corpus.files import read_json, write_json
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.writer_lock import WriterLock
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.runs import list_runs
from gristmill.flows.pipeline import run_state
from gristmill.flows.pipeline.open_context import open_recipe
from gristmill.flows.pipeline.run_state import latest_id, read_state, state_kept, write_state

PART = "a part of its stages, as it was asked for"


@pytest.fixture
def recipe(tmp_path, home, write_notes):
    return write_notes(tmp_path, {})


def state_of(run: str | Path):
    return read_state(RunDir(Path(run)))


def test_a_whole_run_is_complete_and_a_part_of_one_too(recipe):
    part = refine_directly(recipe, "decide")
    assert "state" not in part
    found = state_of(part["run"])
    assert (found.state, found.stage, found.reason) == (
        "complete",
        "decide",
        "a part of its stages, as it was asked for",
    )
    assert latest_id(Path(part["run"]).parent) is None
    whole = refine_directly(recipe)
    found = state_of(whole["run"])
    assert (whole["state"], found.state, found.stage, found.reason) == ("complete", "complete", "card", "")
    assert latest_id(Path(whole["run"]).parent) == Path(whole["run"]).name
    (row,) = list_runs()["rows"]
    assert (row["state"], row["latest"], row["verified"]) == ("complete", True, True)


def test_a_run_that_an_error_ends_is_failed_with_its_first_line(recipe):
    recipe.write_text(recipe.read_text().replace('domain = "notes"\n', 'domain = "notes"\nretention_budget = 0.1\n', 1))
    recipe.write_text(recipe.read_text() + "[decide.rules.words]\nat_least = 900\n")
    with pytest.raises(BudgetError):
        refine_directly(recipe)
    (run,) = (path.parent for path in recipe.parent.glob("home/runs/*/*/state.json"))
    found = state_of(run)
    assert (found.state, found.stage) == ("failed", "decide")
    assert found.reason.startswith("BudgetError: source 'even' lost 30 of 30")
    assert "\n" not in found.reason


def test_within_the_block_it_is_running_and_an_interrupt_is_a_failure(recipe):
    seen = []

    def interrupted():
        with open_recipe(recipe) as context:
            seen.append((context.run.path, state_of(context.run.path).state))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    ((run, state),) = seen
    assert (state, state_of(run).state, state_of(run).reason) == ("running", "failed", "KeyboardInterrupt")
    with WriterLock(run), pytest.raises(LockedError):
        refine_directly(recipe)
    assert state_of(run).reason == "KeyboardInterrupt", "who holds the lock alone writes the state"


def test_credentials_of_addresses_stay_out(tmp_path):
    run = RunDir(tmp_path)
    with pytest.raises(OSError), state_kept(run):
        raise OSError("cannot read s3://AKIA:secret@bucket/web?sig=abc\nand more")
    assert read_state(run).reason == "OSError: cannot read s3://bucket/web?sig=REDACTED"


@pytest.mark.parametrize(
    ("before", "within", "after"),
    [
        (None, None, "complete"),
        ("failed", None, "complete"),
        ("paused", None, "paused"),
        ("paused", "complete", "complete"),
        ("complete", "paused", "paused"),
        ("running", "failed", "failed"),
    ],
)
def test_the_end_of_a_block_keeps_what_was_noted_within(tmp_path, before, within, after):
    run = RunDir(tmp_path)
    if before:
        write_state(run, before, "earlier")
    with state_kept(run):
        if within:
            write_state(run, within, "within")
    found = read_state(run)
    assert found.state == after
    assert found.reason == {"paused": "earlier" if within is None else "within", "failed": "within"}.get(
        after, "within" if within else PART
    )


@pytest.mark.parametrize("damage", ["{", json.dumps({"state": "running"}), json.dumps([1])])
def test_a_damaged_state_is_named(tmp_path, damage):
    (tmp_path / run_state.STATE_FILE).write_text(damage)
    with pytest.raises(StoreError, match=r"state\.json is damaged"):
        read_state(RunDir(tmp_path))


def test_a_run_of_an_earlier_version_notes_no_state(recipe):
    run = Path(refine_directly(recipe, "decide")["run"])
    (run / run_state.STATE_FILE).unlink()
    assert state_of(run) is None
    assert list_runs()["rows"][0]["state"] is None


def test_the_state_is_no_part_of_what_names_a_run(recipe):
    first = Path(refine_directly(recipe)["run"])
    lock, state = (first / "lock.json").read_bytes(), read_json(first / run_state.STATE_FILE)
    write_json(first / run_state.STATE_FILE, state | {"state": "failed"})
    recipe.write_text(recipe.read_text() + '[schedule]\ncron = "@daily"\n[drift]\nnights = 4\n')
    again = Path(refine_directly(recipe)["run"])
    assert (again, (again / "lock.json").read_bytes()) == (first, lock)
    assert state_of(first).state == "complete"
