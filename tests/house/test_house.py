"""The rules of the house hold, and each can fail: a bad file in a copy of the house is seen."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gristmill.corpus._rooms import HOUSE
from tests.house import rules
from tests.house.rules import RULES, Rule

TESTS = sorted((HOUSE / "tests").rglob("*.py"))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_of_the_house(rule):
    assert not rule(HOUSE)


HEAD = '"""A room\'s file."""\n'
LONG = HEAD + 'def long() -> None:\n    """Long."""\n' + "    print()\n" * 51
MANY = HEAD + "".join(f"def f{n}(a: int) -> int:\n" + "    a += 1\n" * 20 + "    return a\n" for n in range(400))
SEVEN = (
    f'{HEAD}\n\ndef seven(a: int, b: int, c: int, d: int, e: int, f: int, g: int) -> int:\n    """A."""\n    return a'
)
MAZE = f'{HEAD}\n\ndef maze(a: int) -> int:\n    """Which."""\n' + "    if a:\n        a += 1\n" * 11 + "    return a\n"
ROOT = "/ro" + "ot/"
PLANTED: list[tuple[Rule, str, str, str]] = [  # rule, file, its text, what the rule says
    (rules.files_are_short, "mixing/endless.py", HEAD + "a = 1\n" * 400, "mixing/endless.py has 401 lines"),
    (rules.functions_are_short, "mixing/long.py", LONG, "mixing/long.py:long has 52 lines"),
    (rules.functions_are_short, "mixing/many.py", MANY, "of the functions have at most 20 lines"),
    (rules.files_say_what_they_are, "filters/pii/utils.py", HEAD, "filters/pii/utils.py is named after nothing"),
    (rules.files_say_what_they_are, "filters/pii/dumb.py", "a = 1\n", "filters/pii/dumb.py has no docstring"),
    (rules.functions_are_described, "mixing/bare.py", HEAD + "def f(a): ...\n", "mixing/bare.py:f is not annotated"),
    (rules.functions_are_described, "mixing/_kernels_bare.py", HEAD + "def f(a): ...\n", "mixing/_kernels_bare.py:f"),
    (rules.kernels_see_arrays_only, "mixing/_kernels_a.py", HEAD + "import pyarrow\n", "mixing/_kernels_a.py imports"),
    (rules.kernels_see_arrays_only, "mixing/_kernels_b.py", HEAD + "import gristmill.corpus.errors\n", "_b.py"),
    (rules.lines_end_at_line_feeds, "mixing/cut.py", HEAD + "a = str().splitlines()\n", "mixing/cut.py:2 calls"),
    (rules.a_name_stands_in_one_room, "mixing/loader.py", HEAD, "loader: handoff/loader.py, mixing/loader.py"),
    (rules.every_tool_sees_the_same_rooms, "mixing/inner/__init__.py", HEAD, "packages: "),
    (rules.nothing_names_a_registry_or_this_machine, "docs/new.md", f"see {ROOT}x\n", f"docs/new.md names {ROOT}"),
    (rules.imports_go_down, "corpus/up.py", HEAD + "import gristmill.mixing.caps\n", "gristmill.corpus.up ->"),
    (rules.imports_go_down, "mixing/torn.py", HEAD + "import torch\n", "gristmill.mixing.torn -> torch"),
    (rules.ruff_is_content, "mixing/second.py", HEAD + "import filters\n", "`filters` is banned: gristmill.filters"),
    (rules.ruff_is_content, "mixing/seven.py", SEVEN, "PLR0913 Too many arguments in function definition (7 > 6)"),
    (rules.ruff_is_content, "mixing/maze.py", MAZE, "C901 `maze` is too complex (12 > 10)"),
    (rules.pages_are_written_anew, "mixing/new.py", HEAD, "docs/reference/files.md is not the disk"),
]


BETWEEN_ROOMS = [  # file, what it imports, the contract that breaks
    ("filters/signals/up.py", "gristmill.filters.decide.rules", "floors of filters"),
    ("filters/pii/aside.py", "gristmill.filters.lists.blocklist", "floors of filters"),
    ("dedup/clusters/up.py", "gristmill.dedup.band_index.follow", "floors of dedup"),
    ("flows/pipeline/up.py", "gristmill.flows.inspect.verify", "floors of flows"),
    ("flows/takedown/aside.py", "gristmill.flows.review.decision_queue", "floors of flows"),
    ("flows/nowhere.py", "json", "floors of flows"),
    ("flows/pipeline/sixth.py", "prefect", "Prefect stands in five files"),
    ("corpus/cluster.py", "dask", "prefect lives in flows"),
    ("handoff/frames.py", "polars", "the hand-over needs numpy, pyarrow, numba and xxhash alone"),
]


@pytest.fixture(scope="session")
def spoilt(tmp_path_factory, copy_house) -> Path:
    """A copy of the house that tests spoil and mend."""
    return copy_house(tmp_path_factory.mktemp("spoilt") / "house", ("samples", "bench"))


@pytest.mark.parametrize(("rule", "name", "text", "told"), PLANTED, ids=[f"{r.__name__}-{n}" for r, n, *_ in PLANTED])
def test_each_rule_sees_a_planted_fault(spoilt, rule, name, text, told):
    bad = spoilt / name
    made = not bad.parent.exists()
    bad.parent.mkdir(exist_ok=True)
    bad.write_text(text)
    try:
        found = rule(spoilt)
    finally:
        bad.unlink()
        if made:
            bad.parent.rmdir()
    assert any(told in line for line in found), found


@pytest.mark.parametrize(("name", "module", "contract"), BETWEEN_ROOMS, ids=[name for name, *_ in BETWEEN_ROOMS])
def test_contracts_between_rooms_see_a_planted_import(spoilt, name, module, contract):
    (spoilt / name).write_text(f"{HEAD}import {module}\n")
    try:
        broken = [line for line in rules.imports_go_down(spoilt) if line.endswith("BROKEN")]
    finally:
        (spoilt / name).unlink()
    assert any(line.startswith(contract) for line in broken), broken


def test_a_file_that_is_excused_from_the_size_of_functions_still_needs_it(tmp_path):
    """The excuses of pyproject.toml can only get fewer; kernels are apart."""
    excused = tomllib.loads((HOUSE / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]["per-file-ignores"]
    named = {f"{name}: {code}" for name, codes in excused.items() for code in codes if code in {"C901", "PLR0913"}}
    settings = ["--isolated", "--no-cache", "--select=C901,PLR0913", "--config=lint.pylint.max-args=6"]
    command = [Path(sys.executable).with_name("ruff"), "check", *settings, "--exclude=samples", "--output-format=json"]
    found = json.loads(subprocess.run([*command, "."], cwd=HOUSE, capture_output=True, text=True, check=False).stdout)
    places = {f"{Path(one['filename']).relative_to(HOUSE).as_posix()}: {one['code']}" for one in found}
    assert named - {"**/_kernels*.py: C901", "**/_kernels*.py: PLR0913"} == {
        place for place in places if "/_kernels" not in place
    }


def test_a_circle_of_three_files_is_seen(spoilt):
    circle = {"one": "two", "two": "three", "three": "one"}
    for name, other in circle.items():
        (spoilt / "mixing" / f"{name}.py").write_text(f"{HEAD}def f():\n    import gristmill.mixing.{other}\n")
    try:
        broken = [line for line in rules.imports_go_down(spoilt) if "BROKEN" in line]
    finally:
        for name in circle:
            (spoilt / "mixing" / f"{name}.py").unlink()
    assert len(broken) == 1
    assert broken[0].startswith("no circle")


def test_a_kernel_behind_the_catalogue_is_seen(spoilt):
    stage = spoilt / "filters" / "signals" / "stage.py"
    text = stage.read_text()
    stage.write_text(f"{text}\n\ndef f():\n    import gristmill.filters.signals._kernels_lines\n")
    try:
        broken = [line for line in rules.imports_go_down(spoilt) if "BROKEN" in line]
    finally:
        stage.write_text(text)
    assert [line[:40] for line in broken] == ["a recipe is checked without kernels, tab"]


def test_a_link_less_is_seen(spoilt):
    (spoilt / "gristmill" / "mixing").unlink()
    try:
        assert [line.split(":")[0] for line in rules.every_tool_sees_the_same_rooms(spoilt)] == ["links in gristmill/"]
    finally:
        (spoilt / "gristmill" / "mixing").symlink_to("../mixing")


def test_a_reason_for_a_name_that_stands_once_is_seen(spoilt):
    page = spoilt / rules.NAMES_PAGE
    text = page.read_text()
    try:
        page.write_text(text + "| `loader` | `handoff/loader.py`, `mixing/loader.py` | no such file |\n")
        assert rules.a_name_stands_in_one_room(spoilt) == ["loader needs no reason any more"]
        page.write_text(re.sub(r"^(\| `trace` .*\|) [^|]+ \|$", r"\1  |", text, flags=re.MULTILINE))
        assert rules.a_name_stands_in_one_room(spoilt) == ["trace: flows/inspect/trace.py, handoff/trace.py"]
    finally:
        page.write_text(text)


TESTS_TO_CODE = 0.73  # the design asks for 1; this is where we stand, and it may only rise


def test_tests_do_not_fall_behind_the_code():
    def lines(paths: list[Path]) -> int:
        return sum(rules.code_lines(path.read_text()) for path in paths)

    assert lines(TESTS) >= TESTS_TO_CODE * lines([path for _, path, _ in rules.modules(HOUSE)])


def test_code_lines_are_neither_blank_nor_comment_nor_docstring():
    assert rules.code_lines('"""Two\nlines."""\n\n# a comment\ndef f():\n    """One."""\n    return "text"\n') == 2


def test_help_needs_none_of_the_heavy_libraries():
    script = (
        "import sys; sys.argv = ['gristmill', '--help']\n"
        "from gristmill.cli import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        "libraries = {'torch', 'prefect', 'dask', 'numba', 'polars', 'pyarrow', 'datasets', 'matplotlib'}\n"
        "heavy = libraries & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=HOUSE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_doctests_run():
    """Every example in a docstring is executed."""
    import doctest
    import importlib

    failures = []
    for _, path, _ in rules.modules(HOUSE):
        if ">>>" in path.read_text():
            inside = HOUSE / "gristmill" if path.is_relative_to(HOUSE / "gristmill") else HOUSE
            name = ".".join(("gristmill", *path.relative_to(inside).with_suffix("").parts)).removesuffix(".__init__")
            result = doctest.testmod(importlib.import_module(name))
            failures += [name] if result.failed else []
    assert not failures
