"""Does a croissant.json keep the constraints of ``croissant_shapes``? Each mistake names the section that it breaks.

A property that its class does not have is a mistake too: a misspelt one tells a reader nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gristmill.data_cards.croissant_shapes import SHAPES, VALUES

Node = Mapping[str, Any]
CROISSANT = "http://mlcommons.org/croissant/1.1"
VOCABULARIES = ("rai:", "prov:")  # properties of other specifications beside it, as texts and nodes


def shape_mistakes(value: Node) -> Iterator[str]:
    """Every constraint that a croissant.json breaks, as one sentence; ``value`` is its JSON."""
    if value.get("@type") != "sc:Dataset":
        yield _sentence("@type", "is not sc:Dataset", "sc:Dataset")
    yield from _node("", value, "sc:Dataset")
    if CROISSANT not in _several(value.get("conformsTo")):
        yield _sentence("conformsTo", f"does not name {CROISSANT}", "sc:Dataset")
    yield from _links(value)
    for record in _several(value.get("recordSet")):
        yield from _records(record)


def _sentence(place: str, problem: str, kind: str) -> str:
    return f"croissant.json: {place} {problem} (Croissant 1.1, {SHAPES[kind].section})"


def _several(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _node(place: str, node: Node, kind: str) -> Iterator[str]:
    shape = SHAPES[kind]
    for name in node:
        if name not in shape.properties and name != "@type" and not name.startswith(VOCABULARIES):
            yield _sentence(f"{place}{name}", "is no property there", kind)
    for name, asked in shape.properties.items():
        values = _several(node.get(name))
        if len(values) < asked.least:
            yield _sentence(f"{place}{name}", "is missing", kind)
        if isinstance(node.get(name), list) and not asked.many:
            yield _sentence(f"{place}{name}", "has several values, one is allowed", kind)
        for number, one in enumerate(values):
            at = f"{place}{name}[{number}]" if isinstance(node.get(name), list) else f"{place}{name}"
            yield from _value(at, one, asked.kinds, kind)
    for names in shape.one_of:
        if sum(name in node for name in names) != 1:
            yield _sentence(place.rstrip("."), f"needs exactly one of {', '.join(names)}", kind)


def _value(place: str, value: Any, kinds: tuple[str, ...], parent: str) -> Iterator[str]:
    (*_, last) = kinds
    if last not in SHAPES:
        if not any(VALUES[kind](value) for kind in kinds):
            yield _sentence(place, f"is no {' and no '.join(kinds)}", parent)
    elif not isinstance(value, Mapping) or (":" in last and value.get("@type") != last):
        yield _sentence(place, f"is no {last}", parent)
    else:
        yield from _node(f"{place}.", value, last)


def _links(value: Node) -> Iterator[str]:
    """Identifiers are unique, and what is referred to is there (section ID and Reference Mechanism)."""
    named: list[str] = []
    used: list[str] = []
    _collect({key: value.get(key) for key in ("distribution", "recordSet")}, named, used)
    section = "(Croissant 1.1, ID and Reference Mechanism)"
    for name in sorted({name for name in named if named.count(name) > 1}):
        yield f"croissant.json: the @id {name} is given twice {section}"
    for name in sorted(set(used) - set(named)):
        yield f"croissant.json: nothing has the @id {name} that is referred to {section}"


def _collect(value: Any, named: list[str], used: list[str]) -> None:
    if isinstance(value, Mapping):
        if "@id" in value:
            (used if len(value) == 1 else named).append(str(value["@id"]))
        for key, inner in value.items():
            if key != "data":
                _collect(inner, named, used)
    elif isinstance(value, list):
        for inner in value:
            _collect(inner, named, used)


def _records(record: Any) -> Iterator[str]:
    """Fields are of their record set; inline records have its fields and differ in its key."""
    if not isinstance(record, Mapping):
        return
    name, fields = str(record.get("@id")), [field for field in _several(record.get("field")) if isinstance(field, dict)]
    for field in fields:
        if not str(field.get("@id")).startswith(f"{name}/"):
            yield _sentence(f"{field.get('@id')}", f"does not begin with {name}/", "cr:RecordSet")
        if "arrayShape" in field and field.get("isArray") is not True:
            yield _sentence(f"{field.get('@id')}.arrayShape", "needs isArray", "cr:Field")
    rows, known = _several(record.get("data")), {field.get("@id") for field in fields}
    for number, row in enumerate(rows):
        if isinstance(row, Mapping) and set(row) != known:
            yield _sentence(f"{name}.data[{number}]", "does not have the fields of its record set", "cr:RecordSet")
    keys = [key.get("@id") for key in _several(record.get("key")) if isinstance(key, dict)]
    values = [str([row.get(key) for key in keys]) for row in rows if isinstance(row, Mapping)]
    if keys and len(set(values)) < len(values):
        yield _sentence(f"{name}.key", "is the same in two records", "cr:RecordSet")
