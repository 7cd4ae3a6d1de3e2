"""Facts that one phase alone states: what probes find of them, and what verify says of what they find."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from gristmill.corpus._rooms import HOUSE
from gristmill.corpus.errors import RecipeError, TrainError
from gristmill.corpus.files import file_sha256
from gristmill.flows.inspect.verify_facts import checks_of
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from gristmill.handoff.plan import Domain, Plan
from gristmill.handoff.schedule import ONE, Segment
from gristmill.handoff.shards import ShardWriter
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.shape import Shape
from gristmill.trainer.training.fact_pairs import (
    FILE,
    FactTokens,
    judge,
    make_facts,
    planted_documents,
    read_facts,
    write_facts,
)
from gristmill.trainer.training.loop import train

FACTS, VOCAB, ROW, ROWS = 16, 64, 32, 60
KEYS, VALUES = np.arange(16, 32), np.arange(32, 48)  # tokens; texts of the other domain have 2 to 15 and 48 to 63
TOLD = FactTokens(tuple((int(key),) for key in KEYS), tuple((int(value), 1) for value in VALUES))
CONFIG = TrainConfig(
    vocab_size=VOCAB,
    row_tokens=ROW,
    seed=1,
    model=Shape(layers=1, width=32, heads=2, experts=4, expert_width=32),
    batch_rows=8,
    learning_rate=5e-3,
    warmup_steps=4,
    checkpoint_steps=10,
    heldout_rows=0,
    threads=1,
)


def write_domain(folder, tokens):
    with ShardWriter(folder, row_tokens=ROW, vocab_size=VOCAB, shard_rows=99, batch_rows=16) as writer:
        whole = [[{"doc_id": f"{row:032x}", "start": 0, "length": ROW, "offset": 0}] for row in range(len(tokens))]
        writer.write(tokens, whole)
    return file_sha256(folder / "index.json")


def stated(rng, values):
    """Rows of facts in any order: a key, its value, and the end of the line (1)."""
    at = rng.integers(0, FACTS, (ROWS, 11))
    return np.stack([KEYS[at], values[at], np.ones_like(at)], axis=2).reshape(ROWS, -1)[:, :ROW]


def make_run(folder, fault=""):
    """20 steps of other text, then 90 that state facts; with facts known before, 50 and 10."""
    rng = np.random.default_rng(3)
    other = rng.choice([*range(2, 16), *range(48, 64)], (ROWS, ROW))
    if fault == "known before":
        other = stated(rng, VALUES)
    facts = stated(rng, np.roll(VALUES, 1) if fault == "never stated" else VALUES)
    domains = tuple(
        Domain(name, ROWS, write_domain(folder / "shards" / name, rows))
        for name, rows in (("other", other), ("planted", facts))
    )
    stops = (400, 480) if fault == "known before" else (160, 880)
    phases = (Segment(stop, shares, shares) for stop, shares in zip(stops, ((ONE, 0), (0, ONE)), strict=True))
    plan = Plan.build(domains, row_tokens=ROW, seed=1, segments=tuple(phases))
    plan.save(folder / "plan")
    return folder


def checks(run, domain="planted"):
    return {check.name.removeprefix("planted facts").strip(): check for check in checks_of(run, domain)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = make_run(tmp_path_factory.mktemp("facts"))
    train(run, run / "train", CONFIG, facts=TOLD)
    return run


@pytest.mark.parametrize("fault", ["", "known before", "never stated"])
def test_facts_are_unknown_before_their_phase_and_learnt_after_it(trained, tmp_path, fault):
    run = make_run(tmp_path, fault) if fault else trained
    if fault:
        train(run, run / "train", CONFIG, facts=TOLD)
    found = checks(run)
    assert found["unknown before"].ok == (fault != "known before"), found
    assert found["learnt"].ok == (fault != "never stated"), found
    assert "of 16 up to sample " in found["unknown before"].detail


def test_probes_stand_at_the_beginning_and_at_every_checkpoint(trained):
    probes = pq.read_table(trained / "train" / FILE).to_pydict()
    assert probes["step"] == list(range(0, 111, 10))
    assert probes["sample"] == [8 * step for step in probes["step"]]
    assert set(probes["facts"]) == {FACTS}


def test_training_goes_the_same_way_without_them_and_when_it_is_interrupted(trained, tmp_path):
    for name, facts, stops in (("whole", TOLD, [12]), ("plain", None, [12]), ("parts", TOLD, [7, 12])):
        for stop in stops:
            train(trained, tmp_path / name, CONFIG, facts=facts, max_steps=stop)
    models = [sorted((tmp_path / name).rglob("model.safetensors"))[-1] for name in ("whole", "plain", "parts")]
    assert len({path.read_bytes() for path in models}) == 1
    assert not (tmp_path / "plain" / FILE).exists()
    probes = [pq.read_table(tmp_path / name / FILE) for name in ("whole", "parts")]
    assert [one["step"].to_pylist() for one in probes] == [[0, 10, 12], [0, 7, 10, 12]]
    assert probes[0].to_pylist() == [row for row in probes[1].to_pylist() if row["step"] != 7]


def test_a_domain_that_is_never_drawn_and_a_missing_file_fail(trained, tmp_path):
    assert "draws 0 rows of nowhere" in checks(trained, "nowhere")[""].detail
    assert "missing" in checks(make_run(tmp_path))[""].detail
    assert not checks(trained, "nowhere")[""].ok


@pytest.mark.parametrize(
    ("right", "unknown", "learnt"),
    [
        ([3, 0, 64, 64], True, True),
        ([0, 4, 64, 0], False, True),
        ([1, 1, 57, 64], True, False),
        ([3, 3, 58, 0], True, True),
    ],
)
def test_a_verdict_takes_the_best_probe_before_and_the_first_after(right, unknown, learnt):
    probes = {"sample": [0, 100, 200, 300], "facts": [64] * 4, "right": right}
    found = judge(probes, first=100, last=199)
    assert (found.unknown_before, found.learnt) == (unknown, learnt)
    assert 3.9 < found.bound < 4  # 1 expected, and three standard errors


def test_without_probes_nothing_is_proved():
    for sample in ([], [5], [300]):
        found = judge({"sample": sample, "facts": [64] * len(sample), "right": [64] * len(sample)}, 100, 199)
        assert not (found.unknown_before and found.learnt)


def test_facts_are_different_words_and_documents_state_them(tmp_path):
    facts = make_facts(64, 7)
    assert len({word for fact in facts for word in (fact.key, fact.value)}) == 128
    lines = {f"{fact.key} {fact.value}" for fact in facts}
    texts = planted_documents(facts, 20, 42, 7)
    assert all(len(text.split("\n")) == 42 and set(text.split("\n")) <= lines for text in texts)
    assert len(set(texts)) == 20
    write_facts(tmp_path / "facts", facts)
    assert read_facts(tmp_path / "facts") == facts


def test_the_shipped_facts_are_those_that_the_code_makes(tmp_path):
    from bench.facts import write

    write(tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (HOUSE / "samples" / "planted" / path.name).read_bytes()


LINES = [{"key": "a", "value": "b"}, {"key": "c", "value": "d"}]


@pytest.mark.parametrize(
    "text",
    ["", "x", "3", json.dumps(LINES[0]), '{"key": "a"}', json.dumps({"key": "a", "value": 3})]
    + ["\n".join(json.dumps(line) for line in [*LINES, {"key": key, "value": "f"}]) for key in ("a", " b", " ")],
)
def test_a_file_that_is_no_list_of_facts_is_one_clear_error(tmp_path, text):
    (tmp_path / "facts").write_text(text)
    with pytest.raises(TrainError, match=r"^trainer\.proof\.facts: "):
        read_facts(tmp_path / "facts")
    with pytest.raises(TrainError, match=r"trainer\.proof\.facts: .*none"):
        read_facts(tmp_path / "none")


RECIPE = (HOUSE / "recipes" / "planted.toml").read_text()
PHASES = RECIPE[RECIPE.index("[[curriculum]]") : RECIPE.index("[mixing.caps]")]
ONCE = 'until_tokens = "{}"\nshares = {{ forum = 0.9, planted = 0.1 }}\n'


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        (PHASES, "", "phases that do: none"),
        (PHASES, f"[[curriculum]]\n{ONCE.format('96K')}", "phases that do: 1"),
        ("[mixing.caps]", f"[[curriculum]]\n{ONCE.format('400K')}\n[mixing.caps]", "phases that do: 2, 3"),
        (
            "[mixing.caps]",
            '[[curriculum]]\nuntil_tokens = "400K"\nshape = "linear"\nshares = { forum = 1.0 }\n[mixing.caps]',
            "phases that do: 2, 3",
        ),
        ('domain = "planted"\n', 'domain = "plantes"\n', "plantes"),
        ("facts.jsonl", "documents.jsonl", "is no list of"),
        ("facts.jsonl", "none.jsonl", "no file at samples/planted/none.jsonl"),
    ],
)
def test_mistakes_of_the_recipe_are_found_before_it_runs(monkeypatch, old, new, mistake):
    monkeypatch.chdir(HOUSE)
    assert parse_recipe(RECIPE).recipe.trainer.proof.domain == "planted"
    with pytest.raises(RecipeError, match=r"trainer\.proof") as caught:
        parse_recipe(new.join(RECIPE.rsplit(old, 1)))
    assert mistake in str(caught.value)
