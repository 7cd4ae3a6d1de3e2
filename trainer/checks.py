"""Checks of values by key, for the tables of [trainer]: what each may be, which names are known, what two must fulfil.

Each key is looked at by itself first; what two keys must fulfil together is looked at where both are right.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from gristmill.corpus.errors import nearest
from gristmill.corpus.recipe_values import Mistake

GRID = 8  # grouped_mm wants rows of a multiple of 16 bytes, on the CPU as well: 8 bfloat16, and so 4 float32


class Check(NamedTuple):
    """What a value may be: in words, and as a test."""

    expected: str
    holds: Callable[[Any], bool]


class Pair(NamedTuple):
    """What several keys must fulfil together; the first is blamed, ``expected`` says in words of all their values."""

    keys: tuple[str, ...]
    expected: Callable[..., str]
    holds: Callable[..., bool]


def value_mistakes(
    values: Mapping[str, Any],
    checks: Mapping[str, Check],
    names: Mapping[str, Collection[str]],
    pairs: Sequence[Pair] = (),
) -> Iterator[Mistake]:
    """What is wrong of ``values``, which may be some of the keys alone.

    >>> [one.text for one in value_mistakes({"k": 0}, {"k": POSITIVE}, {})]
    ['k is 0, expected a whole number, 1 or more']
    """
    wrong = set()
    for key, (expected, holds) in checks.items():
        if key in values and not holds(values[key]):
            wrong.add(key)
            yield Mistake((key,), f"{key} is {values[key]}, expected {expected}")
    for key, known in names.items():
        if key in values and values[key] not in known:
            wrong.add(key)
            near = nearest(str(values[key]), known)
            listed = " or ".join(name for name in known if name)
            yield Mistake((key,), f"{key} is {values[key]}, expected {listed}{near if 'mean' in near else ''}")
    for keys, expected, holds in pairs:
        if wrong.isdisjoint(keys) and all(key in values for key in keys):
            given = [values[key] for key in keys]
            if not holds(*given):
                yield Mistake(keys, f"{keys[0]} is {given[0]}, expected {expected(*given)}")


def whole(value: Any, least: int) -> bool:
    """Whether a value is a whole number of at least ``least``."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def real(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


POSITIVE = Check("a whole number, 1 or more", lambda value: whole(value, 1))
COUNT = Check("a whole number, 0 or more", lambda value: whole(value, 0))
WIDTH = Check(f"a multiple of {GRID} (grouped GEMM alignment)", lambda value: whole(value, GRID) and value % GRID == 0)
WEIGHT = Check("0 or more", lambda value: real(value) and value >= 0)
ABOVE_ZERO = Check("more than 0", lambda value: real(value) and value > 0)
CHANCE = Check("0 up to, not including, 1", lambda value: real(value) and 0 <= value < 1)
