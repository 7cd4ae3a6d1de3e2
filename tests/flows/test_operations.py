"""What runs leave for machines: metrics, JSON lines, exit after a signal, units of systemd and the image."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gristmill.corpus._rooms import HOUSE
from gristmill.corpus.errors import GristmillError
from gristmill.corpus.files import read_json
from gristmill.flows.direct import refine_directly
from gristmill.flows.pipeline.json_progress import VARIABLE, JsonReporter, chosen_reporter
from gristmill.flows.pipeline.progress import ConsoleReporter
from tests.gristmill.command_line import call

LINE = re.compile(r'(?P<name>[a-z_]+)\{(?P<labels>(?:[a-z]+="(?:[^"\\]|\\.)*",?)+)\} (?P<value>[0-9.e+-]+)')


@pytest.fixture
def recipe(tmp_path, home, write_notes):
    path = write_notes(tmp_path, {})
    (tmp_path / "odd.jsonl").write_text((tmp_path / "odd.jsonl").read_text() + "no json\n")
    return path


def metrics_of(run: Path) -> dict[tuple[str, ...], float]:
    """Values by name and labels; every line is a comment or a sample."""
    found = {}
    for line in (run / "metrics.prom").read_text().splitlines():
        sample = LINE.fullmatch(line)
        assert sample or re.match(r"# (HELP|TYPE) gristmill_\w+ ", line), line
        if sample:
            labels = re.findall(r'[a-z]+="((?:[^"\\]|\\.)*)"', sample["labels"])
            found[(sample["name"], *labels)] = float(sample["value"])
    return found


def test_metrics_are_the_report_in_the_text_format_of_prometheus(recipe):
    result = refine_directly(recipe)
    found = metrics_of(Path(result["run"]))
    for stage, one in result["stages"].items():
        for key in ("documents_in", "documents_out", "bytes_in", "bytes_out", "seconds", "cpu_seconds"):
            assert found[(f"gristmill_stage_{key}", "notes", stage)] == one[key]
    assert found[("gristmill_rejects", "notes", "odd", "not_json")] == 1
    assert found[("gristmill_documents", "notes", "even", "kept")] == result["sources"]["even"]["kept"]
    again = metrics_of(Path(refine_directly(recipe)["run"]))
    assert again[("gristmill_stage_parts_computed", "notes", "tokens")] == 0
    assert again[("gristmill_stage_parts_reused", "notes", "tokens")] == 2


def test_progress_as_json_lines(recipe, capsys):
    status, out, err = call(capsys, "run", recipe, "--direct", "--until", "tokens", "--log-format", "json", "--json")
    events = [json.loads(line) for line in err.splitlines()]
    assert status == 0
    ended = [one["stage"] for one in events if one["event"] == "stage_ends"]
    assert ended[0] == "inputs"
    assert set(json.loads(out)["stages"]) <= set(ended)
    parts = [one for one in events if one["event"] == "part_done" and one["stage"] == "tokens"]
    assert [(one["done"], one["parts"]) for one in parts] == [(1, 2), (2, 2)]
    assert all(re.match(r"20\d\d-\d\d-\d\dT", one["time"]) for one in events)


def test_a_stage_that_fails_is_an_event_without_credentials(capsys, monkeypatch):
    with pytest.raises(GristmillError), JsonReporter().stage("documents", 3):
        raise GristmillError("cannot read s3://me:secret@bucket/x\nmore")
    last = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert (last["event"], last["stage"], last["error"]) == ("stage_fails", "documents", "GristmillError")
    assert last["text"] == "cannot read s3://bucket/x"
    assert isinstance(chosen_reporter(), ConsoleReporter)
    monkeypatch.setenv(VARIABLE, "json")
    assert isinstance(chosen_reporter(), JsonReporter)
    assert isinstance(chosen_reporter("text"), ConsoleReporter)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_with_one_sentence_and_its_state(recipe, home, sign):
    recipe.write_text(recipe.read_text().replace("plugins = []", 'plugins = ["./slow.py"]'))
    (recipe.parent / "slow.py").write_text(SLOW.format(folder=str(recipe.parent)))
    command = [sys.executable, "-m", "gristmill", "run", str(recipe), "--direct", "--workers", "1"]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    deadline = time.monotonic() + 300
    while not (recipe.parent / "begun").exists() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    run.send_signal(sign)
    (recipe.parent / "sent").touch()
    _, err = run.communicate(timeout=300)
    assert run.returncode == 128 + sign, err
    assert err.splitlines().count("gristmill: stopped; the next run goes on from here") == 1
    assert "Traceback" not in err
    (state,) = home.glob("runs/*/*/state.json")
    assert read_json(state)["state"] == "failed"
    assert not (state.parent / "writer.lock").exists()


SLOW = """
import time
from pathlib import Path

import pyarrow as pa
from gristmill.corpus.stage import Measured, PartStage, Signal


def slow(batch, options, state):
    folder = Path({folder!r})
    (folder / "begun").touch()
    while not (folder / "sent").exists():  # however long the signal takes
        time.sleep(0.01)
    return Measured({{"slowness": pa.array([0.0] * batch.num_rows)}})


STAGE = PartStage(
    name="slow", version="1", measure=":slow", table="slow.parquet", signals=(Signal("slowness", "x", 0, None, "x"),)
)
"""


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_units_are_what_systemd_takes(tmp_path):
    for unit in (HOUSE / "docs" / "operations").glob("*.*"):
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/gristmill/bin/gristmill", "/bin/true"))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["gristmill-night.service", "gristmill-night.timer", "gristmill-schedule.service"]
    command = ["systemd-analyze", "verify", *(str(tmp_path / name) for name in names)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if str(tmp_path) in line]) == (0, [])


def test_the_image_copies_what_it_installs_and_runs_as_nobody_special():
    lines = (HOUSE / "Dockerfile").read_text().splitlines()
    words = {line.split(" ")[0] for line in lines if line and line[0].isupper()}
    assert words >= {"FROM", "COPY", "RUN", "USER", "ENTRYPOINT", "STOPSIGNAL"}
    assert "torch==2.13.0" in " ".join(lines)
    made = [line.startswith("RUN mkdir") for line in lines].index(True)
    assert lines.index("USER mill") < made < lines.index("VOLUME /home/mill/.gristmill")  # or the volume is root's
    ignored = (HOUSE / ".dockerignore").read_text().split()
    assert not [name for name in ("constraints.txt", "pyproject.toml", "flows", "samples") if name in ignored]
