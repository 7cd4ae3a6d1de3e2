"""Reading tables in spite of mistakes: what is wrong is reported and taken out, and the rest is read again."""

from collections.abc import Mapping, MutableMapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import reduce
from typing import Annotated, Any, Generic, TypeVar, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gristmill.corpus.errors import nearest
from gristmill.corpus.recipe_values import Section

Model = TypeVar("Model", bound=Section)
KeyPath = tuple[str | int, ...]
_ROUNDS = 64  # of reading again; each takes out at least one key
_STAND_INS: tuple[Any, ...] = ("x", "a", 1, 0.5, True, [], {}, ["x"], {"x": 1.0})


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake and the key that it lies in."""

    path: KeyPath
    text: str


@dataclass(slots=True)
class Reading(Generic[Model]):
    """What could be read, with stand-ins for what could not, and what was wrong."""

    section: Model | None = None
    faults: list[Fault] = field(default_factory=list)
    taken_out: set[KeyPath] = field(default_factory=set)  # keys whose value is a stand-in or the default


def read_leniently(model: type[Model], raw: Mapping[str, Any]) -> Reading[Model]:
    """Read ``raw`` as ``model``; every value that is wrong by itself becomes a fault and is left out."""
    data, reading = deepcopy(dict(raw)), Reading[Model]()
    known = reading.taken_out
    for _ in range(_ROUNDS):
        try:
            reading.section = model.model_validate(data)
            break
        except ValidationError as error:
            found = _faults(error.errors(), data, model)
            reading.faults += [fault for fault in found if not _follows(fault.path, known)]
            for fault in found:
                _repair(data, model, fault.path, again=fault.path in known)
                known.add(fault.path)
    return reading


def _follows(path: KeyPath, known: set[KeyPath]) -> bool:
    """True where a value is wrong because one in it was taken out."""
    return any(bad[: len(path)] == path for bad in known)


def _faults(details: list[ErrorDetails], data: dict[str, Any], model: type[Section]) -> list[Fault]:
    """One fault a key; of a key that may be of several kinds, the one that reaches deepest."""
    by_path: dict[KeyPath, Fault] = {}
    for detail in details:
        path = _walk(data, detail["loc"], missing=detail["type"] == "missing")
        by_path.setdefault(path, Fault(path, _message(detail, path, model)))
    paths = list(by_path)
    hidden = {path for path in paths if any(other != path and other[: len(path)] == path for other in paths)}
    return [fault for path, fault in by_path.items() if path not in hidden]


def _walk(data: Any, loc: tuple[str | int, ...], *, missing: bool) -> KeyPath:
    """The steps of an error's place that exist in the data; pydantic puts names of kinds between them."""
    path: list[str | int] = []
    for number, step in enumerate(loc):
        if _leads_on(data, step):
            data = data[step]
        elif not (missing and number == len(loc) - 1):
            continue
        path.append(step)
    return tuple(path)


def _leads_on(data: Any, step: str | int) -> bool:
    if isinstance(data, list | tuple):
        return isinstance(step, int) and step < len(data)
    return isinstance(data, Mapping) and step in data


def _message(detail: ErrorDetails, path: KeyPath, model: type[Section]) -> str:
    if detail["type"] == "extra_forbidden":
        table = _table(model, path[:-1])
        if table is not None and path[-1] in table.former:
            return f"this key is now {table.former[str(path[-1])]}"
        return f"unknown key{nearest(str(path[-1]), known_keys(model, path[:-1]))}"
    if detail["type"] == "missing":
        return "this key is required"
    if detail["type"] == "model_type":
        return f"expected a table, not {detail['input']!r}"
    return detail["msg"].removeprefix("Value error, ")


def _repair(data: Any, model: type[Section], path: KeyPath, *, again: bool) -> None:
    """Take the value out; where the key is required, put something of its kind there."""
    holder: Any = reduce(_step_into, path[:-1], data)
    if not path:
        data.clear()
    elif isinstance(holder, list):
        holder.pop(int(path[-1]))
    elif isinstance(holder, dict) and not again and path[-1] in holder:
        holder.pop(path[-1])
    elif isinstance(holder, dict):
        _stand_in(holder, model, path)


def _step_into(holder: Any, step: str | int) -> Any:
    """What stands at one step; None where the step leads nowhere."""
    return holder[step] if _leads_on(holder, step) else None


def _stand_in(holder: MutableMapping[Any, Any], model: type[Section], path: KeyPath) -> None:
    info = _field(model, path)
    if info is None:
        holder.pop(path[-1], None)
        return
    wanted: Any = info.annotation
    for note in info.metadata:
        wanted = Annotated[wanted, note]  # type: ignore[misc]
    kind: TypeAdapter[Any] = TypeAdapter(wanted)
    for value in (*_STAND_INS, _smallest(info)):
        try:
            kind.validate_python(value)
        except ValidationError:
            continue
        holder[path[-1]] = value
        return


def _smallest(info: FieldInfo) -> Any:
    """An empty table of the kind, with stand-ins for what it requires."""
    section = _section_of(info.annotation)
    if section is None:
        return None
    made: dict[str, Any] = {}
    for name, inner in section.model_fields.items():
        if inner.is_required():
            _stand_in(made, section, (name,))
    return [made] if "tuple" in str(info.annotation) else made


def known_keys(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Keys of the table at ``path``."""
    found = _table(model, path)
    return [info.alias or name for name, info in found.model_fields.items()] if found is not None else []


def _table(model: type[BaseModel], path: KeyPath) -> Any:
    """The kind of table at ``path``, None where there is none."""
    found: Any = model
    for step in path:
        if isinstance(found, type) and issubclass(found, BaseModel) and step in found.model_fields:
            found = _section_of(found.model_fields[str(step)].annotation)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def _field(model: type[BaseModel], path: KeyPath) -> FieldInfo | None:
    found = _table(model, path[:-1])
    return found.model_fields.get(str(path[-1])) if found is not None else None


def _section_of(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_section_of(argument) for argument in get_args(annotation))
    return next((section for section in found if section is not None), None)
