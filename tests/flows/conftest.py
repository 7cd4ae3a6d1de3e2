"""Sixty notes and a recipe of them that names plug-ins; small enough to be milled by many tests."""

import json
import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.flows.notes_corpus import RECIPE, write_sources

WriteNotes = Callable[..., Path]


@pytest.fixture(scope="session")
def write_notes() -> WriteNotes:
    """A function that writes the notes, plug-in files and a recipe into a folder, and returns the recipe's path."""

    def write(folder: Path, files: dict[str, str], extra: str = "", plugins: list[str] | None = None) -> Path:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        write_sources(folder)
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


@pytest.fixture(scope="module")
def chromium():
    """Headless Chromium, or None where there is none on the path."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None or find_spec("playwright") is None:
        yield None
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def browser(chromium):
    """Headless Chromium; a test of a page is skipped without it."""
    if chromium is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the path, or no playwright")
    return chromium
