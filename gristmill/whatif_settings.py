"""Settings of ``[decide]`` given as Python values, as ``KEY=VALUE`` of the command line, which checks them."""

from collections.abc import Iterator, Mapping
from typing import Any


def settings_of(settings: Mapping[str, Any]) -> list[str]:
    """``KEY=VALUE`` for each value, however deep it stands.

    >>> settings_of({"words": {"at_least": 80, "off": False}, "profiles": ["c4", "length"], "lines.at_most": 9.5})
    ['words.at_least=80', 'words.off=false', 'profiles=c4,length', 'lines.at_most=9.5']
    """
    return list(_flat(settings, ""))


def _flat(settings: Mapping[str, Any], path: str) -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}={_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(map(str, value))
    return str(value)
