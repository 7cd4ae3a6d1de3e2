"""The page of a training: it stands alone, says what the tables say, and is made of an unfinished one as well."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.corpus.errors import StoreError
from gristmill.data_cards.render import render_training
from gristmill.data_cards.training_figures import (
    averaged,
    consumed_shares,
    expert_shares,
    loss_lines,
    planned_shares,
    recent_load,
    utilisation,
)
from gristmill.data_cards.training_page import training_glance, training_sections
from gristmill.data_cards.training_tables import read_training
from gristmill.data_cards.wording import number
from gristmill.handoff.plan import Plan
from gristmill.handoff.trace import trace
from gristmill.trainer.alarm_bounds import AlarmBounds, beyond_chance
from gristmill.trainer.training.alarm_log import ALARMS
from gristmill.trainer.training.loop import train
from tests.data_cards.test_render import Page
from tests.trainer.conftest import make_run, small_config

EVIL = "<script>alert('x')</script>"
BOUNDS = AlarmBounds()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """26 samples in 7 steps."""
    run = make_run(tmp_path_factory.mktemp("trained") / "small", 26)
    train(run, run / "train", small_config())
    return run


@pytest.fixture
def copied(trained, tmp_path):
    """Without the segments of its tables, so that a test can change a table in one place."""
    ignored = shutil.ignore_patterns("log")
    return Path(shutil.copytree(trained, tmp_path / trained.name, ignore=ignored))


@pytest.fixture(scope="module")
def tables(trained):
    return read_training(trained, BOUNDS)


def with_alarms(run):
    """The run with two alarms, whose documents are those of step 3 and no documents at all."""
    documents = [one["doc_id"] for row in trace(run, 2, 4) for one in row["documents"]]
    rows = [
        {"step": 3, "kind": "load_std", "place": "1", "value": 0.5, "bound": 0.15, "documents": documents},
        {"step": 5, "kind": "domain_loss", "place": EVIL, "value": 0.9, "bound": 0.3, "documents": [EVIL]},
    ]
    pq.write_table(pa.Table.from_pylist(rows, ALARMS), run / "train" / "alarms.parquet")
    return documents


def test_the_page_stands_alone_and_escapes_what_it_names(copied):
    documents = with_alarms(copied)
    text = render_training(read_training(copied, BOUNDS))
    page = Page(text)
    assert page.open == []
    assert page.tags.count("svg") == 6
    assert {"script", "link", "iframe", "img", "image"}.isdisjoint(page.tags)
    assert EVIL not in text
    assert EVIL in "".join(page.text)
    assert not [value for name, value in page.attributes if name in ("src", "href", "xlink:href") and value[0] != "#"]
    assert all(one[:12] in "".join(page.text) for one in documents[:6])
    alarms = next(one for one in training_sections(read_training(copied, BOUNDS)) if one.anchor == "alarms")
    assert [row[:4] for row in alarms.tables[0].rows] == [
        ("3", "load std", "1", "0.500"),
        ("5", "domain loss", EVIL, "0.900"),
    ]


def test_the_same_tables_give_the_same_bytes(tables):
    assert render_training(tables) == render_training(tables)


def test_shares_are_those_of_the_plan_and_of_the_consumed_rows(tables, trained):
    plan = Plan.load(trained / "plan")
    section = next(one for one in training_sections(tables) if one.anchor == "shares")
    assert section.text == ["As planned, to the row."]
    assert {row[0]: int(row[4]) for row in section.tables[0].rows} == plan.counts(0, 26)
    edges, shares = consumed_shares(tables, 3)
    assert np.allclose(shares.sum(1), 1)
    located = plan.locate(0, 26).domain
    for (first, stop), share in zip(((0, 8), (8, 17), (17, 26)), shares, strict=True):
        assert share.tolist() == [(located[first:stop] == place).mean() for place in range(3)]
    assert edges.tolist() == [0, 2, 4.25, 6.5]
    steps, planned = planned_shares(tables)
    assert steps == [0, 6.5]
    assert np.allclose(planned, [0.5, 0.2, 0.3])


def test_settled_loads_are_those_of_the_summary(tables):
    settled = tables.summary.settled
    table = next(one for one in training_sections(tables) if one.anchor == "load").tables[1]
    assert table.title.endswith(f"settled behind the last step on {settled.rows} of its rows")
    assert table.rows == [
        (str(at), *map(number, (one.heldout_before, one.heldout_after, one.rows_before, one.rows_after)))
        for at, one in enumerate(settled.layers)
    ]


def test_a_row_that_is_not_of_the_plan_is_named(copied):
    path = copied / "train" / "consumption.parquet"
    table = pq.read_table(path)
    domain = table["domain"].to_pylist()
    wrong = pa.array([2 - domain[0], *domain[1:]], pa.int16())
    pq.write_table(table.set_column(table.column_names.index("domain"), "domain", wrong), path)
    section = next(one for one in training_sections(read_training(copied, BOUNDS)) if one.anchor == "shares")
    assert section.text[0].startswith("Rows consumed are not those of the plan in ")


def test_experts_by_domain_are_the_counts_of_the_last_evaluation(tables):
    rows = [row for row in tables.load.to_pylist() if row["step"] == 7]
    for layer, shares in expert_shares(tables).items():
        for place, name in enumerate(tables.domains):
            counts = [row["tokens"] for row in rows if (row["layer"], row["domain"]) == (layer, name)]
            assert shares[place].tolist() == [count / sum(counts) for count in counts]


NUMBERS = st.one_of(st.just(float("nan")), st.floats(-9, 9))


@settings(deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=30), st.integers(1, 12))
def test_an_average_is_over_equal_parts(values, points):
    expected = []
    size, rest = divmod(len(values), min(points, len(values)))
    begin = 0
    for part in range(min(points, len(values))):
        stop = begin + size + (part < rest)
        known = [value for value in values[begin:stop] if value == value]
        if known:
            expected.append(((begin + 1 + stop) / 2, sum(known) / len(known)))
        begin = stop
    steps, means = averaged(values, points)
    assert np.allclose(np.stack([steps, means], 1), np.array(expected).reshape(-1, 2))


def test_utilisation_and_speed_are_those_of_timing(tables):
    share, seconds = utilisation(tables), tables.column("seconds")
    assert np.average(share, weights=seconds) == pytest.approx(tables.timing.mfu)
    shown = {name: value for value, name, _ in training_glance(tables)}
    assert shown["steps"] == "7"
    assert {"MFU", "alarms", "tokens a second", "parameters"} <= shown.keys()


def test_a_training_that_goes_on_has_a_page(trained, tmp_path):
    run = Path(shutil.copytree(trained, tmp_path / "on", ignore=shutil.ignore_patterns("train")))
    with pytest.raises(StoreError, match="has no training"):
        read_training(run, BOUNDS)
    train(run, run / "train", small_config(), max_steps=4)
    stopped = read_training(run, BOUNDS)
    train(run, run / "aside", small_config(), max_steps=6)
    shutil.copytree(run / "aside" / "log", run / "train" / "log", dirs_exist_ok=True)  # it went on for two steps
    assert (stopped.steps, read_training(run, BOUNDS).steps, read_training(run, BOUNDS).summary) == (4, 6, None)
    for path in (run / "train").glob("*.*"):  # as a kill leaves it: segments and checkpoints
        path.unlink()
    tables = read_training(run, BOUNDS)
    assert (tables.steps, tables.summary, utilisation(tables)) == (6, None, None)
    page = render_training(tables)
    assert "going on" in page
    assert page.count('<svg class="figure"') == 5  # no held-out rows yet


def test_a_training_of_an_earlier_version_has_a_page(copied):
    path = copied / "train" / "metrics.parquet"
    table = pq.read_table(path)
    new = [name for name in table.column_names if name in ("flops", "alarms") or name.startswith("bits_per_byte/")]
    pq.write_table(table.drop_columns(new), path)
    (copied / "train" / "alarms.parquet").unlink()
    tables = read_training(copied, BOUNDS)
    assert loss_lines(tables)[0] == "nats a token"
    assert "This training was not watched." in render_training(tables)


def test_bits_per_byte_where_bytes_are_known(copied):
    path = copied / "train" / "metrics.parquet"
    table = pq.read_table(path)
    values = pa.array(np.linspace(3, 2, table.num_rows))
    table = table.set_column(table.column_names.index("bits_per_byte/web"), "bits_per_byte/web", values)
    pq.write_table(table, path)
    unit, lines = loss_lines(read_training(copied, BOUNDS))
    assert (unit, list(lines)) == ("bits per byte", ["web"])
    assert lines["web"][1].tolist() == pytest.approx(values.to_pylist())


def test_a_browser_shows_it_whole_at_both_widths(copied, tmp_path):
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser_path is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the path")
    sync_api = pytest.importorskip("playwright.sync_api")
    with_alarms(copied)
    path = tmp_path / "training.html"
    path.write_text(render_training(read_training(copied, BOUNDS)), encoding="utf-8")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for width, scheme in ((1280, "light"), (390, "dark")):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            errors: list[str] = []
            page.on("console", lambda message, errors=errors: errors.append(message.text))
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("document.querySelectorAll('svg.figure').length") == 6
            assert errors == []
        browser.close()


def test_the_load_that_is_drawn_is_the_alarms_of_the_last_steps_together(tables):
    bounds = BOUNDS.model_copy(update={"window": 3})
    steps, drawn = recent_load(replace(tables, bounds=bounds), 0)
    chosen = np.array(tables.metrics["choices/0"].to_pylist())
    assert steps.tolist() == list(range(3, 8))
    assert drawn.tolist() == [beyond_chance(chosen[step - 3 : step].sum(0)) for step in steps]
    old = replace(tables, metrics=tables.metrics.drop_columns(["choices/0", "choices/1"]))
    assert len(recent_load(old, 0)[1])  # of a version that counted none
