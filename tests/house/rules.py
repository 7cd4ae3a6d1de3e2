"""The rules of the house, each a function from the root of a checkout to the sentences that say where it is broken."""

import ast
import fnmatch
import os
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from gristmill.corpus._rooms import ROOMS

Rule = Callable[[Path], list[str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef

GENERATED = {"_unicode_table.py"}
NAMELESS = {"utils", "helpers", "common", "manager", "base", "misc"}
GIVEN_NAMES = re.compile(r"__init__|__main__|stage|catalogue|naive|_kernels\w*|conftest")
NAMES_PAGE = Path("docs/decisions/0010-names-of-modules.md")
ARRAYS_ONLY = {"numpy", "numba", "math", "llvmlite", "collections"}
MACHINE = re.compile(r"files\.pythonhosted|pypi\.org|registry\.npmjs|deb\.debian|/work/(main|shared|wt)|/root/")
TEXT_SUFFIXES = (".py", ".md", ".toml", ".txt", ".yml", ".jinja", "run", "Makefile", "LICENSE")


@cache
def parsed(text: str) -> ast.Module:
    """A module's syntax tree, parsed once for all rules."""
    return ast.parse(text)


def files(house: Path) -> list[Path]:
    """Every Python file of every room."""
    return sorted(path for room in ROOMS for path in (house / room).rglob("*.py"))


def modules(house: Path) -> Iterator[tuple[str, Path, ast.Module]]:
    """Name within the house, path and syntax tree of every file that somebody wrote."""
    for path in files(house):
        if path.name not in GENERATED:
            yield path.relative_to(house).as_posix(), path, parsed(path.read_text(encoding="utf-8"))


def functions(tree: ast.Module) -> list[Function]:
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def body_lines(function: Function) -> int:
    """Lines of a function without its docstring."""
    first = function.body[0]
    doc = (first.end_lineno or 0) - first.lineno + 1 if is_text(first) else 0
    return (function.end_lineno or 0) - function.lineno + 1 - doc


def code_lines(text: str) -> int:
    """Lines that are neither blank nor comment nor docstring."""
    holders = [node for node in ast.walk(parsed(text)) if isinstance(node, Function | ast.ClassDef | ast.Module)]
    firsts = [node.body[0] for node in holders if node.body]
    docs = {line for doc in firsts if is_text(doc) for line in range(doc.lineno, (doc.end_lineno or 0) + 1)}
    lines = enumerate(text.splitlines(), 1)
    return sum(bool(line.strip()) and not line.strip().startswith("#") and n not in docs for n, line in lines)


def files_are_short(house: Path) -> list[str]:
    """A file has at most 400 lines, half of them at most 150."""
    sizes = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path, _ in modules(house)}
    broken = [f"{name} has {size} lines" for name, size in sizes.items() if size > 400]
    median = statistics.median(sizes.values())
    return broken + ([f"half of the files have more than {median} lines"] if median > 150 else [])


def functions_are_short(house: Path) -> list[str]:
    """A function has at most 50 lines, half of them at most 12, 90 % at most 20, docstrings apart."""
    sizes = [(f"{name}:{f.name}", body_lines(f)) for name, _, tree in modules(house) for f in functions(tree)]
    broken = [f"{name} has {size} lines" for name, size in sizes if size > 50]
    within = sum(size <= 20 for _, size in sizes) / len(sizes)
    median = statistics.median(size for _, size in sizes)
    broken += [f"half of the functions have more than {median} lines"] if median > 12 else []
    return broken + ([f"only {within:.1%} of the functions have at most 20 lines"] if within < 0.9 else [])


def files_say_what_they_are(house: Path) -> list[str]:
    """No file is named after nothing, and each begins with a docstring."""
    broken = [f"{name} is named after nothing" for name, path, _ in modules(house) if path.stem in NAMELESS]
    return broken + [f"{name} has no docstring" for name, _, tree in modules(house) if not ast.get_docstring(tree)]


def is_bare(function: ast.FunctionDef) -> bool:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    annotated = function.returns is not None and all(argument.annotation is not None for argument in arguments)
    return not annotated or not ast.get_docstring(function)


def functions_are_described(house: Path) -> list[str]:
    """A public function is annotated and has a docstring; a kernel has a docstring."""
    broken = []
    for name, path, tree in modules(house):
        kernels = path.name.startswith("_kernels")
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and (kernels or not node.name.startswith("_")):
                bare = not ast.get_docstring(node) if kernels else is_bare(node)
                broken += [f"{name}:{node.name} is not annotated or has no docstring"] if bare else []
    return broken


def imported(tree: ast.Module) -> list[str]:
    """Whole names of the modules that a file imports, at any depth."""
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return names + [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


def kernels_see_arrays_only(house: Path) -> list[str]:
    """A kernel file imports numpy, numba and other kernel files."""
    return [
        f"{name} imports {module}"
        for name, path, tree in modules(house)
        if path.name.startswith("_kernels")
        for module in imported(tree)
        if module.split(".")[0] not in ARRAYS_ONLY and not re.search(r"\._(kernels|unicode)", module)
    ]


def reasons(house: Path) -> dict[str, set[str]]:
    """Names that may stand in several rooms, and where: the table of the decision."""
    page = house / NAMES_PAGE
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", page.read_text() if page.exists() else "", re.MULTILINE)
    return {name: set(re.findall(r"`([^`]+)`", places)) for name, places, reason in rows if reason.strip()}


def a_name_stands_in_one_room(house: Path) -> list[str]:
    """No module has another's name, but for those that everybody knows and those with a written reason."""
    places: dict[str, set[str]] = {}
    for path in files(house):
        places.setdefault(path.stem, set()).add(path.relative_to(house).as_posix())
    doubled = {name: at for name, at in places.items() if len(at) > 1 and not GIVEN_NAMES.fullmatch(name)}
    written = reasons(house)
    broken = [f"{name}: {', '.join(sorted(at))}" for name, at in doubled.items() if written.get(name) != at]
    return broken + [f"{name} needs no reason any more" for name in written if name not in doubled]


def every_tool_sees_the_same_rooms(house: Path) -> list[str]:
    """Links for tools that only read, packages for what is built, the lists of pyright and ruff: one list of rooms."""
    tool = tomllib.loads((house / "pyproject.toml").read_text())["tool"]
    rooms = {room for room in ROOMS if room != "gristmill"}
    links = {path.name: path.readlink().as_posix() for path in (house / "gristmill").iterdir() if path.is_symlink()}
    found = [path.parent.relative_to(house).parts for path in files(house) if path.name == "__init__.py"]
    packages = {".".join(parts if parts[0] == "gristmill" else ("gristmill", *parts)) for parts in found}
    lists = {
        "links in gristmill/": (links, {room: f"../{room}" for room in rooms}),
        "package-dir": (tool["setuptools"]["package-dir"], {f"gristmill.{room}": room for room in rooms}),
        "packages": (set(tool["setuptools"]["packages"]), packages),
        "pyright": (set(tool["pyright"]["include"]), {"gristmill", *(f"gristmill/{room}" for room in rooms)}),
        "ruff": (set(tool["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]), rooms),
    }
    return [f"{name}: {sorted(seen)}, not {sorted(due)}" for name, (seen, due) in lists.items() if seen != due]


def texts(house: Path) -> list[str]:
    """Text files that git would take, the sample corpus apart."""
    ignored = [line.rstrip("/") for line in (house / ".gitignore").read_text().splitlines()]
    left_out = re.compile("|".join(fnmatch.translate(pattern) for pattern in [*ignored, ".git", "samples"]))
    names = []
    for folder, inner, found in os.walk(house):
        inner[:] = [name for name in inner if not left_out.match(name)]
        names += [Path(folder, name).relative_to(house).as_posix() for name in found if name.endswith(TEXT_SUFFIXES)]
    return sorted(names)


def nothing_names_a_registry_or_this_machine(house: Path) -> list[str]:
    """No file that people read names a package host or a path of the machine that it was written on."""
    found = [(name, MACHINE.search((house / name).read_text(encoding="utf-8"))) for name in texts(house)]
    return [f"{name} names {match[0]}" for name, match in found if match and name != "tests/house/rules.py"]


def run_tool(house: Path, *command: str) -> list[str]:
    """The last lines of a tool that found something.

    In a process of its own: where gristmill has been imported grimp reads its changed ``__path__``.
    """
    done = subprocess.run(command, cwd=house, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()[-60:] if done.returncode else []


def imports_go_down(house: Path) -> list[str]:
    """The contracts of pyproject.toml hold."""
    return run_tool(house, str(Path(sys.executable).with_name("lint-imports")), "--no-cache")


def ruff_is_content(house: Path) -> list[str]:
    """Lint, as in ``make check``; among the rules below only to see what it finds in a spoilt copy."""
    return run_tool(
        house, str(Path(sys.executable).with_name("ruff")), "check", "--no-cache", "--output-format=concise", "."
    )


def pages_are_written_anew(house: Path) -> list[str]:
    """Generated pages are what their scripts write."""
    scripts = ("docs/tree.py", "docs/recipe_reference.py")
    return [line for script in scripts for line in run_tool(house, sys.executable, script, "--check")]


def lines_end_at_line_feeds(house: Path) -> list[str]:
    """``str.splitlines`` cuts at U+0085, U+2028 and form feeds too, which stand inside names, cells and JSON."""
    return [
        f"{name}:{node.lineno} calls splitlines; split at line feeds"
        for name, _, tree in modules(house)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "splitlines"
    ]


RULES: tuple[Rule, ...] = (
    files_are_short,
    functions_are_short,
    files_say_what_they_are,
    functions_are_described,
    kernels_see_arrays_only,
    lines_end_at_line_feeds,
    a_name_stands_in_one_room,
    every_tool_sees_the_same_rooms,
    nothing_names_a_registry_or_this_machine,
    imports_go_down,
    pages_are_written_anew,
)
