"""Other settings of decide over a recipe's: ``KEY=VALUE`` as on the command line, checked as the recipe is.

A key is what the recipe would say: ``decide.rules.words.at_least=80``, ``decide.profiles=c4,length``,
``decide.domains.code.rules.words.off=true``. ``decide.`` and ``decide.rules.`` may be left out.
"""

import tomllib
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from gristmill.corpus.errors import RecipeError, nearest
from gristmill.filters.decide.stage import Decide, RuleBound
from gristmill.flows.pipeline.recipe import Recipe

FIELDS = tuple(RuleBound.model_fields)


def with_settings(recipe: Recipe, sets: Sequence[str]) -> Recipe:
    """The recipe with other settings of decide, as if they stood in its file.

    A domain that gets its first setting of its own no longer follows the common profiles and rules, as in a recipe.

    Raises
    ------
    RecipeError : not KEY=VALUE, a key that decide does not have (with the nearest), or a value of the wrong kind
    """
    decide = recipe.decide.model_dump()
    for text in sets:
        key, equals, value = text.partition("=")
        if not equals:
            raise RecipeError(f"{text!r} is not KEY=VALUE; write decide.rules.words.at_least=80, or words.at_least=80")
        _place(decide, _path(recipe, key.strip()), value.strip())
    try:
        return recipe.model_copy(update={"decide": Decide.model_validate(decide)})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in ("decide", *first["loc"]))
        raise RecipeError(f"{where}: {first['msg']}, not {first['input']!r}") from None


def stated_value(text: str) -> Any:
    """A list or a table as TOML writes it; any other value stays the text that it is.

    >>> stated_value('["c4", "length"]'), stated_value("{ web = 0.3 }"), stated_value("c4,length")
    (['c4', 'length'], {'web': 0.3}, 'c4,length')
    """
    if not text.startswith(("[", "{")):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{text!r} is no TOML: {error}; write it as in a recipe, in quotes of the shell") from None


def setting_path(recipe: Recipe, key: str) -> str:
    """The key in full, as the recipe would write it; RecipeError for one that decide does not have."""
    return ".".join(("decide", *_path(recipe, key)))


def _path(recipe: Recipe, key: str) -> tuple[str, ...]:
    """Steps into decide, such as ("domains", "code", "rules", "words", "at_least")."""
    rest = key.removeprefix("decide.")
    if not rest.startswith("domains."):
        return _rules_path(key, rest)
    rest = rest.removeprefix("domains.")
    for domain in sorted(recipe.domains, key=len, reverse=True):  # a domain's name may hold dots
        if rest.startswith(f"{domain}."):
            return ("domains", domain, *_rules_path(key, rest.removeprefix(f"{domain}.")))
    name = rest.removesuffix(".profiles").split(".rules.")[0]
    raise RecipeError(f"{key}: no source has the domain {name!r}{nearest(name, recipe.domains)}")


def _rules_path(key: str, rest: str) -> tuple[str, ...]:
    if rest == "profiles":
        return (rest,)
    rule, dot, field = rest.removeprefix("rules.").rpartition(".")
    if dot and field in FIELDS:
        return ("rules", rule, field)
    if dot:
        raise RecipeError(f"{key}: a rule has no {field!r}{nearest(field, FIELDS)}")
    raise RecipeError(f"{key}: decide has no such key{nearest(rest, ('profiles', 'rules', 'domains'))}")


def _place(decide: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    """Set one value; a domain or rule that is new starts empty, as in a recipe."""
    table = decide
    for step in path[:-1]:
        table = table.setdefault(step, {})
    stated = stated_value(value)
    listed = stated if isinstance(stated, list) else [name.strip() for name in value.split(",") if name.strip()]
    if path[-1] != "profiles":
        table[path[-1]] = value
    elif isinstance(table.get("profiles"), dict):
        table["profiles"] = _of_table(table["profiles"], listed)
    else:
        table["profiles"] = listed


def _of_table(profiles: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The named profiles alone, those that the recipe defines with what it says of them."""
    own = {name: stated for name, stated in profiles.items() if isinstance(stated, dict)}
    for name in names:
        lacking = [other for other in own.get(name, {}).get("like", ()) if other in own and other not in names]
        if lacking:
            raise RecipeError(f"decide.profiles: {name!r} begins with the rules of {lacking[0]!r}; name both")
    chosen = {
        name: stated for name, stated in own.items() if name in names
    }  # in the recipe's order, which `like` needs
    return {**chosen, **{name: True for name in names if name not in own}}
