"""``gristmill mix``: settings and files over a run's recipe, checked as a recipe is."""

import pytest

from gristmill.corpus.errors import RecipeError
from gristmill.flows.inspect.mix import mix_run
from gristmill.handoff.plan import Plan
from gristmill.show_questions import show_mix


def shares_of(found) -> dict[str, float]:
    return {one["domain"]: one["share"] for one in found["domains"]}


def test_the_recipe_itself_is_as_planned_and_nothing_is_written(small_run, capsys):
    before = {path: path.stat().st_mtime_ns for path in small_run.rglob("*")}
    found = mix_run(small_run)
    assert found["feasible"]
    assert found["samples"] == Plan.load(small_run / "plan").samples
    assert [phase["until_tokens"] for phase in found["phases"]] == [12_000, 20_000]
    assert before == {path: path.stat().st_mtime_ns for path in small_run.rglob("*")}
    show_mix(found)
    assert "to 20,000 (linear)" in capsys.readouterr().out


def test_a_share_is_set_and_the_others_keep_their_proportions(small_run):
    found = mix_run(small_run, ["curriculum.0.shares.web=0.55", "curriculum.1.shape=step"])
    first = found["phases"][0]["tokens"]
    assert [first[name] for name in ("web", "forum", "instructions", "legal")] == pytest.approx(
        [6600, 3000, 1800, 600], abs=64
    )
    assert found["phases"][1]["tokens"]["web"] == 0


def test_named_shares_caps_and_lengths_are_set(small_run):
    found = mix_run(
        small_run, ["curriculum.1.shares=unimax", "curriculum.1.shape=cosine", "curriculum.1.until_tokens=40K"]
    )
    assert found["phases"][1]["until_tokens"] == 40_000
    assert min(shares_of(found).values()) > 0.1
    whole = mix_run(small_run, ["curriculum.1.shares={ web = 0.5, forum = 0.5 }", "curriculum.1.shape=step"])
    assert whole["phases"][1]["tokens"]["web"] == pytest.approx(4000, abs=64)
    tight = mix_run(small_run, ["mixing.caps.max_epochs=0.001"])
    assert not tight["feasible"]
    assert "more often than mixing.caps allows" in tight["advice"]
    assert mix_run(small_run, ["mixing.caps.domains.web=0.001"])["advice"].count("the cap is") == 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("curriculum.0.shares.web", "is not KEY=VALUE"),
        ("curriculum.0.shares.wed=0.1", r"curriculum\.0\.shares\.wed: no source has the domain 'wed'"),
        ("curriculum.0.shares.web=1.1", "less than or equal to 1"),
        ("curriculum.0.shares.web=much", r"curriculum\.0\.shares\.web: Input should be a valid number"),
        ("curriculum.0.shares=unimix", "did you mean 'unimax'"),
        ("curriculum.0.shpe=step", "no such key; did you mean 'shape'"),
        ("curriculum.7.shape=step", "nothing stands at '7'"),
        ("curriculum.0.until_tokens=30K", "20000 does not come after 30000"),
        ("curriculum.0.shares={ web 0.5 }", "is no TOML"),
        ("mixing.cups.max_epochs=2", "nothing stands at 'cups'"),
        ("mixing.budget=1M", "the curriculum ends after 20000"),
        ("seed=3", "seed: set keys of curriculum"),
    ],
)
def test_a_wrong_setting_is_one_message(small_run, setting, message):
    with pytest.raises(RecipeError, match=message):
        mix_run(small_run, [setting])


def test_a_file_takes_the_place_of_the_curriculum(small_run, tmp_path):
    path = tmp_path / "other.toml"
    path.write_text('[[curriculum]]\nuntil_tokens = "5K"\nshares = { web = 0.25, forum = 0.75 }\n')
    shares = shares_of(mix_run(small_run, curriculum=path))
    assert shares == pytest.approx({"web": 0.25, "forum": 0.75, "instructions": 0, "legal": 0}, abs=0.01)
    for text, message in (
        ('[[curriculum]]\nuntil_tokens = "5K"\nshares = { web = 0.5 }\n', r"shares sum to 0\.5, not 1 \(line 3\)"),
        ("[decide]\n", "'decide' is neither"),
        ("[[curriculum]\n", "is not TOML"),
    ):
        path.write_text(text)
        with pytest.raises(RecipeError, match=message):
            mix_run(small_run, curriculum=path)
