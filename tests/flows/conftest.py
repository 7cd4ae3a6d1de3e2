"""Sixty notes and a recipe of them that names plug-ins; small enough to be milled by many tests."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

NOTE = "Note {n} of the mill grinds on and on. {marks} [advert {n}] Ask agent é{n} how the wheel turned {turns} times."
RECIPE = """
name = "notes"
seed = 1
plugins = {plugins}
[[sources]]
name = "even"
path = "{folder}/even.jsonl"
domain = "notes"
[[sources]]
name = "odd"
path = "{folder}/odd.jsonl"
domain = "notes"
{extra}
[tokenizer]
vocab_size = 300
[shards]
row_tokens = 32
heldout = 0.1
[[curriculum]]
until_tokens = "1K"
shares = {{ notes = 1.0 }}
"""
WriteNotes = Callable[..., Path]


@pytest.fixture(scope="session")
def write_notes() -> WriteNotes:
    """A function that writes the notes, plug-in files and a recipe into a folder, and returns the recipe's path."""

    def write(folder: Path, files: dict[str, str], extra: str = "", plugins: list[str] | None = None) -> Path:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        for parity, source in enumerate(("even", "odd")):
            numbers = range(parity, 60, 2)
            notes = [{"id": f"n{n}", "text": NOTE.format(n=n, marks="!" * (n % 5), turns=n * n)} for n in numbers]
            (folder / f"{source}.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes))
        named = json.dumps([f"./{name}" for name in files if name.endswith(".py")] if plugins is None else plugins)
        recipe = folder / "notes.toml"
        recipe.write_text(RECIPE.format(folder=folder, plugins=named, extra=extra))
        return recipe

    return write


@pytest.fixture(scope="session")
def milled(write_notes, tmp_path_factory) -> tuple[Path, Path, Path]:
    """A recipe of the notes, a home with its run, and the run's path in there; tests take a copy."""
    from gristmill.flows.direct import refine_directly

    folder = tmp_path_factory.mktemp("milled")
    recipe = write_notes(folder, {}, "[card]\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRISTMILL_HOME", str(folder / "home"))
        run = Path(refine_directly(recipe)["run"])
    return recipe, folder / "home", run.relative_to(folder / "home")


@pytest.fixture
def milled_home(milled, tmp_path, monkeypatch) -> Path:
    """A copy of that home with its hard links."""
    subprocess.run(["cp", "-a", str(milled[1]), str(tmp_path / "home")], check=True)
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"
