"""What else differs between two runs: recipes, inputs, and the code and models of each stage. Read from their locks."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gristmill.corpus.lock import Lock
from gristmill.corpus.typed_json import Json
from gristmill.flows.pipeline.stages import BUILT_IN
from gristmill.knowledge.stage import VERBALISE

BY_INPUTS = ("documents", "decide")  # inputs and rules are reasons of their own
BUILT_IN_BY_NAME = {spec.name: spec for spec in BUILT_IN}


@dataclass(frozen=True, slots=True)
class Differs:
    """One value that the two runs do not share; None where a run has none."""

    key: str
    before: Json
    after: Json


def leaves(value: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    """Every leaf under its path.

    >>> list(leaves({"a": [1, {"b": 2}], "c": {}}))
    [('a[0]', 1), ('a[1].b', 2), ('c', {})]
    """
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and value:
        for number, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{number}]")
    else:
        yield path, value


def differing(before: Json, after: Json) -> list[Differs]:
    """Leaves that two values do not share, by path.

    >>> differing({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4})
    [Differs(key='b', before=2, after=3), Differs(key='c', before=None, after=4)]
    """
    sides = [dict(leaves(side)) for side in (before, after)]
    keys = sorted(sides[0].keys() | sides[1].keys())
    both = (Differs(key, sides[0].get(key), sides[1].get(key)) for key in keys)
    return [one for one in both if one.before != one.after or type(one.before) is not type(one.after)]


def code_of(before: Lock, after: Lock) -> dict[str, list[Differs]]:
    """By stage: its version, libraries, plug-ins, models and settings, where they differ."""
    names = sorted(before.stages.keys() | after.stages.keys())
    return {name: found for name in names if (found := differing(_made(before, name), _made(after, name)))}


def _made(lock: Lock, stage: str) -> dict[str, Any]:
    """What decides the output of a stage besides its input; without a version where the run lacks the stage."""
    made: dict[str, Any] = {"version": lock.stages.get(stage), "libraries": dict(lock.libraries.get(stage, {}))}
    if stage in BY_INPUTS or made["version"] is None:
        return made | {"artefacts": {}, "plugins": {}, "settings": None}
    spec = BUILT_IN_BY_NAME.get(stage) or BUILT_IN_BY_NAME.get(stage.partition("-")[0])  # classifier-NAME
    plugins = {} if spec else {name: asdict(plugin) for name, plugin in lock.plugins.items()}
    settings = _section(lock, spec.recipe_key if spec else stage)
    return made | {"artefacts": dict(lock.artefacts.get(stage, {})), "plugins": plugins, "settings": settings}


def _section(lock: Lock, key: str) -> Json:
    """What the recipe says under ``key``, such as dedup.near."""
    found: Any = lock.recipe
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def by_other_code(code: Mapping[str, list[Differs]]) -> set[str]:
    """Stages of both runs that differ in more than their settings."""
    return {
        stage
        for stage, found in code.items()
        if any(not one.key.startswith("settings") for one in found)
        and not any(one.key == "version" and None in (one.before, one.after) for one in found)
    }


def recipe_differences(before: Lock, after: Lock) -> list[Differs]:
    """Keys of the recipes that differ; a source is known by its name and not by its place."""
    sides = [
        {**lock.recipe, "sources": {one["name"]: one for one in lock.recipe["sources"]}} for lock in (before, after)
    ]
    return differing(*sides)


def changed_inputs(before: Lock, after: Lock) -> dict[str, list[Differs]]:
    """By source that both runs have: files, graph, and recipe keys that say how it is read, where they differ."""
    sides = [{one["name"]: one for one in lock.recipe["sources"]} for lock in (before, after)]
    shared = sorted(sides[0].keys() & sides[1].keys())
    found = {name: differing(_read(before, sides[0][name]), _read(after, sides[1][name])) for name in shared}
    return {name: differences for name, differences in found.items() if differences}


_RULED = ("priority", "retention_budget", "domain", "path", "exclude", "lang", "license")  # that change no text


def _read(lock: Lock, source: Mapping[str, Any]) -> dict[str, Any]:
    files = {file.path: file.digest for file in lock.inputs.get(source["name"], [])}
    graph = lock.artefacts.get("mentions", {}).get("graph") if source.get("format") == "graph" else None
    how = {key: value for key, value in source.items() if key not in _RULED}
    verbalised = lock.stages.get(VERBALISE.name) if graph else None
    return {"files": files, "graph": graph, "verbalise": verbalised, "how": how, "limits": lock.recipe.get("limits")}


def sources_of(lock: Lock) -> list[str]:
    """Names of a recipe's sources."""
    return [source["name"] for source in lock.recipe["sources"]]
