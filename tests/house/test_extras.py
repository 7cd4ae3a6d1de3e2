"""The core mills without the extras, and says in one line which extra a command needs; every library is declared."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from gristmill.corpus._rooms import HOUSE, ROOMS
from gristmill.corpus.errors import MissingExtraError, UnknownNameError
from gristmill.corpus.extras import EXTRAS, installed_versions, missing_extra, need
from tests.house.rules import parsed

PROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text())["project"]
MODULE_OF = {  # where a package and its module differ in name
    "fasttext-wheel": "fasttext",
    "huggingface-hub": "huggingface_hub",
    "pyyaml": "yaml",
}
NOT_IMPORTED = {
    "datasets": "opens the shards that we write, through its own load_from_disk; the card names its version",
    "fastapi": "a bound on what prefect brings",
    "sqlalchemy": "a bound on what prefect brings",
    "s3fs": "fsspec loads it for s3://",
}
# a process in which neither the libraries of the extras nor their versions can be found
WITHOUT = """
import importlib.metadata, importlib.util, sys
HIDDEN = {hidden!r}

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

def version(name, known=importlib.metadata.version):
    if name.replace("-", "_") in HIDDEN:
        raise importlib.metadata.PackageNotFoundError(name)
    return known(name)

sys.meta_path.insert(0, Hide())
importlib.metadata.version = version
"""
REFINE = """
import json
from pathlib import Path
from gristmill.flows.direct import refine_directly
answer = refine_directly(Path("tiny.toml"), until="plan")
print(json.dumps({"stages": list(answer["stages"]), "seen": sorted(HIDDEN & set(sys.modules))}))
"""
CLI = "from gristmill.cli import main\nmain(sys.argv[1:])\n"
RECIPE = """
name = "tiny"
seed = 7
[[sources]]
name = "notes"
path = "notes.jsonl"
domain = "web"
[language]
[decide]
[tokenizer]
vocab_size = 300
[shards]
row_tokens = 64
[mixing.caps]
max_epochs = 8
[[curriculum]]
until_tokens = "4K"
shares = { web = 1.0 }
"""
TRAINER = "[trainer.model]\nlayers = 1\n"
SCHEDULE = '[schedule]\ncron = "0 3 * * *"\n'


def modules(*extras: str) -> set[str]:
    return {module for extra in extras for module in EXTRAS[extra].modules}


@pytest.fixture
def folder(tmp_path) -> Path:
    texts = (" ".join(f"Mill {n * 7 + k} grinds its corn by day and by night." for k in range(20)) for n in range(30))
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (tmp_path / "tiny.toml").write_text(RECIPE)
    return tmp_path


def run_without(hidden: set[str], program: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(HOUSE), "GRISTMILL_HOME": str(folder / "home")}
    command = [sys.executable, "-c", WITHOUT.format(hidden=hidden) + program, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_core_mills_to_a_plan_without_any_extra(folder):
    done = run_without(modules(*EXTRAS), REFINE, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout)
    assert answer["stages"][-1] == "plan"
    assert not answer["seen"]


def test_a_card_is_written_where_nothing_can_train(folder):
    done = run_without(modules("train", "prefect"), CLI, folder, "run", "tiny.toml", "--direct", "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    card = json.loads((Path(json.loads(done.stdout)["run"]) / "card" / "card.json").read_text())
    assert "torch" not in card["environment"]
    assert "numba" in card["environment"]


@pytest.mark.parametrize(
    ("hidden", "recipe", "arguments", "told"),
    [
        ("train", TRAINER, ("run", "tiny.toml", "--direct"), "training needs torch: pip install 'gristmill[train]'"),
        ("card", "", ("run", "tiny.toml", "--direct"), "figures need matplotlib: pip install 'gristmill[card]'"),
        ("prefect", "", ("run", "tiny.toml"), "pip install 'gristmill[prefect]'; a run goes without it by --direct"),
        ("prefect", SCHEDULE, ("schedule", "tiny.toml"), "a schedule need prefect: pip install 'gristmill[prefect]'"),
        ("card", "", ("card", ".", "--check"), "figures need matplotlib: pip install 'gristmill[card]'"),
    ],
)
def test_a_missing_extra_is_told_in_one_line_before_anything_runs(folder, hidden, recipe, arguments, told):
    (folder / "tiny.toml").write_text(RECIPE + recipe)
    done = run_without(modules(hidden), CLI, folder, *arguments)
    assert done.returncode == 1
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (folder / "home" / "runs").exists()


def test_a_module_of_no_extra_is_no_missing_extra(monkeypatch):
    assert missing_extra(ModuleNotFoundError("No module named 'nothing'", name="nothing")) is None
    assert missing_extra(ModuleNotFoundError("made by hand")) is None
    with pytest.raises(UnknownNameError, match="unknown extra 'trian'; did you mean 'train'"):
        need("trian")
    need("train")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingExtraError, match=r"training needs safetensors: pip install 'gristmill\[train\]'"):
        need("train")
    assert set(installed_versions(["numpy", "a-package-of-nobody"])) == {"numpy"}


def declared(requirements: list[str]) -> set[str]:
    """Packages of a list of requirements, by the names of their modules; our own extras left out."""
    names = {re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower() for requirement in requirements} - {"gristmill"}
    return {MODULE_OF.get(name, name.replace("-", "_")) for name in names}


@cache
def imported(paths: tuple[Path, ...]) -> dict[str, set[str]]:
    """Top-level modules that files import, from anywhere but the standard library and the house, with the files."""
    found: dict[str, set[str]] = {}
    for path in paths:
        for node in ast.walk(parsed(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"gristmill"}:
                found.setdefault(name, set()).add(path.relative_to(HOUSE).as_posix())
    return found


FILES = tuple(sorted(path for room in ROOMS for path in (HOUSE / room).rglob("*.py")))
CORE = declared(PROJECT["dependencies"])


def test_every_library_that_is_imported_is_declared_and_the_other_way_round():
    parts = {"llvmlite", "markupsafe", "pydantic_core"}  # of numba, jinja2 and pydantic, which cannot be without them
    parts.add("transformers")  # an export is compared with it where it is installed, see trainer/layouts/parity.py
    assert set(imported(FILES)) - parts == (CORE | modules(*EXTRAS)) - set(NOT_IMPORTED)


def test_the_extras_are_those_of_pyproject():
    optional = PROJECT["optional-dependencies"]
    assert {name: declared(optional[name]) for name in EXTRAS} == {name: modules(name) for name in EXTRAS}
    assert set(optional) == {*EXTRAS, "all", "dev", "docs"}
    assert optional["all"] == [f"gristmill[{','.join(EXTRAS)}]"]
    assert "gristmill[all]" in optional["dev"]


def test_what_the_user_named_is_declared():
    named = {"torch", "datasets", "pyarrow", "datasketch", "fasttext", "dask", "prefect"}
    assert named <= CORE | modules(*EXTRAS)
    assert "pytest" in declared(PROJECT["optional-dependencies"]["dev"])


HOME_OF = {  # where a library of an extra may be imported, at any depth
    "torch": r"trainer/|handoff/torch\.py",
    "safetensors": r"trainer/|flows/",
    "prefect": r"flows/(refine|train|schedule|server|prefect_settings)\.py",
    "matplotlib": r"data_cards/",
    "mlcroissant": r"data_cards/",
    "huggingface_hub": r"data_cards/",
}


def astray(found: dict[str, set[str]]) -> list[str]:
    return [
        f"{file} imports {module}"
        for module, files in sorted(found.items())
        for file in sorted(files)
        if module in HOME_OF and not re.match(HOME_OF[module], file)
    ]


def test_libraries_of_extras_stay_where_they_belong():
    assert not astray(imported(FILES))
    assert astray({"torch": {"mixing/plan.py"}}) == ["mixing/plan.py imports torch"]
    assert astray({"prefect": {"flows/refine.py", "flows/pipeline/jobs.py"}}) == [
        "flows/pipeline/jobs.py imports prefect"
    ]
