"""Prefect for real: the refine flow on its embedded API, and a schedule that fires on a server of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gristmill.corpus.errors import GristmillError, RecipeError
from gristmill.flows import prefect_settings
from gristmill.flows.pipeline.recipe_reading import load_scheduled

PROGRAM = str(Path(sys.executable).with_name("gristmill"))
SCHEDULED = """
name = "nightly"
seed = 1
[[sources]]
name = "notes"
path = "{path}"
domain = "notes"
[decide]
[tokenizer]
vocab_size = 300
[shards]
row_tokens = 16
heldout = 0.0
[schedule]
cron = "* * * * *"
"""


def environment(home: Path) -> dict[str, str]:
    """A home that does not exist yet, as on a fresh clone."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {**inherited, "GRISTMILL_HOME": str(home / "new" / "home")}


NOWHERE = "http://127.0.0.1:1/api"


@pytest.mark.parametrize("command", [("run",), ("schedule",)])
def test_an_api_that_does_not_answer_is_one_message(tmp_path, command):
    """In a profile for ``run``, in the environment for ``schedule``."""
    (tmp_path / ".prefect").mkdir()
    profiles = tmp_path / ".prefect" / "profiles.toml"
    profiles.write_text(f'active = "far"\n[profiles.far]\nPREFECT_API_URL = "{NOWHERE}"\n')
    named = (
        {"HOME": str(tmp_path)} if command == ("run",) else {"PREFECT_API_URL": NOWHERE.replace("127", "me:secret@127")}
    )
    done = subprocess.run(
        [PROGRAM, *command, str(write_recipe(tmp_path))],
        env={**environment(tmp_path), **named},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    told = done.stderr.strip().splitlines()[-1]
    assert told.startswith("gristmill: Prefect's API ")
    assert NOWHERE in told
    assert "--direct" in told
    assert "Traceback" not in done.stderr
    assert "secret" not in told


def test_a_prefect_home_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for name in prefect_settings.SETTINGS:  # what apply sets goes away with the test
        monkeypatch.setenv(name, prefect_settings.SETTINGS[name])
    monkeypatch.setenv("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "file" / "inner"))
    with pytest.raises(GristmillError, match=r"Prefect cannot write into .*inner: Not a directory.*PREFECT_HOME"):
        prefect_settings.apply(tmp_path)


@pytest.mark.parametrize("text", ["Failed to reach API", "an error of a stage", ""])
def test_errors_of_stages_stay_what_they_are(text):
    with pytest.raises(ValueError, match=f"^{text}$"), prefect_settings.told_plainly():
        raise ValueError(text)


def write_recipe(folder: Path) -> Path:
    notes = folder / "notes.jsonl"
    notes.write_text(
        "".join(json.dumps({"text": f"note {n}: the mill turns again and again"}) + "\n" for n in range(60))
    )
    (folder / "nightly.toml").write_text(SCHEDULED.format(path=notes))
    return folder / "nightly.toml"


@pytest.mark.slow
def test_a_run_goes_through_prefect_and_again_computes_nothing(tmp_path):
    recipe = write_recipe(tmp_path)
    results = []
    for _ in range(2):
        done = subprocess.run(
            [PROGRAM, "run", str(recipe), "--json"],
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout))
    assert results[0]["run"] == results[1]["run"]
    assert all(stage["reused"] == 0 for stage in results[0]["stages"].values())
    assert all(stage["computed"] == 0 for stage in results[1]["stages"].values())
    database = list(tmp_path.glob("new/home/prefect/*.db"))
    assert database, "the run did not go through Prefect"


@pytest.mark.slow
def test_prefects_database_can_be_deleted_and_nothing_is_lost(tmp_path):
    recipe = write_recipe(tmp_path)
    command = [PROGRAM, "run", str(recipe), "--json", "--direct"]
    first = json.loads(subprocess.run(command, env=environment(tmp_path), capture_output=True, check=True).stdout)
    assert not (tmp_path / "new" / "home" / "prefect").exists()
    again = json.loads(subprocess.run(command, env=environment(tmp_path), capture_output=True, check=True).stdout)
    assert again["run"] == first["run"]


@pytest.mark.slow
def test_a_scheduled_run_really_fires(tmp_path):
    recipe = write_recipe(tmp_path)
    log = (tmp_path / "log").open("w")
    served = subprocess.Popen(
        [PROGRAM, "schedule", str(recipe)], env=environment(tmp_path), stdout=log, stderr=log, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and served.poll() is None:
            if list(tmp_path.glob("new/home/runs/nightly/*/card/README.md")):
                break
            time.sleep(1)
        assert list(tmp_path.glob("new/home/runs/nightly/*/card/README.md")), (tmp_path / "log").read_text()[-3000:]
    finally:
        os.killpg(served.pid, signal.SIGINT)
        try:
            served.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(served.pid, signal.SIGKILL)
            served.wait()
        log.close()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('cron = "every day"', "schedule.cron: 'every day' is no cron line"),
        ('cron = "61 * * * *"', "schedule.cron"),
        ('cron = "0 3 * * *"\ntimezone = "Mars/North"', "schedule.timezone: 'Mars/North'"),
    ],
)
def test_a_wrong_schedule_is_told(tmp_path, line, told):
    recipe = write_recipe(tmp_path)
    recipe.write_text(recipe.read_text().replace('cron = "* * * * *"', line))
    with pytest.raises(RecipeError) as caught:
        load_scheduled(recipe)
    assert told in str(caught.value)
