"""Progress inside a part: what rooms count, what a line says, and that lines come while one part is worked on."""

import gzip
import io
import json
import re
import sys
import threading
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from gristmill.corpus import warmup
from gristmill.corpus.meter import Meter, count, counted_whole, metered
from gristmill.flows.direct import refine_directly
from gristmill.flows.pipeline import progress
from gristmill.flows.pipeline.pace import Pace
from gristmill.flows.pipeline.progress import ConsoleReporter
from gristmill.flows.pipeline.warming import warm_stages
from gristmill.sources.listing import list_files
from gristmill.sources.read import read_part
from gristmill.sources.spec import ReadSpec

TEXT = "Mill grinds its corn by day and by night, and on feast days as well. " * 20
RECIPE = """
name = "big"
seed = 1
[[sources]]
name = "big"
path = "big.jsonl"
domain = "web"
[engine]
workers = 1
[decide]
"""


def records(n: int) -> str:
    return "".join(json.dumps({"text": f"{number} {TEXT}"}) + "\n" for number in range(n))


def write_parquet(path, n):
    pq.write_table(pa.table({"text": [f"{number} {TEXT}" for number in range(n)]}), path, row_group_size=500)


def write_arrow(path, n):
    table = pa.table({"text": [f"{number} {TEXT}" for number in range(n)]})
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)


WRITERS = {
    "a.jsonl": lambda path, n: path.write_text(records(n)),
    "a.jsonl.gz": lambda path, n: path.write_bytes(gzip.compress(records(n).encode(), 1)),
    "a.parquet": write_parquet,
    "a.arrow": write_arrow,
    "a.html": lambda path, n: path.write_text(f"<p>{TEXT * n}</p>"),
}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("name", WRITERS)
def test_readers_count_while_they_read_and_end_at_the_bytes_of_the_file(name, tmp_path, monkeypatch):
    WRITERS[name](tmp_path / name, 4000)
    files = list_files([str(tmp_path / name)], None, source="web")
    seen, meter = [], Meter()
    for module in ("part", "opening", "parquet", "arrow"):
        path = f"gristmill.sources.{module}.count"
        monkeypatch.setattr(path, lambda *args, **named: (count(*args, **named), seen.append(meter.n_bytes)))
    with metered(meter):
        outcome = read_part(files, ReadSpec("web", "web"), tmp_path)
    assert (meter.n_bytes, meter.documents) == (files[0].bytes, outcome.rows)
    if name != "a.html":
        assert any(0 < n_bytes < files[0].bytes for n_bytes in seen)
        assert max(seen) <= files[0].bytes * 1.01


def test_nothing_is_counted_where_nothing_listens():
    count(1, 1)
    with counted_whole(5):
        count(n_bytes=9)
    with metered(meter := Meter()):
        with counted_whole(5):
            count(n_bytes=9)
        count(2)
    assert (meter.documents, meter.n_bytes) == (2, 5)


def test_a_line_inside_a_part_has_rates_and_time_left():
    clock = Clock()
    pace = Pace(2, 3_000_000, clock)
    assert pace.text() == "0 s so far"
    with pace.part(2_000_000):
        clock.now = 10
        count(500, 1_000_000)
        assert pace.text() == "33%, 0.10 MB/s, 50 documents/s, 20 s left"
        assert pace.parts_done == 0.5
    with pace.part(1_000_000):  # found in the store: counts nothing, and is no work that is left
        pass
    clock.now = 20
    assert pace.text() == "100%, 0.10 MB/s, 25 documents/s, 0 s left"


def test_without_bytes_parts_tell_the_time_left():
    clock = Clock()
    pace = Pace(40, clock=clock)
    pace.ended, clock.now = 9, 90  # too few to go by: parts may differ
    assert pace.text() == "22%, 1 min 30 s so far"
    pace.ended, clock.now = 10, 100
    assert pace.text() == "25%, 5 min 0 s left"


def upto(condition):
    """Wait for what another thread writes."""
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.parametrize(("stage", "counting"), [("documents", "sources.part"), ("signals", "corpus.measuring")])
def test_lines_on_a_pipe_while_one_big_part_is_worked_on(home, tmp_path, monkeypatch, stage, counting):
    """Work goes on once there is a line inside of it: how fast it is must not decide whether there is one."""
    inside, written = re.compile(rf"{stage} +0/1 \d+%, [\d.]+ MB/s, [\d,]+ documents/s, \d+ s left"), io.StringIO()

    def held(documents=0, n_bytes=0):
        count(documents, n_bytes)
        upto(lambda: inside.search(written.getvalue()))

    monkeypatch.setattr(f"gristmill.{counting}.count", held)
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "big.toml").write_text(RECIPE)
    (tmp_path / "big.jsonl").write_text(records(2000))
    refine_directly(tmp_path / "big.toml", stage, reporter=ConsoleReporter(line_seconds=0.01))
    lines = written.getvalue().splitlines()
    assert any(map(inside.match, lines)), lines
    assert sum(line.startswith(f"{stage:<11} 1/1") for line in lines) == 1
    assert threading.active_count() < 20


def test_lines_while_kernels_compile(tmp_path, monkeypatch):
    asked, written = [], io.StringIO()

    def make(_, call):
        asked.append(call)
        upto(lambda: "kernels     0/2" in written.getvalue())

    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setattr(warmup, "cache_folder", lambda: None)
    monkeypatch.setattr(warmup._Worker, "make", make)
    from gristmill.filters.pii.stage import PII
    from gristmill.filters.signals.stage import SIGNALS
    from gristmill.flows.pipeline.stages import Instance

    stages = [Instance(spec, spec.name, None) for spec in (SIGNALS, PII)]
    warm_stages(stages, ConsoleReporter(line_seconds=0.02), 2)
    lines = [line for line in written.getvalue().splitlines() if line.startswith("kernels")]
    assert len(asked) == 2
    assert re.fullmatch(r"kernels     0/2 \d+ s so far", lines[0])
    assert lines[-1].startswith("kernels     2/2")


def test_a_bar_on_a_terminal_moves_inside_a_part(monkeypatch):
    monkeypatch.setattr(progress, "BAR_SECONDS", 0.01)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    with ConsoleReporter(console).stage("documents", 1, 4_000_000) as stage, stage.part(4_000_000):
        count(40, 3_000_000)
        upto(lambda: "75%" in out.getvalue())
    assert re.search(r"0/1.*75%.*MB/s.*documents/s", out.getvalue())


def test_work_that_ends_at_once_says_nothing(capsys):
    with ConsoleReporter().stage("inputs", 0):
        pass
    assert capsys.readouterr().err == ""


def test_a_stage_whose_parts_have_ended_says_no_more(capsys):
    lines = progress._Lines("signals", Pace(1), every=0)
    lines.tick()
    lines.advance("0.1 s")
    lines.tick()
    said = capsys.readouterr().err.splitlines()
    assert [line.split()[:2] for line in said] == [["signals", "0/1"], ["signals", "1/1"]]
