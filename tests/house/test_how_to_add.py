"""CONTRIBUTING's worked additions: each applies to a copy of the house, runs there, and changes few files of code."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gristmill.corpus._rooms import HOUSE, ROOMS

PAGE = HOUSE / "CONTRIBUTING.md"
CODE_FILES = {"signal": 2, "profile": 0, "reader": 1, "stage": 3, "balance loss": 1, "card section": 2}
SECTION = re.compile(r"^## How to add an? (?P<name>[^\n]+)\n(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Addition:
    """One worked addition: what it changes, and the script that uses what was added."""

    name: str
    diff: str
    script: str


def read_additions(page: str) -> dict[str, Addition]:
    """The sections ``How to add ...`` of a page, with their diffs and scripts, each joined in order."""
    found = {}
    for section in SECTION.finditer(page):
        blocks = [(block["kind"], block["text"]) for block in BLOCK.finditer(section["text"])]
        diff, script = ("".join(text for kind, text in blocks if kind == wanted) for wanted in ("diff", "python"))
        found[section["name"]] = Addition(section["name"], diff, script)
    return found


def git(copy: Path, *arguments: str, text: str = "") -> str:
    settings = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    command = ["git", *settings, *arguments]
    done = subprocess.run(command, cwd=copy, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"git {arguments[0]}: {done.stderr}"
    return done.stdout


def add(addition: Addition, copy: Path) -> list[str]:
    """Apply the diff to a repository; the code files that it changes, docs, tests, recipes and CHANGELOG apart."""
    git(copy, "apply", "-", text=addition.diff)
    git(copy, "add", "--all")
    changed = git(copy, "diff", "--cached", "--name-only").splitlines()
    return [name for name in changed if name.split("/")[0] in ROOMS]


def paths(copy: Path) -> dict[str, str]:
    """The environment in which the copy is imported. Its kernels are those of the checkout, and so compiled already."""
    return {**os.environ, "PYTHONPATH": str(copy)}


def use(addition: Addition, copy: Path, folder: Path) -> None:
    """Run the script in a folder of its own, on the copy."""
    done = subprocess.run(
        [sys.executable, "-c", addition.script], cwd=folder, capture_output=True, text=True, check=False,
        env={**paths(copy), "GRISTMILL_HOME": str(folder / "home")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def repository(copy: Path) -> Path:
    git(copy, "init", "--quiet")
    git(copy, "add", "--all")
    git(copy, "commit", "--quiet", "--message", "before")
    return copy


ADDITIONS = read_additions(PAGE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def shared_copy(tmp_path_factory, copy_house) -> Path:
    """One copy for all additions; each is taken back by ``house``."""
    return repository(copy_house(tmp_path_factory.mktemp("copy") / "house", ("samples", "bench", "tests")))


@pytest.fixture
def house(shared_copy) -> Iterator[Path]:
    """The copy without any addition."""
    yield shared_copy
    git(shared_copy, "reset", "--hard", "--quiet")


def ruff(copy: Path, code: list[str]) -> None:
    """An addition keeps the house's own rules, in its own form."""
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", *code],
            cwd=copy, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_kind_of_addition_has_its_section():
    assert set(ADDITIONS) == set(CODE_FILES)
    assert all(addition.diff and addition.script for addition in ADDITIONS.values())


@pytest.mark.parametrize("name", sorted(CODE_FILES))
def test_a_worked_addition_applies_runs_and_touches_few_files(name, house, tmp_path):
    code = add(ADDITIONS[name], house)
    assert len(code) == CODE_FILES[name], code
    if code:
        ruff(house, code)
    use(ADDITIONS[name], house, tmp_path)


def test_the_section_of_a_new_stage_stands_in_the_reference(house):
    add(ADDITIONS["signal"], house)
    page = house / "docs" / "reference" / "recipe.md"
    assert "## `[questions]`" not in page.read_text(encoding="utf-8")
    subprocess.run([sys.executable, "docs/recipe_reference.py"], cwd=house, check=True, env=paths(house))
    assert "## `[questions]`" in page.read_text(encoding="utf-8")


def test_an_addition_that_breaks_a_rule_of_the_house_is_seen(toy):
    (toy / "corpus" / "numbers.py").write_text("import os\n")
    with pytest.raises(AssertionError, match="F401"):
        ruff(toy, ["corpus/numbers.py"])


TOY = """
## How to add a thing

```diff
--- a/corpus/numbers.py
+++ b/corpus/numbers.py
@@ -1,2 +1,3 @@
 ONE = 1
+TWO = 2
 LAST = 0
--- /dev/null
+++ b/docs/two.md
@@ -0,0 +1 @@
+Two.
```

Words between.

```python
import corpus.numbers
assert corpus.numbers.TWO == 2
```

## Another heading

```python
raise SystemExit("no part of it")
```
"""


@pytest.fixture
def toy(tmp_path) -> Path:
    (tmp_path / "toy" / "corpus").mkdir(parents=True)
    (tmp_path / "toy" / "corpus" / "numbers.py").write_text("ONE = 1\nLAST = 0\n")
    return repository(tmp_path / "toy")


def test_a_section_ends_at_the_next_heading(toy, tmp_path):
    (addition,) = read_additions(TOY).values()
    assert addition.name == "thing"
    assert add(addition, toy) == ["corpus/numbers.py"]
    use(addition, toy, tmp_path)


def test_a_diff_that_no_longer_fits_is_seen(toy):
    (addition,) = read_additions(TOY.replace(" LAST = 0", " LAST = 9")).values()
    with pytest.raises(AssertionError, match=r"patch does not apply"):
        add(addition, toy)


def test_a_script_that_fails_is_seen(toy, tmp_path):
    (addition,) = read_additions(TOY.replace("TWO == 2", "TWO == 3")).values()
    add(addition, toy)
    with pytest.raises(AssertionError, match="AssertionError"):
        use(addition, toy, tmp_path)
