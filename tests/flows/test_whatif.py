"""Questions to a finished run: what if, sweeps and rankings; each equals the run that would be made."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gristmill.corpus.errors import RecipeError, StoreError, UnknownNameError
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect import run_evidence as evidence
from gristmill.flows.inspect.rank import rank_run
from gristmill.flows.inspect.settings import setting_path, with_settings
from gristmill.flows.inspect.sweep import sweep_run
from gristmill.flows.inspect.whatif import MAX_LISTED, whatif_run
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from gristmill.flows.review.page_server import queue_state


def ledger_of(run) -> dict[str, str]:
    """doc_id -> verdict."""
    with reopen_run(run) as context:
        table = pq.read_table(context.file("decide", "ledger.parquet"), columns=["doc_id", "verdict"])
    return dict(zip(*table.to_pydict().values(), strict=True))


def files_of(run) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in run.parent.rglob("*") if path.is_file()}


def counts(ledger: dict[str, str]) -> dict[str, int]:
    return {
        f"documents_{verdict}": sum(one == verdict for one in ledger.values())
        for verdict in ("kept", "dropped", "merged")
    }


def flipped(before: dict[str, str], after: dict[str, str], verdict: str) -> list[str]:
    """In the documents' order."""
    return [one for one, now in after.items() if now == verdict and before[one] != now]


@pytest.fixture(scope="module")
def decided(small_run, small_home, tmp_path_factory):
    """Mills the small recipe with other text up to decide, in a copy of the home: the home itself has one run."""
    home = tmp_path_factory.mktemp("whatif") / "home"
    shutil.copytree(small_home, home)

    def decided(text: str) -> Path:
        recipe = home / "changed.toml"
        recipe.write_text(text)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GRISTMILL_HOME", str(home))
            return Path(refine_directly(recipe, "decide")["run"])

    return decided


COMMON, WEB = '[decide]\nprofiles = ["length"]', '["fineweb@0.01"]'
FORUM = "[decide.domains.forum.rules.chars]\nat_least = 300\n"
WEB_RULES = "\n[decide.domains.web.rules]\nshort_line_share.off = true\nwords.at_most = 300"
CHANGES = [
    (["words.at_least=40"], (COMMON, f"{COMMON}\nrules.words.at_least = 40")),
    (["decide.profiles=c4,length"], (COMMON, '[decide]\nprofiles = ["c4", "length"]')),
    (["domains.web.profiles=length"], (WEB, '["length"]')),
    (["domains.web.rules.short_line_share.off=true", "domains.web.words.at_most=300"], (WEB, WEB + WEB_RULES)),
    (["domains.forum.rules.chars.at_least=300"], ("[knowledge]", f"{FORUM}[knowledge]")),
]


@pytest.mark.parametrize(("sets", "change"), CHANGES, ids=lambda value: value[0][:30])
def test_whatif_equals_a_run_of_the_changed_recipe(small_run, small_text, decided, sets, change):
    assert small_text.count(change[0]) == 1
    answer = whatif_run(small_run, sets)
    before, after = ledger_of(small_run), ledger_of(decided(small_text.replace(*change)))
    assert counts(before).items() <= answer["before"].items()
    assert counts(after).items() <= answer["after"].items()
    assert before != after
    for verdict in ("kept", "dropped", "merged"):
        expected = flipped(before, after, verdict)
        assert answer["flipped"]["counts"][f"to_{verdict}"] == len(expected)
        assert set(answer["flipped"][f"to_{verdict}"]) <= set(expected)
        assert len(answer["flipped"][f"to_{verdict}"]) == min(len(expected), MAX_LISTED)


def test_by_source_adds_up_and_nothing_is_written(small_run):
    files = files_of(small_run)
    answer = whatif_run(small_run, ["words.at_least=80"])
    for side in ("before", "after"):
        for name, total in answer[side].items():
            assert sum(source[side][name] for source in answer["by_source"].values()) == total
    written = {name for name, time in files_of(small_run).items() if files.get(name) != time}
    assert not {name for name in written if not name.endswith("writer.lock")}


def test_changed_rules_are_told(small_run):
    rules = whatif_run(small_run, ["words.at_least=80"])["rules"]
    assert set(rules) == {"forum", "instructions", "legal"}
    assert rules["forum"] == {"went": ["words >= 5 (length v3)"], "came": ["words >= 80 (length v3)"]}


def test_the_same_bound_changes_nothing(small_run):
    answer = whatif_run(small_run, ["words.at_least=5"])
    assert answer["before"] == answer["after"]
    assert answer["rules"] == {}
    assert answer["flipped"]["counts"] == {"to_kept": 0, "to_dropped": 0, "to_merged": 0}
    assert answer["budget"] is None


def test_a_broken_budget_is_told(small_text, decided):
    run = decided(small_text.replace('domain = "forum"', 'domain = "forum"\nretention_budget = 0.2', 1))
    assert "sources.forum.retention_budget" in whatif_run(run, ["words.at_least=1000"])["budget"]


def test_two_profiles_judge_every_document(small_run, small_text, decided):
    answer = whatif_run(small_run, diff=("length", "gopher@datatrove"))
    one = small_text.replace('[decide.domains.web]\nprofiles = ["fineweb@0.01"]\n', "")
    other = one.replace('profiles = ["length"]', 'profiles = ["gopher@datatrove"]')
    before, after = ledger_of(decided(one)), ledger_of(decided(other))
    assert counts(before).items() <= answer["before"].items()
    assert counts(after).items() <= answer["after"].items()
    assert answer["flipped"]["counts"]["to_dropped"] == len(flipped(before, after, "dropped"))


@pytest.mark.parametrize(
    ("key", "error", "words"),
    [
        ("words", RecipeError, "not KEY=VALUE"),
        ("words.atleast=8", RecipeError, "did you mean 'at_least'"),
        ("profils=c4", RecipeError, "did you mean 'profiles'"),
        ("decide.domains.wep.profiles=c4", RecipeError, "no source has the domain 'wep'; did you mean 'web'"),
        ("words.at_least=many", RecipeError, r"decide\.rules\.words\.at_least: .*number.*'many'"),
        ("wrds.at_least=8", UnknownNameError, "did you mean 'words'"),
        ("profiles=c5", UnknownNameError, "unknown profile 'c5'"),
    ],
)
def test_a_mistake_is_named(small_run, key, error, words):
    with pytest.raises(error, match=words):
        whatif_run(small_run, [key])


def test_sets_or_profiles_and_not_both(small_run):
    with pytest.raises(RecipeError, match="--set KEY=VALUE"):
        whatif_run(small_run)
    with pytest.raises(RecipeError, match="--diff"):
        whatif_run(small_run, ["words.at_least=8"], ("c4", "length"))


def test_settings_stand_where_the_recipe_has_them(small_text):
    recipe = parse_recipe(
        small_text.replace('"web"', '"we.b"').replace("domains.web", 'domains."we.b"').replace("web =", '"we.b" =')
    ).recipe
    assert setting_path(recipe, "words.at_least") == "decide.rules.words.at_least"
    assert setting_path(recipe, "domains.we.b.rules.words.off") == "decide.domains.we.b.rules.words.off"
    changed = with_settings(recipe, ["domains.we.b.words.at_most=-9", "profiles=", "words.off=yes"])
    assert changed.decide.domains["we.b"].rules["words"].at_most == -9
    assert changed.decide.domains["we.b"].profiles == ("fineweb@0.01",)
    assert changed.decide.profiles == ()
    assert changed.decide.rules["words"].off
    assert recipe.decide.rules == {}
    assert with_settings(recipe, ['profiles=["c4", "length"]']).decide.profiles == ("c4", "length")


def test_a_sweep_equals_whatif_at_each_bound(small_run, tmp_path):
    result = sweep_run(small_run, "words.at_least", 0, 120, 4, tmp_path / "plot.svg")
    assert result["key"] == "decide.rules.words.at_least"
    assert result["bounds"] == [0, 40, 80, 120]
    for at, bound in enumerate(result["bounds"]):
        answer = whatif_run(small_run, [f"words.at_least={bound}"])
        assert result["kept_documents"][at] == answer["after"]["documents_kept"]
        assert result["kept_bytes"][at] == answer["after"]["bytes_kept"]
        for source, curve in result["by_source"].items():
            assert curve["documents"][at] == answer["by_source"][source]["after"]["documents_kept"]
        assert sum(curve["share"][at] for curve in result["by_source"].values()) == pytest.approx(1)


def test_a_sweep_is_drawn_the_same_each_time(small_run, tmp_path):
    for name in ("a.svg", "b.svg"):
        sweep_run(small_run, "decide.domains.web.rules.words.at_most", 10, 1000, 5, tmp_path / name)
    svg = (tmp_path / "a.svg").read_text()
    assert svg == (tmp_path / "b.svg").read_text()
    assert "decide.domains.web.rules.words.at_most" in svg
    assert "share of kept bytes" in svg


def test_what_cannot_be_swept(small_run):
    with pytest.raises(RecipeError, match="steps is 1"):
        sweep_run(small_run, "words.at_least", 0, 1, 1)
    with pytest.raises(RecipeError, match="is no bound"):
        sweep_run(small_run, "words.off", 0, 1, 2)


def test_signals_are_ranked_between_sources(small_run):
    result = rank_run(small_run, ["speeches"], ["dirty", "instructions"])
    assert result["documents"]["better"] > 0
    distances = [row["distance"] for row in result["ranking"]]
    assert distances == sorted(distances, reverse=True)
    names = {row["signal"] for row in result["ranking"]}
    assert {"words", "lang_score", "entities"} <= names
    best = result["ranking"][0]
    assert best["lost_worse"] > best["lost_better"]


def test_what_cannot_be_ranked(small_run):
    with pytest.raises(UnknownNameError, match="did you mean 'speeches'"):
        rank_run(small_run, ["speechs"], ["forum"])
    with pytest.raises(RecipeError, match="on both sides"):
        rank_run(small_run, ["speeches"], ["legal"])
    with pytest.raises(RecipeError, match="a side has no documents"):
        rank_run(small_run, [], ["legal"])


def ask_whatif(run):
    whatif_run(run, ["words.at_least=40"])


def ask_sweep(run):
    sweep_run(run, "words.at_least", 0, 9, 2)


def ask_review(run):
    queue_state(run, 0.1)


@pytest.mark.parametrize("ask", [ask_whatif, ask_sweep, ask_review])
def test_a_run_of_older_code_is_to_be_run_again(small_run, monkeypatch, ask):
    """A profile asks for a signal that the stage measures today and the stored run does not have."""
    real = evidence.known_signals
    monkeypatch.setattr(evidence, "known_signals", lambda context: [one for one in real(context) if one != "words"])
    with pytest.raises(
        StoreError, match=r"run `gristmill run RECIPE` again: this run has no signal 'words' \(measured"
    ):
        ask(small_run)
