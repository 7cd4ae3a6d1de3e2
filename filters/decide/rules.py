"""Rules: a signal, bounds and a reason. Data only; ``decide`` applies them.

A rule keeps documents whose signal lies in [at_least, at_most]. One with ``languages`` judges documents of those
languages alone, never one whose language is unknown; one with ``not_for`` judges all others, and unknown ones.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from gristmill.corpus.errors import UnknownNameError
from gristmill.corpus.files import content_key

OWN = "recipe"  # the profile of rules that a recipe adds by itself

Bound = tuple[float | None, float | None, bool]  # at_least, at_most (None: as the profile has it), off


@dataclass(frozen=True, slots=True)
class Rule:
    """Keep documents whose ``signal`` lies in [at_least, at_most]."""

    name: str
    signal: str
    at_least: float = float("-inf")
    at_most: float = float("inf")
    source: str = ""
    languages: tuple[str, ...] = ()  # primary subtags; empty: all
    not_for: tuple[str, ...] = ()  # languages that have bounds of their own
    profile: str = OWN  # name and version of the profile that holds it

    @property
    def bound(self) -> str:
        """The bounds as text.

        >>> Rule("words", "words", at_least=50).bound
        '>= 50'
        """
        low = f">= {self.at_least:g}" if self.at_least > float("-inf") else ""
        high = f"<= {self.at_most:g}" if self.at_most < float("inf") else ""
        return " and ".join(part for part in (low, high) if part) or "any"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, which has no infinities."""
        return asdict(self) | {"at_least": str(self.at_least), "at_most": str(self.at_most)}

    def judges(self, language: str | None) -> bool:
        """Whether documents of this language are judged; None: unknown.

        >>> [Rule("r", "words", languages=("en",)).judges(one) for one in ("en", "de", None)]
        [True, False, False]
        >>> [Rule("r", "words", not_for=("en",)).judges(one) for one in ("en", "de", None)]
        [False, True, True]
        """
        return (not self.languages or language in self.languages) and language not in self.not_for

    def fails(self, values: np.ndarray) -> np.ndarray:
        """bool[n_docs]: the value lies outside the bounds, or is no number."""
        return ~((values >= self.at_least) & (values <= self.at_most))


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of rules: one reading of one published recipe."""

    name: str
    version: str
    rules: tuple[Rule, ...]
    source: str
    differences: str = ""  # where it departs from its source, and why

    def __post_init__(self):
        tag = f"{self.name} v{self.version}"
        object.__setattr__(self, "rules", tuple(replace(rule, profile=tag) for rule in self.rules))

    @property
    def digest(self) -> str:
        """Of all that its rules say, so that a run's lock changes when they do."""
        return content_key([rule.to_json() for rule in self.rules])


def resolve(
    profiles: Sequence[str], bounds: Mapping[str, Bound], known: Mapping[str, Profile], signals: Collection[str]
) -> tuple[Rule, ...]:
    """The rules of ``profiles`` with a recipe's own bounds over them.

    Parameters
    ----------
    profiles : names in ``known``
    bounds : by name of a rule or signal: (at_least, at_most, off). A bound changes every rule of that name or
        signal, and adds a rule for a signal that no profile judges. ``off`` takes such rules out.
    known : profiles to choose from, such as ``gristmill.filters.decide.profiles.PROFILES``
    signals : names of signals that a bound may judge

    Raises
    ------
    UnknownNameError : an unknown profile, or a bound for what is neither a rule nor a signal

    >>> from gristmill.filters.decide.profiles import PROFILES
    >>> rules = resolve(["length"], {"words": (10, None, False), "chars": (None, 99, False)}, PROFILES, {"chars"})
    >>> [(rule.name, rule.bound) for rule in rules]
    [('words', '>= 10'), ('chars', '<= 99')]
    """
    for name in profiles:
        if name not in known:
            raise UnknownNameError("profile", name, known)
    rules = tuple(rule for name in profiles for rule in known[name].rules)
    for name, bound in bounds.items():
        rules = _with_bound(rules, name, bound, signals)
    return rules


def _with_bound(rules: tuple[Rule, ...], name: str, bound: Bound, signals: Collection[str]) -> tuple[Rule, ...]:
    at_least, at_most, off = bound
    chosen = [rule for rule in rules if name in (rule.name, rule.signal)]
    if not chosen and name not in signals:
        raise UnknownNameError("rule or signal", name, {*signals, *(rule.name for rule in rules)})
    if off:
        return tuple(rule for rule in rules if rule not in chosen)
    if not chosen:
        return (*rules, _bounded(Rule(name, name), at_least, at_most))
    return tuple(_bounded(rule, at_least, at_most) if rule in chosen else rule for rule in rules)


def _bounded(rule: Rule, at_least: float | None, at_most: float | None) -> Rule:
    at_least = rule.at_least if at_least is None else float(at_least)
    return replace(rule, at_least=at_least, at_most=rule.at_most if at_most is None else float(at_most))


def signals_of(rules: Iterable[Rule]) -> tuple[str, ...]:
    """Signals that rules read, each once, in order."""
    return tuple(dict.fromkeys(rule.signal for rule in rules))
