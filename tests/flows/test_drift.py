"""The gate between nights: planted drifts pause a run, a quiet night passes, and a person opens it."""

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.cli import main
from gristmill.corpus.errors import PausedError, RecipeError
from gristmill.corpus.files import read_json, write_json
from gristmill.flows.direct import refine_directly, train_directly
from gristmill.flows.drift.approval import approve_run
from gristmill.flows.drift.changes_between import Measured, compare
from gristmill.flows.drift.gate import Gate
from gristmill.flows.drift.good_nights import NightRecord
from gristmill.flows.drift.night_figures import NightFigures, SourceFigures
from gristmill.flows.drift.stability_index import bin_counts, bin_edges, stability_index
from gristmill.flows.inspect.verify import verify_run
from gristmill.flows.pipeline.recipe_reading import load_recipe, parse_recipe
from gristmill.flows.pipeline.unattended import Drift, DriftBounds
from tests.flows.notes_corpus import TRAINER

RECIPE = """
name = "nights"
seed = 1
[[sources]]
name = "web"
path = "{folder}/web.jsonl"
domain = "web"
[[sources]]
name = "few"
path = "{folder}/few.jsonl"
domain = "notes"
[pii]
email = "mask"
[decide.rules.words]
at_least = 3
[tokenizer]
vocab_size = 300
[shards]
row_tokens = 64
[drift]
nights = 3
"""


def write_night(folder: Path, seed: int, *, drifted: bool = False) -> Path:
    """Two sources; the drifted night has longer, copied, addressed, French texts in one and more in the other."""
    draw = random.Random(seed)
    words, mean = [f"w{n}" for n in range(400)], 40 if drifted else 20

    def line(n: int) -> str:
        text = " ".join(draw.choices(words, k=max(4, round(draw.gauss(mean, 4)))))
        text += f" me{n}@mail.example" if n % (2 if drifted else 20) == 0 else ""
        return json.dumps({"text": text, "lang": "fr" if drifted and n % 3 == 0 else "en"}) + "\n"

    web = [line(n) for n in range(600)]
    web = web[:400] + web[:200] if drifted else web
    (folder / "web.jsonl").write_text("".join(web))
    (folder / "few.jsonl").write_text("".join(line(n) for n in range(450 if drifted else 60)))
    recipe = folder / "nights.toml"
    recipe.write_text(RECIPE.format(folder=folder) + (TRAINER.format(batch_rows=64, extra="") if drifted else ""))
    return recipe


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """Four quiet nights and a drifted one: the results of their runs."""
    folder = tmp_path_factory.mktemp("nights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        yield [refine_directly(write_night(folder, night, drifted=night == 4)) for night in range(5)]


def test_quiet_nights_pass_and_few_of_them_are_not_compared(nights):
    assert [night["state"] for night in nights] == ["complete"] * 4 + ["paused"]
    assert [night["drift"]["measured"] for night in nights[:3]] == [0, 0, 0]
    assert "2 good runs before this one" in nights[2]["drift"]["left_out"][0]
    assert nights[3]["drift"]["measured"] == 8
    assert nights[3]["drift"]["left_out"] == ["source 'few' has 60 documents: below 500 it is not compared"]
    assert len(nights[4]["drift"]["nights"]) == 3, "as many as [drift] asks for, though four are good"


def test_every_kind_of_drift_is_seen_in_a_real_night(nights):
    beyond = {(one["kind"], one["of"], one["signal"]) for one in nights[4]["drift"]["beyond"]}
    expected = {("tokens", "notes", ""), ("source_share", "few", "")}
    expected |= {("source_share", "web", ""), ("signal", "web", "words"), ("language", "web", "")}
    expected |= {("duplicate_rate", "web", ""), ("pii_per_mb", "web", "")}
    assert beyond == expected


def test_each_run_knows_the_one_it_came_from(nights):
    ids = [Path(night["run"]).name for night in nights]
    assert [night["came_from"] for night in nights] == [None, *ids[:3], ids[3]]
    assert read_json(Path(nights[2]["run"]) / "report.json")["came_from"] == ids[1]
    assert ids[0] not in (Path(nights[1]["run"]) / "lock.json").read_text()


def test_a_paused_run_is_whole_waits_and_is_opened_by_a_person(nights, capsys):
    run, folder = Path(nights[4]["run"]), Path(nights[4]["run"]).parent
    recipe = folder.parents[2] / "nights.toml"
    state = read_json(run / "state.json")
    assert (state["state"], "tokens of notes: " in state["reason"]) == ("paused", True)
    assert read_json(folder / "latest.json")["run"] == Path(nights[3]["run"]).name
    assert (run / "card" / "README.md").exists()
    assert nights[4]["verified"]
    assert not (run / "train").exists()
    assert next(check["detail"] for check in verify_run(run)["checks"] if check["name"] == "finished").endswith(
        "train, which waits for `gristmill approve`"
    )
    for command in (["run", str(recipe), "--direct"], ["train", str(run), "--direct"]):
        with pytest.raises(SystemExit) as ended:
            main(command)
        assert ended.value.code == 3
    assert "gristmill approve" in capsys.readouterr().err
    with pytest.raises(PausedError, match="tokens of notes"):
        train_directly(run)
    refine_directly(recipe, "decide")
    assert read_json(run / "state.json") == read_json(run / "state.json") | {"state": "paused"}
    with pytest.raises(RecipeError, match="--note is empty"):
        approve_run(run, " ")
    opened = approve_run(run, "the new crawl is wanted", "Ada")
    assert (opened["verified"], opened["train"]) == (True, True)
    assert read_json(run / "approval.json") == opened["approval"]
    assert opened["approval"]["by"] == "Ada"
    assert read_json(folder / "latest.json")["run"] == run.name
    with pytest.raises(RecipeError, match="is not paused: it is complete"):
        approve_run(run, "again")
    result = refine_directly(recipe)
    assert (result["state"], result["drift"]["approved"], "training" in result) == ("complete", True, True)


def test_bins_are_those_of_the_first_good_night_and_a_damaged_record_is_passed_over(nights):
    folder = Path(nights[0]["run"]).parent
    first = read_json(Path(nights[0]["run"]) / "drift.json")
    assert read_json(folder / "drift_bins.json")["web"] == first["figures"]["bins"]["web"]
    later = read_json(Path(nights[3]["run"]) / "drift.json")
    assert later["figures"]["bins"]["web"] == first["figures"]["bins"]["web"]
    assert sum(later["figures"]["sources"]["web"]["signals"]["words"]) == 600
    write_json(Path(nights[1]["run"]) / "drift.json", {"of": 3})
    recipe = folder.parents[2] / "nights.toml"
    assert Path(nights[1]["run"]).name not in refine_directly(recipe)["drift"]["nights"]


# ------------------------------------------------------------------------------------------------ single measures

SOURCE = SourceFigures(1000, 10**6, 50, 40, {"en": 900, "de": 100}, {"words": (100,) * 10 + (0,)})
QUIET = NightFigures({"web": SOURCE, "book": SOURCE}, {"web": 10**6, "book": 10**6})


def night_with(**changes) -> NightFigures:
    return replace(QUIET, sources={**QUIET.sources, "web": replace(SOURCE, **changes)})


PLANTED = [
    ("signal", night_with(signals={"words": (400, 200, *(50,) * 8, 0)})),
    ("signal", night_with(signals={"words": (70,) * 10 + (300,)})),  # a third has no value any more
    ("language", night_with(languages={"en": 500, "de": 500})),
    ("source_share", night_with(bytes=2 * 10**6)),
    ("duplicate_rate", night_with(merged=300)),
    ("pii_per_mb", night_with(pii=160)),
    ("pii_per_mb", night_with(pii=2)),
    ("tokens", replace(QUIET, tokens={"web": 10**6, "book": 0})),
]


@pytest.mark.parametrize(("kind", "night"), PLANTED)
def test_a_drift_of_one_kind_is_beyond_its_bound_alone(kind, night):
    bounds = DriftBounds()
    found = compare(night, [QUIET] * 3, bounds).measured
    assert {one.kind for one in found if one.beyond} == {kind}
    assert not [one for one in compare(QUIET, [QUIET] * 3, bounds).measured if one.beyond]
    wide = bounds.model_copy(update=dict.fromkeys(DriftBounds.model_fields, 1000000000.0))
    assert not [one for one in compare(night, [QUIET] * 3, wide).measured if one.beyond]


@pytest.mark.parametrize(
    ("now", "nights", "left_out"),
    [
        (QUIET, [QUIET] * 2, "2 good runs before this one"),
        (night_with(documents=499), [QUIET] * 3, "source 'web' has 499 documents"),
        (QUIET, [night_with(documents=499), QUIET, QUIET], "source 'web' has 500 documents in 2 good runs"),
        (QUIET, [night_with(signals={}), QUIET, QUIET], "signal 'words' of source 'web' has a rule in 2 good runs"),
    ],
)
def test_what_is_not_compared_is_named(now, nights, left_out):
    assert any(text.startswith(left_out) for text in compare(now, nights, DriftBounds()).left_out)


def test_the_index_of_two_equal_samples_is_zero_on_average():
    draw = np.random.default_rng(5)
    edges = bin_edges(draw.normal(size=5000))
    assert len(edges) == 9
    samples = [[np.array(bin_counts(draw.normal(size=n), edges)) for n in (800, 2000)] for _ in range(400)]
    found = [stability_index(*pair) for pair in samples]
    assert abs(np.mean(found)) < 4 * np.std(found) / 20
    assert stability_index(np.array(bin_counts(draw.normal(0.6, size=800), edges)), samples[0][1]) > 0.25


def test_the_gate_is_no_part_of_the_lock_and_its_mistakes_are_named(tmp_path):
    recipe = load_recipe(write_night(tmp_path, 1)).recipe
    assert "drift" not in recipe.locked()
    assert recipe.drift == Drift(nights=3)
    text = RECIPE.format(folder=tmp_path).replace("nights = 3", "nights = 2\n[drift.bounds]\ntokens = 0.5\nword = 1")
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text)
    for key in ("drift.nights", "drift.bounds.tokens", "drift.bounds.word"):
        assert key in str(caught.value)


def naive_index(now: list[int], before: list[int]) -> float:
    """The index in plain Python."""
    bins = [(a + 0.5, b + 0.5) for a, b in zip(now, before, strict=True) if a + b]
    n1, n2 = sum(a for a, _ in bins), sum(b for _, b in bins)
    raw = sum((a / n1 - b / n2) * math.log(a / n1 / (b / n2)) for a, b in bins)
    return raw - (len(bins) - 1) * (1 / sum(now) + 1 / sum(before))


samples = st.lists(st.integers(0, 500), min_size=3, max_size=8).filter(any)


@given(samples, samples)
def test_the_index_equals_its_definition(now, before):
    size = min(len(now), len(before))
    now, before = [one[:size] for one in (now, before)]
    if any(now) and any(before):
        assert stability_index(np.array(now), np.array(before)) == pytest.approx(naive_index(now, before), abs=1e-9)


@given(st.lists(st.one_of(st.floats(-50, 50).map(lambda x: round(x, 1)), st.just(math.nan)), min_size=1, max_size=80))
def test_bins_hold_every_value_once_and_equal_values_together(values):
    edges = bin_edges(np.array(values))
    counts = bin_counts(np.array(values), edges)
    known = [value for value in values if not math.isnan(value)]
    assert sum(counts) == len(values)
    assert counts[-1] == len(values) - len(known)
    assert edges == sorted(set(edges))
    for place, edge in enumerate(edges):
        assert sum(counts[: place + 1]) == sum(value <= edge for value in known)


def test_a_new_source_and_a_lost_one_change_shares_alone():
    new = replace(QUIET, sources={**QUIET.sources, "crawl": SOURCE})
    compared = compare(new, [QUIET] * 3, DriftBounds())
    assert [(one.of, round(one.value, 3)) for one in compared.measured if one.beyond] == [
        ("book", 0.167),
        ("crawl", 0.333),
        ("web", 0.167),
    ]
    assert compared.left_out == ("source 'crawl' has 500 documents in 0 good runs: compared from 3 on",)
    lost = replace(QUIET, sources={"web": SOURCE})
    beyond = [(one.kind, one.of) for one in compare(lost, [QUIET] * 3, DriftBounds()).measured if one.beyond]
    assert beyond == [("source_share", "book"), ("source_share", "web")]


def test_rare_finds_and_few_copies_are_no_drift_by_chance():
    """Twice as many of three finds, and two copies more in a thousand, are what chance does."""
    rare = [night_with(pii=3, merged=1)] * 3
    found = compare(night_with(pii=7, merged=6), rare, DriftBounds(duplicate_rate=0.001, pii_per_mb=1.01)).measured
    assert not [one for one in found if one.beyond and one.of == "web" and one.kind in ("duplicate_rate", "pii_per_mb")]
    many = compare(night_with(pii=700, merged=600), rare, DriftBounds()).measured
    assert {one.kind for one in many if one.beyond} == {"duplicate_rate", "pii_per_mb"}


def test_the_reason_names_what_is_beyond_and_counts_the_rest():
    measured = tuple(Measured("signal", "web", f"s{n}", None, None, 1.0 + n, 0.25) for n in range(7))
    record = NightRecord("x", "2026-11-30", (), QUIET, measured, ())
    gate = Gate(record, approved=False)
    assert gate.paused
    assert gate.reason.startswith("signal s0 of web: 1 beyond 0.25; signal s1 of web: 2 beyond 0.25; ")
    assert gate.reason.endswith("; and 2 more")
    assert not Gate(record, approved=True).paused
    assert not Gate(replace(record, measured=()), approved=False).paused
    assert not Gate(None, approved=False).paused
