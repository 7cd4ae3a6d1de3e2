"""What a person sees of a tuning."""

import pytest

from gristmill.show_tune import budget_text, show_budget, show_tuning

BUDGET = {
    "preset": "bigram",
    "runs": 16,
    "swarm_runs": 10,
    "paired_runs": 6,
    "tokens_per_run": 6000,
    "tokens": 96_000,
    "full_tokens": 20_000,
    "cpu_minutes": 0.03,
}
RESULT = {
    "prior": {"code": 0.25, "web": 0.75},
    "caps": {"code": 0.4, "web": 1.0},
    "proposal": {
        "shares": {"code": 0.4, "web": 0.6},
        "predicted": 2.5,
        "half_width": 0.1,
        "difference_from_prior": -0.05,
    },
    "fit": {
        "kinds": [{"name": "law", "error": 0.02, "half_width": 0.1, "rank_correlation": 0.9}],
        "noise": 0.01,
        "noise_freedom": 2,
        "swarm_deviation": 0.2,
    },
    "comparison": {"sentence": "the proposal is better"},
    "next_runs": [{"shares": {"code": 1.0, "web": 0.0}, "runs": 3, "why": "to know more"}],
    "notices": ["few [runs]"],
    "curriculum": "[[curriculum]]\nuntil_tokens = 20000\n",
    "file": "mixture.json",
}


@pytest.mark.parametrize(("full", "text"), [(20_000, "a run of 20,000 tokens"), (None, "a run of one epoch")])
def test_the_cost_is_one_line(full, text, capsys):
    assert text in budget_text(BUDGET | {"full_tokens": full})
    show_budget({"budget": BUDGET})
    shown = capsys.readouterr().out
    assert "16 proxy runs of 6,000 tokens" in shown
    assert "about 0.03 CPU minutes" in shown


def test_shares_intervals_next_runs_and_the_curriculum_are_shown(capsys):
    show_tuning(RESULT)
    shown = capsys.readouterr().out
    assert [line.split() for line in shown.splitlines() if line.startswith(("code", "web"))] == [
        ["code", "0.2500", "0.4000", "0.4000"],
        ["web", "0.7500", "0.6000"],
    ]
    assert "predicted 2.5000 +- 0.1000 (90 %), -0.0500 from the prior" in shown
    assert "the proposal is better\nnext: 3 x code 1.000: to know more\nnotice  few [runs]" in shown
    assert shown.endswith('until_tokens = 20000\n\nor shares = "tuned:mixture.json"\n')
