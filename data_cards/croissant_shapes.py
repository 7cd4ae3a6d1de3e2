"""The constraints that the Croissant 1.1 specification states in its tables, as data; ``croissant_check`` reads them.

No SHACL shapes are published with the specification, and its validator takes most values of any type. What each
section asks of its class stands here: properties, their types, and whether one value or several are allowed.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Property(NamedTuple):
    """What a value must be: names of ``VALUES``, or of a class that has a shape; ``least`` is 0 or 1."""

    kinds: tuple[str, ...]
    least: int = 0
    many: bool = False


class Shape(NamedTuple):
    """A class of the specification, the section that defines it, and sets of properties of which exactly one stands."""

    section: str
    properties: Mapping[str, Property]
    one_of: tuple[tuple[str, ...], ...] = ()


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value))


VALUES: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str) and bool(value.strip()),
    "address": _matches(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]+"),
    "place": _matches(r"[^\s<>\"{}|\\^`]+"),  # an address, or a path beside the file
    "date": _matches(r"\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d)?)?"),
    "truth": lambda value: isinstance(value, bool),
    "media type": _matches(r"[a-z]+/[A-Za-z0-9.+-]+"),
    "size": _matches(r"\d+( [kMGT]?B)?"),
    "sha256": _matches("[0-9a-f]{64}"),
    "type": _matches(r"(sc|cr|wd):\w+"),
    "array shape": _matches(r"-?\d+(,-?\d+)*"),
    "reference": lambda value: isinstance(value, Mapping) and set(value) == {"@id"},
    "record": lambda value: isinstance(value, Mapping),
    "agent": lambda value: (
        isinstance(value, Mapping)
        and value.get("@type") in ("sc:Organization", "sc:Person")
        and VALUES["text"](value.get("name"))
    ),
    "work": lambda value: (
        isinstance(value, Mapping) and value.get("@type") == "sc:CreativeWork" and VALUES["text"](value.get("name"))
    ),
}
ID = Property(("place",), 1)
NAMED = {"@id": ID, "name": Property(("text",), 1), "description": Property(("text",))}
SHAPES = {
    "sc:Dataset": Shape(
        "Dataset-level Information",
        {
            "@context": Property(("record",), 1),
            "conformsTo": Property(("address",), 1, True),
            "description": Property(("text",), 1),
            "license": Property(("address", "work"), 1, True),
            "name": Property(("text",), 1),
            "url": Property(("address",), 1),
            "creator": Property(("agent",), 1, True),
            "datePublished": Property(("date",), 1),
            "keywords": Property(("text",), 0, True),
            "publisher": Property(("agent",), 0, True),
            "version": Property(("text",)),
            "dateCreated": Property(("date",)),
            "dateModified": Property(("date",)),
            "sameAs": Property(("address",), 0, True),
            "sdLicense": Property(("address", "work"), 0, True),
            "inLanguage": Property(("text",), 0, True),
            "distribution": Property(("cr:FileObject",), 1, True),
            "isLiveDataset": Property(("truth",)),
            "citeAs": Property(("text",)),
            "sdVersion": Property(("text",)),
            "recordSet": Property(("cr:RecordSet",), 0, True),
        },
    ),
    "cr:FileObject": Shape(
        "FileObject",
        NAMED
        | {
            "contentUrl": Property(("place",), 1),
            "contentSize": Property(("size",), 1),
            "encodingFormat": Property(("media type",), 1, True),
            "sha256": Property(("sha256",), 1),
            "sameAs": Property(("address",), 0, True),
            "containedIn": Property(("reference",), 0, True),
        },
    ),
    "cr:RecordSet": Shape(
        "RecordSet",
        NAMED
        | {
            "field": Property(("cr:Field",), 1, True),
            "key": Property(("reference",), 0, True),
            "data": Property(("record",), 0, True),
            "examples": Property(("record", "address"), 0, True),
        },
    ),
    "cr:Field": Shape(
        "Field",
        NAMED
        | {
            "source": Property(("source",)),
            "dataType": Property(("type",), 0, True),
            "isArray": Property(("truth",)),
            "arrayShape": Property(("array shape",)),
            "repeated": Property(("truth",)),
            "references": Property(("reference",), 0, True),
            "subField": Property(("cr:Field",), 0, True),
        },
        (("dataType", "subField"),),
    ),
    "source": Shape(
        "DataSource",
        {
            **dict.fromkeys(("fileObject", "fileSet", "recordSet"), Property(("reference",))),
            "extract": Property(("extract",)),
            "transform": Property(("record",), 0, True),
            "format": Property(("text",)),
        },
        (("fileObject", "fileSet", "recordSet"),),
    ),
    "extract": Shape(
        "Extract",
        dict.fromkeys(("column", "fileProperty", "jsonPath"), Property(("text",))),
        (("column", "fileProperty", "jsonPath"),),
    ),
}
