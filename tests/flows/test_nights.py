"""A scheduled run from outside: what is tried again, who is informed, what was missed, which processes are watched."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gristmill.cli import app
from gristmill.corpus.errors import BudgetError, GristmillError, LockedError, RecipeError
from gristmill.flows.direct import refine_directly
from gristmill.flows.nights.firings import firings_file, note_firing, read_firings, served_alone
from gristmill.flows.nights.night_run import night_run
from gristmill.flows.nights.night_tables import night_page
from gristmill.flows.nights.notifications import check_addresses
from gristmill.flows.pipeline.recipe_reading import load_scheduled, parse_recipe
from gristmill.flows.server import start_with_us
from gristmill.flows.supervision import Watched

SECRET = "tok3n-of-the-hook"
SCHEDULE = """
[schedule]
cron = "0 3 * * *"
io_retries = 2
io_retry_seconds = 0.5
success_file = "{folder}/alive"
success_url_env = "ALIVE_URL"
[schedule.notify]
command = ["sh", "-c", "cat >> {folder}/messages; exit {status}"]
webhook_env = "HOOK_URL"
"""


class Hook(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    def answer(self):
        size = int(self.headers.get("Content-Length") or 0)
        self.server.posts.append((self.path, self.rfile.read(size).decode()))
        self.send_response(500 if "broken" in self.path else 200)
        self.end_headers()

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, *_):
        pass


@pytest.fixture
def hook(monkeypatch):
    """A real server on loopback; its address stands in the environment, with a secret in it."""
    server = HTTPServer(("127.0.0.1", 0), Hook)
    server.posts = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, path in (("HOOK_URL", "hook"), ("ALIVE_URL", "alive")):
        monkeypatch.setenv(name, f"http://127.0.0.1:{server.server_port}/{path}?token={SECRET}")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def recipe(tmp_path, home, write_notes):
    return write_notes(tmp_path, {}, SCHEDULE.format(folder=tmp_path, status=0))


def raising(*errors):
    """Raises one error after the other, then runs the recipe; and the pauses in between."""
    left, pauses = list(errors), []

    def mill(recipe):
        if left:
            raise left.pop(0)
        return refine_directly(recipe)

    return mill, pauses


def sent(hook):
    return [json.loads(text)["event"] for path, text in hook.posts if path.startswith("/hook")]


def test_errors_of_disk_and_network_are_tried_again_with_growing_pauses(recipe, hook, tmp_path):
    mill, pauses = raising(TimeoutError("slow"), ConnectionResetError("gone"))
    result = night_run(recipe, lambda: mill(recipe), pauses.append)
    assert (result["state"], pauses) == ("complete", [0.5, 1.0])
    assert (tmp_path / "alive").exists()
    assert [path.partition("?")[0] for path, _ in hook.posts] == ["/alive"]
    mill, pauses = raising(*[OSError("disk")] * 3)
    with pytest.raises(OSError, match="disk"):
        night_run(recipe, lambda: mill(recipe), pauses.append)
    assert pauses == [0.5, 1.0]
    assert sent(hook) == ["failure"]


@pytest.mark.parametrize("error", [BudgetError("lost"), LockedError("busy"), ValueError("odd"), GristmillError("no")])
def test_no_other_error_is_tried_again(recipe, hook, error, tmp_path):
    mill, pauses = raising(error)
    with pytest.raises(type(error)):
        night_run(recipe, lambda: mill(recipe), pauses.append)
    message = json.loads((tmp_path / "messages").read_text())
    assert (pauses, sent(hook), message["reason"]) == ([], ["failure"], f"{type(error).__name__}: {error}")
    assert read_firings("notes").outcome == "failed"
    assert not (tmp_path / "alive").exists()


def test_a_run_that_is_stopped_is_no_failure_and_calls_no_one(recipe, hook, capfd):
    mill, _ = raising(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        night_run(recipe, lambda: mill(recipe))
    assert "the run of notes was stopped; the next one goes on from here" in capfd.readouterr().err
    assert night_run(recipe, lambda: mill(recipe))["state"] == "complete"
    assert sent(hook) == []


def test_drift_and_the_first_success_after_it_are_reported(recipe, hook, tmp_path):
    whole = refine_directly(recipe)
    beyond = [{"kind": "tokens", "signal": "", "of": "web", "value": 3.0, "bound": 1.5}]
    paused = {**whole, "state": "paused", "drift": {"beyond": beyond}}
    approved = {**paused, "state": "complete"}
    for result in (whole, paused, approved, whole):
        night_run(recipe, lambda found=result: found)
    assert sent(hook) == ["drift", "recovery"]
    messages = [json.loads(text) for text in (tmp_path / "messages").read_text().replace("}{", "}\n{").splitlines()]
    assert [one["reason"] for one in messages] == ["tokens of web: 3", "the run before was paused"]
    with pytest.raises(GristmillError, match="did not pass verify: shards: 3 differ"):
        night_run(recipe, lambda: {**whole, "verified": False, "failed": ["shards: 3 differ"]})


def test_a_recipe_has_one_schedule_in_a_home(recipe, hook):
    told = rf"the schedule of 'notes' is served already: .* process {os.getpid()}"
    with served_alone("notes"), pytest.raises(LockedError, match=told):
        app(["schedule", str(recipe)], result_action="return_value")
    with served_alone("notes"):
        pass


def test_secrets_stay_in_the_environment(recipe, hook, tmp_path, capfd, monkeypatch):
    mill, _ = raising(GristmillError(f"https://me:{SECRET}@host/x failed"))
    with pytest.raises(GristmillError):
        night_run(recipe, lambda: mill(recipe))
    night_run(recipe, lambda: refine_directly(recipe))
    monkeypatch.setenv("HOOK_URL", os.environ["HOOK_URL"].replace("/hook", "/broken"))
    with pytest.raises(ValueError):
        night_run(recipe, lambda: raising(ValueError("x"))[0](recipe))
    err = capfd.readouterr().err
    assert "gristmill: schedule.notify.webhook_env failed: HTTPError 500" in err
    assert SECRET not in err
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 20
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]
    assert SECRET not in "".join(text for _, text in hook.posts)
    schedule = load_scheduled(recipe)[1]
    for name in ("ALIVE_URL", "HOOK_URL"):
        with pytest.raises(RecipeError, match=f"the environment variable {name} holds no http"):
            check_addresses(schedule, {**os.environ, name: "ftp://x"})


def test_a_hook_that_fails_ends_no_run(recipe, monkeypatch, tmp_path, capfd, write_notes):
    write_notes(tmp_path, {}, SCHEDULE.format(folder=tmp_path, status=7))
    monkeypatch.setenv("HOOK_URL", "http://127.0.0.1:1/hook")
    monkeypatch.setenv("ALIVE_URL", "http://127.0.0.1:1/alive")
    note_firing("notes", "failed")
    assert night_run(recipe, lambda: refine_directly(recipe))["verified"]
    assert "schedule.notify.command failed: CalledProcessError 7" in capfd.readouterr().err


def test_mistakes_of_a_schedule_are_named(recipe):
    text = recipe.read_text().replace("io_retries = 2", 'io_retries = -1\ncatch_up = "all"')
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text + "\n[schedule.notify.more]\n")
    for key in ("schedule.io_retries", "schedule.catch_up", "schedule.notify.more"):
        assert key in str(caught.value)
    start, stop = (recipe.read_text().index(key) for key in ("command = [", "webhook_env"))
    without = recipe.read_text()[:start] + 'on = ["drift"]\n' + recipe.read_text()[stop:].partition("\n")[2]
    with pytest.raises(RecipeError, match="neither a command nor a webhook_env is given"):
        parse_recipe(without)


def test_a_damaged_note_of_firings_counts_as_none(recipe):
    note_firing("notes")
    firings_file("notes").write_text("{")
    assert datetime.now(UTC) - read_firings("notes").seen_until < timedelta(minutes=1)


def test_the_page_of_a_night_has_stages_mixture_card_and_changes(recipe, tmp_path):
    first = refine_directly(recipe)
    assert night_page(first).changes == ""
    more = tmp_path / "odd.jsonl"
    more.write_text(more.read_text() + json.dumps({"text": "One more note of the mill, on and on and on."}) + "\n")
    page = night_page(refine_directly(recipe))
    assert page.funnel[0]["stage"] == "documents"
    assert page.mixture[0]["domain"] == "notes"
    assert "[data card](file://" in page.card
    assert "1 document changed\n" in page.changes
    assert "| added | 1 |" in page.changes


# ------------------------------------------------------------------------------------------------------ processes


def test_a_watched_process_is_started_again_with_growing_pauses(capfd):
    stopped = threading.Event()
    stopped.wait = lambda seconds: stopped.__dict__.setdefault("pauses", []).append(seconds)
    watched = Watched("the child", lambda: start_with_us(os.getpid(), ["-c", "raise SystemExit(3)"], os.environ))
    for _ in range(3):
        assert watched.keep(stopped)
        watched.process.wait()
    assert (watched.starts, stopped.pauses) == (3, [2.0, 4.0])
    assert "the child ended with status 3; again in 2 s" in capfd.readouterr().err
    watched.start = lambda: start_with_us(os.getpid(), ["-c", "import time; time.sleep(60)"], os.environ)
    assert watched.keep(stopped)
    assert not watched.keep(stopped)
    watched.end()
    assert watched.process.returncode == -signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="the signal at a parent's death is of Linux")
def test_a_child_ends_with_a_parent_that_is_killed(tmp_path):
    script = (
        "import os, time\nfrom gristmill.flows.server import start_with_us\n"
        "child = start_with_us(os.getpid(), ['-c', 'import time; time.sleep(60)'], os.environ)\n"
        "print(child.pid, flush=True)\ntime.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    command = Path(f"/proc/{child}/cmdline")
    while b"SIGNAL" in command.read_bytes() or b"prctl" in command.read_bytes():
        time.sleep(0.01)  # it has not asked for the signal yet
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 60
    while command.exists() and command.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not (command.exists() and command.read_bytes()), "a child outlives its parent"
    parent.stdout.close()
