"""The wheel and the sdist: built from copies of the tree, installed beside foreign packages, milled with elsewhere."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from email import message_from_string
from pathlib import Path

import pytest

from gristmill import __version__
from gristmill.corpus._rooms import HOUSE, ROOMS

NOT_BUILT = ("samples", "tests", "bench", "docs")
FOREIGN = ("trainer", "tokenizer", "filters", "corpus")
RECIPE = """
name = "tiny"
seed = 7
[[sources]]
name = "notes"
path = "notes.jsonl"
domain = "web"
[[sources]]
name = "tales"
path = "tales.jsonl"
domain = "books"
[language]
[decide]
[tokenizer]
vocab_size = 300
[shards]
row_tokens = 64
heldout = 0.1
[mixing.caps]
max_epochs = 8
[[curriculum]]
until_tokens = "4K"
shares = { web = 0.5, books = 0.5 }
"""
MILL = """
import json, sys
from pathlib import Path
import corpus, filters, tokenizer, trainer
assert {m.FOREIGN for m in (corpus, filters, tokenizer, trainer)} == {True}, "ours stand in the way of the foreign ones"
from gristmill.flows.direct import refine_directly
from gristmill.flows.review import page_server
answer = refine_directly(Path("tiny.toml"))
files = {name: module.__file__ for name, module in sys.modules.items() if name.split(".")[0] == "gristmill"}
print(json.dumps({"run": answer["run"], "files": files}))
"""


def build(tree: Path, kind: str) -> Path:
    """``sdist`` or ``wheel`` of a tree through setuptools' own hooks: no isolation, no network. About 1 s."""
    hook = f"import sys; from setuptools import build_meta; print(build_meta.build_{kind}(sys.argv[1]))"
    out = tree.parent / f"{tree.name}-{kind}"
    out.mkdir()
    done = subprocess.run([sys.executable, "-c", hook, str(out)], cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return out / done.stdout.splitlines()[-1]


def content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def not_in(wheel: Path, tracked: list[str]) -> set[str]:
    """Files of rooms that are missing from a wheel; a link is no file."""
    names = [name for name in tracked if Path(name).parts[0] in ROOMS and not (HOUSE / name).is_symlink()]
    inside = {name if name.startswith("gristmill/") else f"gristmill/{name}" for name in names}
    return inside - set(content(wheel))


@pytest.fixture(scope="session")
def tree(tmp_path_factory, copy_house) -> Path:
    return copy_house(tmp_path_factory.mktemp("built") / "tree", NOT_BUILT)


@pytest.fixture(scope="session")
def sdist(tree) -> Path:
    return build(tree, "sdist")


@pytest.fixture(scope="session")
def wheel(tree, sdist) -> Path:
    return build(tree, "wheel")


@pytest.fixture(scope="session")
def site(wheel, tmp_path_factory) -> Path:
    """The wheel in an empty folder, without what it depends on: that comes from the tests' own environment."""
    folder = tmp_path_factory.mktemp("installed") / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    command += ["--disable-pip-version-check", "--target", str(folder), str(wheel)]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture
def elsewhere(site, tmp_path) -> Path:
    """A folder with two sources and a recipe; in it, and beside the installed wheel, foreign packages of our names."""
    for folder in (site, tmp_path):
        for name in FOREIGN:
            (folder / name).mkdir(exist_ok=True)
            (folder / name / "__init__.py").write_text("FOREIGN = True\n")
    (tmp_path / "tiny.toml").write_text(RECIPE)
    for source, river in (("notes", "Elbe"), ("tales", "Danube")):
        texts = (
            " ".join(f"Mill {n * 7 + k} on the {river} grinds its corn by day and by night." for k in range(20))
            for n in range(25)
        )
        (tmp_path / f"{source}.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return tmp_path


@pytest.fixture
def run_there(elsewhere, site) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command in that folder, on the installed wheel."""
    environment = {**os.environ, "PYTHONPATH": str(site), "GRISTMILL_HOME": str(elsewhere / "home")}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False)

    return run


def test_the_sdist_builds_the_same_wheel(sdist, wheel, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    assert content(build(unpacked, "wheel")) == content(wheel)


def test_the_wheel_holds_every_file_of_every_room_and_nothing_else(wheel, tracked):
    assert not not_in(wheel, tracked)
    assert {name.split("/")[0] for name in content(wheel)} == {"gristmill", f"gristmill-{__version__}.dist-info"}


def test_a_kind_of_file_that_is_not_declared_is_missed(tracked, copy_house, tmp_path):
    broken = copy_house(tmp_path / "tree", NOT_BUILT)
    pyproject = (broken / "pyproject.toml").read_text()
    assert '"*.ftz", ' in pyproject
    (broken / "pyproject.toml").write_text(pyproject.replace('"*.ftz", ', ""))
    assert not_in(build(broken, "wheel"), tracked) == {"gristmill/filters/models/lid.176.ftz"}


def test_a_clone_without_links_runs_and_builds_the_same_wheel(wheel, copy_house, tmp_path):
    """The links are for tools that only read; Windows and Python's zipfile make small text files of them."""
    clone = copy_house(tmp_path / "clone", NOT_BUILT, links=False)
    assert (clone / "gristmill" / "filters").is_file()
    ask = "import gristmill.filters.models.shipped as s; print(s.__file__, s.LANGUAGE_MODEL.stat().st_size)"
    done = subprocess.run(
        [sys.executable, "-c", ask], cwd=clone, env={**os.environ, "PYTHONPATH": str(clone)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == [str(clone / "filters/models/shipped.py"), "938013"], done.stderr
    assert content(build(clone, "wheel")) == content(wheel)


def test_the_wheel_says_who_may_do_what(wheel):
    files = content(wheel)
    (name,) = (name for name in files if name.endswith("METADATA"))
    metadata = message_from_string(files[name].decode())
    assert metadata["License-Expression"] == "Apache-2.0"
    assert {"LICENSE", "filters/models/ATTRIBUTION.md"} == set(metadata.get_all("License-File", []))
    assert {"train", "prefect", "card", "all", "dev", "docs"} == set(metadata.get_all("Provides-Extra", []))
    assert metadata["Author"] == "The gristmill authors"


def test_the_installed_wheel_mills_beside_foreign_packages_of_our_names(run_there, site):
    done = run_there(sys.executable, "-c", MILL)
    assert done.returncode == 0, done.stderr[-3000:]
    answer = json.loads(done.stdout)
    foreign = {
        name: file for name, file in answer["files"].items() if not Path(file).is_relative_to(site / "gristmill")
    }
    assert not foreign
    run = Path(answer["run"])
    languages = json.loads((run / "manifests" / "language.json").read_text())["parts"][0]["facts"]["languages"]
    assert languages == {"en": 25}
    assert {path.name for path in (run / "shards").iterdir()} >= {"web", "books"}
    assert (run / "card" / "README.md").stat().st_size > 1000


def test_the_installed_command_answers(run_there, site):
    for command in ([str(site / "bin" / "gristmill")], [sys.executable, "-m", "gristmill"]):
        done = run_there(*command, "--version")
        assert (done.returncode, done.stdout.strip()) == (0, __version__), done.stderr
