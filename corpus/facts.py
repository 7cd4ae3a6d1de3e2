"""Facts: small frozen dataclasses in which a stage says what it did; added up over batches and parts, kept as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar

Facts = TypeVar("Facts")


def add_facts(many: Sequence[Facts]) -> Facts | None:
    """One instance with the sums of all: numbers added, tables of numbers added key by key, texts that must agree.

    >>> from dataclasses import dataclass, field
    >>> @dataclass(frozen=True)
    ... class Finds:
    ...     documents: int
    ...     by_kind: dict[str, int] = field(default_factory=dict)
    >>> add_facts([Finds(1, {"a": 1}), Finds(2, {"b": 5})])
    Finds(documents=3, by_kind={'a': 1, 'b': 5})
    """
    if not many:
        return None
    first = many[0]
    sums = {one.name: _added([getattr(facts, one.name) for facts in many]) for one in fields(first)}  # type: ignore[arg-type]
    return type(first)(**sums)


def _added(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, Mapping):
        names = sorted({name for value in values for name in value})
        return {name: _added([value[name] for value in values if name in value]) for name in names}
    if isinstance(first, int | float) and not isinstance(first, bool):
        return sum(values)
    if any(value != first for value in values):
        raise ValueError(f"facts disagree: {first!r} and {next(value for value in values if value != first)!r}")
    return first


def facts_json(facts: Any) -> dict[str, Any]:
    """Facts as plain JSON; nothing for None."""
    if facts is None:
        return {}
    if is_dataclass(facts) and not isinstance(facts, type):
        return asdict(facts)
    return {str(name): value for name, value in facts.items()}


@cache
def _adapter(kind: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def read_facts(kind: type[Facts], value: Mapping[str, Any]) -> Facts:
    """The inverse of ``facts_json``; ValueError where the receipt is not of this kind."""
    return _adapter(kind).validate_python(dict(value))
