"""JSON of frozen dataclasses, both ways: the types are the schema.

What a field may be: another dataclass, ``tuple[T, ...]``, ``tuple[A, B]``, ``Mapping[str, T]``, ``T | None``, a scalar,
or ``Any``, which is carried as it is. A key that is unknown, missing or of another type is an error with its path.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from gristmill.corpus.errors import CardError, nearest

T = TypeVar("T")
Json = Any  # what json.loads returns
NAMES = {dict: "an object", list: "a list", str: "text", bool: "true or false", NoneType: "null", int: "a whole number"}


def to_json(value: object) -> Json:
    """Plain JSON of a dataclass, or of a value that a field may hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    return value


def from_json(kind: type[T], value: Json, where: str) -> T:
    """The inverse of ``to_json``; a key may be missing only where its field has a default.

    Raises
    ------
    CardError : naming the path of the first key that is not as the type says, which begins with ``where``

    >>> from gristmill.corpus.account import Account
    >>> from_json(Account, {"documents_in": 3}, "total").documents_in
    3
    >>> from_json(Account, {"documents_im": 3}, "total")
    Traceback (most recent call last):
    gristmill.corpus.errors.CardError: total: unknown key 'documents_im'; did you mean 'documents_in'?
    """
    return _read(kind, value, where)


def _read(kind: Any, value: Json, where: str) -> Any:
    if kind is Any:
        return value
    if is_dataclass(kind):
        return _read_dataclass(kind, value, where)
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return _read_union(get_args(kind), value, where)
    if origin is tuple:
        return _read_tuple(get_args(kind), value, where)
    if origin is not None:  # Mapping
        of = get_args(kind)[1]
        return {key: _read(of, item, f"{where}.{key}") for key, item in _expect(dict, value, where).items()}
    if kind is float and type(value) is int:
        return value
    return _expect(kind, value, where)


def _read_dataclass(kind: Any, value: Json, where: str) -> Any:
    known, hints = _fields(kind), _hints(kind)
    for key in _expect(dict, value, where):
        if key not in known:
            raise CardError(f"{where}: unknown key {key!r}{nearest(key, known)}")
    for name, field in known.items():
        if name not in value and field.default is MISSING and field.default_factory is MISSING:
            raise CardError(f"{where} has no {name}")
    return kind(**{name: _read(hints[name], item, f"{where}.{name}") for name, item in value.items()})


def _read_union(kinds: tuple[Any, ...], value: Json, where: str) -> Any:
    if value is None and NoneType in kinds:
        return None
    first, *others = (kind for kind in kinds if kind is not NoneType)
    for kind in others:
        if type(value) is kind:
            return value
    return _read(first, value, where)


def _read_tuple(kinds: tuple[Any, ...], value: Json, where: str) -> tuple[Any, ...]:
    items = _expect(list, value, where)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_read(kinds[0], item, f"{where}[{place}]") for place, item in enumerate(items))
    if len(items) != len(kinds):
        raise CardError(f"{where} has {len(items)} values, not {len(kinds)}")
    return tuple(
        _read(kind, item, f"{where}[{place}]") for place, (kind, item) in enumerate(zip(kinds, items, strict=True))
    )


def _expect(kind: type, value: Json, where: str) -> Any:
    if type(value) is not kind:  # a bool is an int to isinstance
        raise CardError(f"{where} is {_named(type(value))}, not {_named(kind)}")
    return value


def _named(kind: type) -> str:
    return NAMES.get(kind, "a number")


@lru_cache(maxsize=256)
def _fields(kind: Any) -> Mapping[str, "Field[Any]"]:
    return {field.name: field for field in fields(kind)}


@lru_cache(maxsize=256)
def _hints(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)
