"""Prefect for real: the refine flow on its embedded API, and a schedule that fires on a server of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

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


def children(pid: int) -> dict[str, int]:
    """Processes that ``schedule`` keeps, by what they do."""
    names = {"server": b"prefect", "runner": b"serve_recipe"}
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                line = stat.with_name("cmdline").read_bytes()
                found |= {name: int(stat.parent.name) for name, word in names.items() if word in line}
    return found


def upto(condition, served, log, seconds=300):
    """Wait for what a schedule does; its log is shown where it does not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and served.poll() is None:
        if condition():
            return
        time.sleep(0.5)
    pytest.fail(log.read_text()[-3000:])


def artifacts(page: str, key: str) -> list[dict]:
    """What Prefect keeps of a schedule's runs under a key."""
    body = json.dumps({"artifacts": {"key": {"any_": [key]}}}).encode()
    asked = urllib.request.Request(f"{page}/api/artifacts/filter", body, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(asked))


def see_night(browser, page: str, folder: Path, runs: list[str]) -> None:
    """A person looks at the last night on a desk and a phone: its run, its artifacts, and what changed."""
    changes = artifacts(page, "changes")[0]
    shown = {
        f"runs/flow-run/{changes['flow_run_id']}": ["night-nightly", "Completed"],
        "artifacts": ["stages", "mixture", "card", "changes"],
        f"artifacts/artifact/{changes['id']}": [
            f"{runs[0][:8]} to {runs[1][:8]}",
            "1 document changed",
            "added",
            "input",
        ],
    }
    for width in (1280, 390):
        view = browser.new_page(viewport={"width": width, "height": 900})
        for path, texts in shown.items():
            view.goto(f"{page}/{path}")
            for text in texts:
                view.get_by_text(text, exact=len(text) < 12).first.wait_for(timeout=60_000)
            view.screenshot(path=folder / f"{path.partition('/')[0]}-{width}.png")
            seen = Image.open(folder / f"{path.partition('/')[0]}-{width}.png").getcolors(1 << 24)
            assert seen is not None
            assert len(seen) > 20
        view.close()


@pytest.mark.slow
def test_a_schedule_fires_outlives_its_server_fires_on_new_data_and_ends_cleanly(tmp_path, chromium):
    recipe, log = write_recipe(tmp_path), tmp_path / "log"
    recipe.write_text(recipe.read_text() + f'success_file = "{tmp_path}/alive"\n')
    runs = tmp_path / "new" / "home" / "runs" / "nightly"
    with log.open("w") as out:
        command = [PROGRAM, "schedule", str(recipe)]
        served = subprocess.Popen(command, env=environment(tmp_path), stdout=out, stderr=out, start_new_session=True)
    try:
        upto(lambda: (tmp_path / "alive").exists(), served, log)
        first = json.loads((runs / "latest.json").read_text())["run"]
        kept = children(served.pid)
        assert set(kept) == {"server", "runner"}
        page = re.search(r"the page of the schedule is at (\S+)", log.read_text())[1]
        assert b"<!DOCTYPE html>" in urllib.request.urlopen(page).read(99)
        notes = tmp_path / "notes.jsonl"
        notes.write_text(notes.read_text() + json.dumps({"text": "note 60: the mill turns on new grain"}) + "\n")
        os.kill(kept["server"], signal.SIGKILL)
        upto(lambda: json.loads((runs / "latest.json").read_text())["run"] != first, served, log)
        assert f"is back at {page}\n" in log.read_text()
        last = runs / json.loads((runs / "latest.json").read_text())["run"]
        assert json.loads((last / "report.json").read_text())["came_from"] == first
        if chromium is not None:
            upto(lambda: artifacts(page, "changes"), served, log)
            see_night(chromium, page, tmp_path, [first, last.name])
        kept = children(served.pid)
        served.send_signal(signal.SIGTERM)
        assert served.wait(60) == 143
        assert log.read_text().endswith("gristmill: the schedule was stopped by SIGTERM\n")
        assert not [pid for pid in kept.values() if Path(f"/proc/{pid}").exists()]
    finally:
        if served.poll() is None:
            os.killpg(served.pid, signal.SIGKILL)
            served.wait()


@pytest.mark.slow
def test_what_was_missed_follows_from_the_cron():
    script = (
        "import asyncio\nfrom datetime import UTC, datetime\nfrom gristmill.flows.schedule import was_missed\n"
        "from gristmill.flows.pipeline.unattended import Schedule\n"
        "schedule = Schedule(cron='0 3 * * *', timezone='Europe/Berlin')\n"
        "def day(text): return datetime.fromisoformat('2026-11-29T' + text).replace(tzinfo=UTC)\n"
        "pairs = [('01:00', '01:59'), ('01:00', '02:01'), ('01:00', '02:05'), ('02:00', '20:00')]\n"
        "print([asyncio.run(was_missed(schedule, day(since), day(now))) for since, now in pairs])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[False, False, True, False]"


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
