"""``gristmill init``: a recipe that runs, from paths alone; what is optional stands in it as comments."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.files import write_text
from gristmill.flows.pipeline.recipe_reading import parse_recipe
from gristmill.sources.guessed_keys import guessed_keys
from gristmill.sources.listing import formats_of
from gristmill.sources.read import OF_RECORDS

HEAD = "# Written by `gristmill init`. `gristmill plan` checks it and says what a run costs.\n"
LATER = """
# What else there is; a section switches its stage on. docs/reference/recipe.md has all keys.
# [dedup.lines]                   # lines that many documents repeat
# [dedup.substrings]              # long passages that occur twice
# [pii]                           # personal data by kind: mask, or drop the document
# email = "mask"
# [language]                      # the language of each document, for rules by language
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
class FoundSource:
    """One source of the recipe: its files by format, and the keys that it needs beside name, path and domain."""

    name: str
    path: str
    files: dict[str, int]
    keys: dict[str, str]


@dataclass(frozen=True, slots=True)
class FirstRecipe:
    """The file that was written, and what stands in it."""

    recipe: str
    sources: list[FoundSource]


def write_first_recipe(paths: Sequence[str], out: Path, name: str | None = None) -> FirstRecipe:
    """Write a recipe with a source for each path.

    Parameters
    ----------
    paths : files, folders or globs, local or remote
    out : the recipe; it must not exist
    name : of the recipe; that of ``out`` when left out

    Raises
    ------
    RecipeError : ``out`` exists
    SourceError : a path matches nothing, or a file whose format no name tells
    """
    if out.exists():
        raise RecipeError(f"{out} exists already; write to another file with --out")
    sources: list[FoundSource] = []
    for path in paths:
        sources.append(_found_source(path, {one.name for one in sources}))
    text = recipe_text(name or _slug(out.stem), sources)
    parse_recipe(text, str(out), out.parent)
    write_text(out, text)
    return FirstRecipe(str(out), sources)


def _found_source(path: str, taken: set[str]) -> FoundSource:
    name = _free(_slug(_stem(path)), taken)
    formats = formats_of([path], source=name)
    counts = {one: list(formats.values()).count(one) for one in sorted(set(formats.values()))}
    first = next(((file, one) for file, one in formats.items() if one in OF_RECORDS), next(iter(formats.items())))
    return FoundSource(name, path, counts, guessed_keys(*first))


def recipe_text(name: str, sources: Sequence[FoundSource]) -> str:
    """The recipe as TOML."""
    parts = [f"{HEAD}name = {_quoted(name)}\nseed = 1\n"]
    for one in sources:
        keys = {"name": one.name, "path": one.path, "domain": one.name, **one.keys}
        parts.append("\n[[sources]]\n" + "".join(f"{key} = {_quoted(value)}\n" for key, value in keys.items()))
    parts.append('\n[decide]\nprofiles = ["length"]             # `gristmill profiles` lists what else there is\n')
    parts += [CHAT] if any("messages" in one.keys for one in sources) else []
    return "".join([*parts, LATER])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def _stem(path: str) -> str:
    """The first part of a path's last name, or of the folder that a pattern stands in.

    >>> _stem("crawl/*.warc.gz"), _stem("in/sw.csv"), _stem("s3://bucket/books/")
    ('crawl', 'sw', 'books')
    """
    names = [one for one in path.split("/") if one not in ("", ".", "..")]
    plain = [one for one in names if not set("*?[") & set(one)]
    last = plain[-1] if plain else "texts"
    return last.split(".")[0] if plain and last == names[-1] else last


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:48] or "texts"


def _free(name: str, taken: set[str]) -> str:
    numbered = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(one for one in numbered if one not in taken)
