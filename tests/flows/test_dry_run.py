"""What ``gristmill plan`` finds out beside parts: large files that no reader can split."""

import json

from gristmill.flows.pipeline.dry_run import plan_run

RECIPE = """
name = "large"
seed = 1
[limits]
part_bytes = 1000
[[sources]]
name = "notes"
path = "*"
domain = "web"
exclude = ["*.toml"]
[decide]
"""


def test_a_large_file_that_is_read_by_one_core_is_named(home, tmp_path, monkeypatch):
    folder = tmp_path / "raw"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "r.toml").write_text(RECIPE)
    text = "Mill grinds its corn by day and by night. "
    (folder / "large.csv").write_text("text\n" + f"{text}\n" * 100)
    (folder / "small.csv").write_text(f"text\n{text}\n")
    (folder / "large.jsonl").write_text((json.dumps({"text": text}) + "\n") * 100)
    plan = plan_run(folder / "r.toml")
    assert plan["one_core"] == ["large.csv"]
    assert plan["stages"]["documents"]["parts"] > 3
    assert not home.exists()
