"""One line of what ``gristmill verify`` prints."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, whether it holds, and what was found."""

    name: str
    ok: bool
    detail: str
