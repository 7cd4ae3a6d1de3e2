"""Every example of docs/python.md runs, in order, and returns what the page says."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

from gristmill.corpus._rooms import HOUSE

PAGE = HOUSE / "docs" / "python.md"
RETURNS = re.compile(r"  # -> (.*)$")


def examples(page: str) -> list[str]:
    """The fenced Python blocks of a page, in order."""
    return re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def run_examples(page: str) -> list[str]:
    """Run all blocks in one namespace, statement by statement; those that return something else than the page says."""
    names: dict[str, Any] = {}
    wrong = []
    for block in examples(page):
        for node in ast.parse(block).body:
            said = RETURNS.search(block.splitlines()[(node.end_lineno or 1) - 1])
            if not (said and isinstance(node, ast.Expr)):
                exec(compile(ast.Module([node], []), PAGE.name, "exec"), names)
                continue
            found = eval(compile(ast.Expression(node.value), PAGE.name, "eval"), names)
            wrong += [] if found == ast.literal_eval(said[1]) else [f"{ast.unparse(node)} is {found!r}"]
    return wrong


@pytest.fixture
def checkout(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples run in a checkout, where samples/ lies, in a home of their own."""
    monkeypatch.chdir(HOUSE)


def test_every_example_of_the_page_runs(checkout):
    assert run_examples(PAGE.read_text(encoding="utf-8")) == []


def test_an_example_that_is_wrong_is_seen():
    page = "```python\na = [1]\nlen(a)  # -> 2\na = [1, 2]\n```\ntext\n```python\na + [3]  # -> [1, 2, 3]\n```\n"
    assert run_examples(page) == ["len(a) is 1"]
    with pytest.raises(NameError):
        run_examples("```python\nnothing\n```\n")


def test_the_page_has_every_name_of_the_interface():
    import gristmill

    page = PAGE.read_text(encoding="utf-8")
    public = [name for name in vars(gristmill.Run) if not name.startswith("_")]
    missing = [name for name in public if not re.search(rf"\b{name}\b", page)]
    assert missing == []
