"""``gristmill init``: a recipe that runs, from paths alone; what is optional stands in it as comments."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.files import write_text
from gristmill.flows.inspect.found_sources import FoundSource, found_sources, slug
from gristmill.flows.pipeline.recipe_reading import parse_recipe

HEAD = "# Written by `gristmill init`. `gristmill plan` checks it and says what a run costs.\n"
JUDGED = """
[language]                        # of each document: a rule judges the languages that it is made for

[decide]
profiles = ["length"]             # `gristmill profiles` lists what else there is
"""
LATER = """
# What else there is; a section switches its stage on. docs/reference/recipe.md has all keys.
# [dedup.lines]                   # lines that many documents repeat
# [dedup.substrings]              # long passages that occur twice
# [pii]                           # personal data by kind: mask, or drop the document
# email = "mask"
# [[curriculum]]                  # shares by domain, in phases
# until_tokens = "10M"
# shares = "temperature:2"
# [trainer]                       # a compact Mixture-of-Experts model that proves the hand-over
"""
CHAT = """
[tokenizer]
chat_template = "chatml"          # how messages become text; answers alone are targets
specials.control = ["<|im_start|>", "<|im_end|>"]
"""


@dataclass(frozen=True, slots=True)
class FirstRecipe:
    """The file that was written, and what stands in it."""

    recipe: str
    sources: list[FoundSource]
    left_out: list[str]  # files that no reader knows by their name


def write_first_recipe(paths: Sequence[str], out: Path, name: str | None = None) -> FirstRecipe:
    """Write a recipe with a source for each path, or several where a folder's files are read in several ways.

    Parameters
    ----------
    paths : files, folders or globs, local or remote
    out : the recipe; it must not exist
    name : of the recipe; that of ``out`` when left out

    Raises
    ------
    RecipeError : ``out`` exists
    SourceError : a path matches nothing, or no file whose format a name tells
    """
    if out.exists():
        raise RecipeError(f"{out} exists already; write to another file with --out")
    sources: list[FoundSource] = []
    left_out: list[str] = []
    for path in paths:
        found = found_sources(path, {one.name for one in sources})
        sources += found.sources
        left_out += found.left_out
    text = recipe_text(name or slug(out.stem), sources)
    parse_recipe(text, str(out), out.parent)
    write_text(out, text)
    return FirstRecipe(str(out), sources, left_out)


def recipe_text(name: str, sources: Sequence[FoundSource]) -> str:
    """The recipe as TOML."""
    parts = [f"{HEAD}name = {_quoted(name)}\nseed = 1\n"]
    for one in sources:
        left_out = {"exclude": one.exclude} if one.exclude else {}
        keys = {"name": one.name, "path": one.path, **left_out, "domain": one.name, **one.keys}
        parts.append("\n[[sources]]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in keys.items()))
    parts.append(JUDGED)
    parts += [CHAT] if any("messages" in one.keys for one in sources) else []
    return "".join([*parts, LATER])


def _value(value: str | tuple[str, ...]) -> str:
    """A string, or a list with a line for each."""
    if isinstance(value, str):
        return _quoted(value)
    if len(value) == 1:
        return f"[{_quoted(value[0])}]"
    return "[\n" + "".join(f"    {_quoted(one)},\n" for one in value) + "]"


def _quoted(text: str) -> str:
    r"""A basic string of TOML, whose escapes are those of JSON; DEL is the one that JSON does not escape.

    >>> print(_quoted('a "b"\n\x01'))
    "a \"b\"\n\u0001"
    """
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
