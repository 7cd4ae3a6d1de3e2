"""Prefect for real: the refine flow on its embedded API, and a schedule that fires on a server of its own."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from gristmill.corpus.errors import GristmillError, RecipeError
from gristmill.corpus.files import read_json
from gristmill.flows import prefect_settings
from gristmill.flows.pipeline.recipe_reading import load_scheduled
from gristmill.flows.pipeline.unattended import Schedule

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


@dataclass(frozen=True)
class Served:
    """``gristmill schedule`` at work on a recipe in a folder."""

    process: subprocess.Popen
    folder: Path

    @property
    def runs(self) -> Path:
        return self.folder / "new" / "home" / "runs" / "nightly"

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def upto(self, condition: Callable[[], object], seconds: float = 300) -> None:
        """Wait for what it does; its log is shown where it does not."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            if condition():
                return
            time.sleep(0.2)
        pytest.fail(self.log()[-3000:])

    def page(self) -> str:
        """The address of the page, once there is one."""
        self.upto(lambda: "the page of the schedule is at" in self.log())
        return re.search(r"the page of the schedule is at (\S+)", self.log())[1]


@pytest.fixture(scope="module", autouse=True)
def schedule(tmp_path_factory):
    """A schedule from the first test on: other tests pass the minutes in which it fires."""
    folder = tmp_path_factory.mktemp("schedule")
    recipe = write_recipe(folder)
    recipe.write_text(recipe.read_text() + f'success_file = "{folder}/alive"\n')
    with (folder / "log").open("w") as out:
        command = [PROGRAM, "schedule", str(recipe)]
        process = subprocess.Popen(command, env=environment(folder), stdout=out, stderr=out, start_new_session=True)
    yield Served(process, folder)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


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


def test_what_was_missed_follows_from_the_cron():
    from gristmill.flows.schedule import was_missed

    daily = Schedule(cron="0 3 * * *", timezone="Europe/Berlin")

    def day(text: str) -> datetime:
        return datetime.fromisoformat("2026-11-29T" + text).replace(tzinfo=UTC)

    pairs = [("01:00", "01:59"), ("01:00", "02:01"), ("01:00", "02:05"), ("02:00", "20:00")]
    missed = [asyncio.run(was_missed(daily, day(since), day(now))) for since, now in pairs]
    assert missed == [False, False, True, False]


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


def latest(runs: Path) -> str:
    return read_json(runs / "latest.json")["run"]


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


@pytest.fixture(scope="module")
def fired(schedule) -> str:
    """The run of the first firing. Behind it there is a new note, and no server: it was killed."""
    schedule.upto((schedule.folder / "alive").exists)
    first, kept = latest(schedule.runs), children(schedule.process.pid)
    assert set(kept) == {"server", "runner"}
    assert b"<!DOCTYPE html>" in urllib.request.urlopen(schedule.page()).read(99)
    notes = schedule.folder / "notes.jsonl"
    notes.write_text(notes.read_text() + json.dumps({"text": "note 60: the mill turns on new grain"}) + "\n")
    os.kill(kept["server"], signal.SIGKILL)
    return first


@pytest.mark.slow
def test_a_schedule_fires_and_its_server_is_started_again(schedule, fired):
    assert (schedule.runs / fired / "report.json").exists()
    schedule.upto(lambda: f"is back at {schedule.page()}\n" in schedule.log())


def run(home: Path, recipe: Path, *options: str, **environ: str) -> dict:
    """What a run prints as JSON, in a process of its own."""
    command = [PROGRAM, "run", str(recipe), "--json", *options]
    done = subprocess.run(command, env={**environment(home), **environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_a_run_goes_through_prefect_and_again_computes_nothing(tmp_path, schedule, fired):
    """First through an API of its own, then through a server that is there, then without Prefect and its database."""
    recipe = write_recipe(tmp_path)
    results = [run(tmp_path, recipe)]  # meanwhile the schedule comes to its second firing
    (database,) = tmp_path.glob("new/home/prefect/*.db")
    before = database.stat().st_mtime_ns
    schedule.upto(lambda: "is back at" in schedule.log())
    results.append(run(tmp_path, recipe, PREFECT_API_URL=f"{schedule.page()}/api"))
    assert database.stat().st_mtime_ns == before, "the run did not go through the server"
    shutil.rmtree(tmp_path / "new" / "home" / "prefect")
    results.append(run(tmp_path, recipe, "--direct"))
    assert not (tmp_path / "new" / "home" / "prefect").exists()
    assert len({one["run"] for one in results}) == 1
    assert all(stage["reused"] == 0 for stage in results[0]["stages"].values())
    assert all(stage["computed"] == 0 for one in results[1:] for stage in one["stages"].values())


@pytest.mark.slow
def test_a_schedule_fires_on_new_data_behind_its_servers_end_and_ends_cleanly(schedule, fired, chromium):
    runs, page = schedule.runs, schedule.page()
    schedule.upto(lambda: latest(runs) != fired)
    assert f"is back at {page}\n" in schedule.log()
    last = runs / latest(runs)
    assert read_json(last / "report.json")["came_from"] == fired
    if chromium is not None:
        schedule.upto(lambda: artifacts(page, "changes"))
        see_night(chromium, page, schedule.folder, [fired, last.name])
    kept = children(schedule.process.pid)
    schedule.process.send_signal(signal.SIGTERM)
    assert schedule.process.wait(300) == 143
    assert schedule.log().endswith("gristmill: the schedule was stopped by SIGTERM\n")
    assert not [pid for pid in kept.values() if Path(f"/proc/{pid}").exists()]


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
