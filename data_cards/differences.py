"""Where two JSON values differ, leaf by leaf, each difference under its path."""

import json
from collections.abc import Iterator

from gristmill.corpus.typed_json import Json

SHOWN_CHARS = 60  # of a value in a sentence


def differences(found: Json, expected: Json, path: str, says: str = "the run") -> Iterator[str]:
    """One sentence for each leaf that is not the expected one, missing or too many; ``says`` names what was expected.

    Numbers are the same only when they are written the same: 1 and 1.0 and true differ.

    >>> list(differences({"a": [1, 2], "b": 3}, {"a": [1, 5], "c": 3}, "card.json"))
    ['card.json: a[1] is 2, the run says 5', 'card.json: b is not in the run', 'card.json: c is missing']
    """
    for place, sentence in _differ(found, expected, "", says):
        yield f"{path}: {place} {sentence}"


def _differ(found: Json, expected: Json, place: str, says: str) -> Iterator[tuple[str, str]]:
    if isinstance(found, dict) and isinstance(expected, dict):
        yield from _objects(found, expected, place, says)
    elif isinstance(found, list) and isinstance(expected, list):
        if len(found) != len(expected):
            first = _first(found, expected)
            yield place, f"has {len(found)} entries, {says} has {len(expected)}; they differ from {first} on"
            return
        for number, (one, other) in enumerate(zip(found, expected, strict=False)):
            yield from _differ(one, other, f"{place}[{number}]", says)
    elif type(found) is not type(expected) or found != expected:
        yield place, f"is {_shown(found)}, {says} says {_shown(expected)}"


def _objects(found: dict[str, Json], expected: dict[str, Json], place: str, says: str) -> Iterator[tuple[str, str]]:
    for key in sorted(found.keys() | expected.keys()):
        inner = f"{place}.{key}" if place else key
        if key not in expected:
            yield inner, f"is not in {says}"
        elif key not in found:
            yield inner, "is missing"
        else:
            yield from _differ(found[key], expected[key], inner, says)


def _first(found: list[Json], expected: list[Json]) -> str:
    pairs = enumerate(zip(found, expected, strict=False))
    first = next(
        (place for place, (one, other) in pairs if any(_differ(one, other, "", ""))), min(len(found), len(expected))
    )
    return f"[{first}]"


def _shown(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"
