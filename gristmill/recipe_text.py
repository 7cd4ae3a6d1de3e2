"""A recipe from Python: a path, TOML text, or a dict, which becomes TOML because a run keeps its recipe as text."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gristmill.corpus.errors import RecipeError

if TYPE_CHECKING:
    from gristmill.flows.pipeline.recipe_reading import CheckedRecipe

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LINE = re.compile(r" \(line \d+\)$", re.MULTILINE)


def checked_recipe(recipe: str | PathLike[str] | Mapping[str, Any]) -> "CheckedRecipe":
    """Read and check a recipe. Paths of plug-ins start from its file, else from the working directory.

    Raises
    ------
    RecipeError : lists every mistake; those of a dict bear no line, since it has none
    """
    from gristmill.flows.pipeline.recipe_reading import load_recipe, parse_recipe

    if isinstance(recipe, Mapping):
        text = to_toml(recipe)
        try:
            return parse_recipe(text)
        except RecipeError as error:
            raise RecipeError(_LINE.sub("", str(error))) from None
    if isinstance(recipe, str) and is_text(recipe):
        return parse_recipe(recipe)
    if not isinstance(recipe, str | PathLike):
        raise RecipeError(f"a recipe is a path, TOML text or a dict, not {type(recipe).__name__}")
    return load_recipe(Path(recipe).expanduser())


def is_text(recipe: str) -> bool:
    r"""True for TOML text, False for a path.

    >>> is_text("recipes/sample.toml"), is_text('name = "mine"\nseed = 1\n'), is_text("[engine]")
    (False, True, True)
    """
    return "\n" in recipe or recipe.lstrip().startswith("[") or re.match(r"\s*[\w.-]+\s*=", recipe) is not None


def to_toml(tables: Mapping[str, Any]) -> str:
    r"""TOML text of a dict of dicts, lists, texts, paths, numbers and truth values.

    Raises
    ------
    RecipeError : a value that TOML cannot hold, such as None; names its key

    >>> print(to_toml({"name": "a", "sources": [{"path": "x"}], "engine": {"workers": 2}, "plugins": []}), end="")
    name = "a"
    plugins = []
    [[sources]]
    path = "x"
    [engine]
    workers = 2
    """
    return "".join(f"{line}\n" for line in _table(tables, ""))


def _table(table: Mapping[str, Any], path: str) -> Iterator[str]:
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping) or _is_tables(value)}
    for key, value in table.items():
        if key not in inner:
            yield f"{_key(key)} = {_value(value, _join(path, key))}"
    for key, value in inner.items():
        at = _join(path, key)
        for one in [value] if isinstance(value, Mapping) else value:
            yield f"[{at}]" if isinstance(value, Mapping) else f"[[{at}]]"
            yield from _table(one, at)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(one, Mapping) for one in value)


def _value(value: Any, at: str) -> str:
    value = value.item() if hasattr(value, "item") else value  # a numpy number
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return repr(value)
    if isinstance(value, str | PathLike):
        return _text(fspath(value))
    if isinstance(value, Mapping):
        inner = (f"{_key(key)} = {_value(one, _join(at, key))}" for key, one in value.items())
        return f"{{ {', '.join(inner)} }}"
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return f"[{', '.join(_value(one, at) for one in value)}]"
    hint = "; leave the key out" if value is None else ""
    raise RecipeError(f"{at}: a recipe holds no {type(value).__name__} ({value!r}){hint}")


def _join(path: str, key: Any) -> str:
    return f"{path}.{_key(key)}" if path else _key(key)


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise RecipeError(f"a recipe's keys are texts, not {type(key).__name__} ({key!r})")
    return key if _BARE.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    """A basic string: JSON's escapes are TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
