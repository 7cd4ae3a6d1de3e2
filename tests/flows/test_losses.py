"""What a run says of records that are lost: every source, rejects in budgets, warnings where documents are few."""

import json
from pathlib import Path

import pytest

from gristmill.corpus.errors import BudgetError, SourceError
from gristmill.corpus.rundir import RunDir
from gristmill.flows.direct import refine_directly
from gristmill.flows.pipeline.dry_run import plan_run
from gristmill.run_overview import overview
from gristmill.show import show_run

RECIPE = """
name = "lossy"
seed = 1
[[sources]]
name = "fine"
path = "fine.jsonl"
domain = "web"
[[sources]]
name = "broken"
path = "broken.jsonl"
domain = "web"
{budget}
[decide]
"""
WORDS = "The mill grinds its corn by day and by night, and on feast days as well, said the old miller to his wife."


@pytest.fixture
def recipe(home, tmp_path, monkeypatch):
    """Five equal documents, and a source whose records are all rejected, for reasons that no key causes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fine.jsonl").write_text((json.dumps({"text": WORDS}) + "\n") * 5)
    (tmp_path / "broken.jsonl").write_text('{"text": ""}\n{"text": "cut\n{"text": " "}\n')

    def write(budget: str = ""):
        (tmp_path / "recipe.toml").write_text(RECIPE.format(budget=budget))
        return tmp_path / "recipe.toml"

    return write


def test_a_source_that_is_rejected_whole_stands_in_the_table_and_in_json(recipe, capsys):
    result = refine_directly(recipe(), "decide")
    assert list(result["sources"]) == ["broken", "fine"]
    broken = result["sources"]["broken"]
    assert (broken["documents"], broken["rejected"], broken["kept"]) == (0, 3, 0)
    assert overview(RunDir.open(Path(result["run"])))["sources"] == result["sources"]
    show_run(result)
    assert [line.split()[:3] for line in capsys.readouterr().out.splitlines() if line.startswith("broken")] == [
        ["broken", "0", "3"]
    ]


def test_few_documents_in_one_cluster_are_a_warning(recipe, capsys):
    result = refine_directly(recipe(), "decide")
    (notice,) = [one for one in result["notices"] if "cluster" in one]
    assert "holds 5 of 5 documents" in notice
    show_run(result)
    assert "holds 5 of 5 documents" in " ".join(capsys.readouterr().out.split())


def test_rejects_count_before_anything_is_measured(recipe, home):
    with pytest.raises(BudgetError, match=r"'broken' lost 3 of 3 records \(100.0%: 3 rejected\).*retention_budget"):
        refine_directly(recipe("retention_budget = 0.9"), "decide")
    assert not (home / "store" / "signals").exists()


@pytest.mark.parametrize("ask", [plan_run, lambda path: refine_directly(path, "decide")])
def test_all_sources_whose_keys_are_wrong_are_told_at_once_before_any_is_read(recipe, tmp_path, home, ask):
    (tmp_path / "fine.jsonl").write_text('{"body": "a"}\n' * 60)
    (tmp_path / "broken.jsonl").write_bytes(b'{"text": "caf\xe9"}\n' * 60)
    with pytest.raises(SourceError, match="2 sources are wrong") as caught:
        ask(recipe())
    assert all(key in str(caught.value) for key in ("sources.fine.text_field", "sources.broken.encoding"))
    assert not list(home.glob("store/documents/*"))
