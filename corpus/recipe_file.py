"""Reading a recipe file. All mistakes are reported at once, each with its path, its line and the nearest known key."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gristmill.corpus.errors import RecipeError, nearest
from gristmill.corpus.recipe import Recipe

_HEADER = re.compile(r"^\s*\[+([^\]]+)\]+")
_KEY = re.compile(r"""^\s*["']?([A-Za-z0-9_-]+)["']?\s*=""")


def read_recipe(path: Path) -> str:
    """The text of a recipe file; RecipeError when there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from None


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe; RecipeError lists every mistake."""
    return parse_recipe(read_recipe(path), str(path))


def parse_recipe(text: str, name: str = "recipe") -> Recipe:
    """Check a recipe given as TOML text; ``name`` stands in messages."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{name} is not TOML: {error}") from None
    try:
        return Recipe.model_validate(raw)
    except ValidationError as error:
        mistakes = sorted(_describe(detail, text) for detail in error.errors())
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
        raise RecipeError("\n".join([f"{name}: {count}", *(line for _, line in mistakes)])) from None


def _describe(detail: ErrorDetails, text: str) -> tuple[int, str]:
    where = [
        part for part in detail["loc"] if not (isinstance(part, str) and part.startswith(("function-", "tagged-")))
    ]
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        message = f"unknown key{nearest(str(where[-1]), _known_keys(where[:-1]))}"
    elif detail["type"] == "missing":
        message = "this key is required"
    line = find_line(text, where)
    prefix = ".".join(str(part) for part in where)
    place = f" (line {line})" if line else ""
    return line, f"  {prefix}: {message}{place}" if prefix else f"  {message}"


def _known_keys(where: list[Any]) -> list[str]:
    model: Any = Recipe
    for part in where:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = _section_of(model.model_fields[part].annotation)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _section_of(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_section_of(argument) for argument in get_args(annotation))
    return next((section for section in found if section is not None), None)


def find_line(text: str, where: list[Any]) -> int:
    r"""The line of a key or of the nearest table above it; 0 when there is none.

    >>> find_line('name = "a"\n[[sources]]\npath = "x"\n[[sources]]\npath = "y"', ["sources", 1, "path"])
    5
    """
    best_line, best_depth = 0, 0
    for line, path in _paths(text):
        depth = 0
        while depth < min(len(path), len(where)) and path[depth] == where[depth]:
            depth += 1
        if depth == len(path) and depth > best_depth:
            best_line, best_depth = line, depth
    return best_line


def _paths(text: str) -> Iterator[tuple[int, list[Any]]]:
    """(line, key path) of every table header and key, arrays of tables with their position."""
    table: list[Any] = []
    counts: dict[str, int] = {}
    for line, content in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(content):
            name = header[1].strip()
            table = [part.strip().strip("\"'") for part in name.split(".")]
            if content.lstrip().startswith("[["):
                counts[name] = counts.get(name, -1) + 1
                table = [*table, counts[name]]
            yield line, table
        elif key := _KEY.match(content):
            yield line, [*table, key[1]]
