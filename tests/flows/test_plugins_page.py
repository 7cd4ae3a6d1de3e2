"""Every example of the page on plug-ins is milled as it stands there."""

import re
from pathlib import Path

import pytest

from gristmill.corpus.stage import PartStage
from gristmill.flows.direct import refine_directly
from gristmill.flows.pipeline.open_context import kept_catalogue, reopen_run
from gristmill.sources.reader import Reader

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins.md"
EXAMPLE = re.compile(r"^```python\n(?P<code>.*?)^```$.*?^```toml\n(?P<recipe>.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [(found["code"], found["recipe"]) for found in EXAMPLE.finditer(PAGE.read_text())]


def test_the_signal_takes_about_twelve_lines():
    assert len([line for line in EXAMPLES[0][0].splitlines() if line.strip()]) <= 12
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize(("code", "recipe"), EXAMPLES, ids=lambda text: text[:24])
def test_an_example_runs(home, tmp_path, write_notes, monkeypatch, code, recipe):
    monkeypatch.chdir(tmp_path)
    name = re.search(r"\./(\w+\.py)", recipe)[1]
    (tmp_path / "words.txt").write_text("wheel grinds")
    (tmp_path / "poems.stanzas").write_text("The first.\n\n\n\nThe second.")
    extra = recipe.partition("\n")[2]
    if "stanzas" in name:
        extra = f'[[sources]]\nname = "poems"\npath = "{tmp_path}/poems.stanzas"\ndomain = "notes"\n'
    result = refine_directly(write_notes(tmp_path, {name: code}, extra), until="edits")
    with reopen_run(Path(result["run"]), plugins=True) as context:
        catalogue = kept_catalogue(context.run, context.recipe)
        added = [spec for spec in catalogue.specs if spec.name in catalogue.plugins]
        assert all(isinstance(spec, PartStage) and context.run.has(spec.name) for spec in added)
        assert all(isinstance(one.reader, Reader) for one in catalogue.readers)
        assert len(added) + len(catalogue.readers) == 1
        assert context.run.has("edits") == ("adverts" in name)
    assert result["stages"]["documents"]["documents_out"] == (62 if "stanzas" in name else 60)
