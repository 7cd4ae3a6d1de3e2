"""From an input's own fields to columns: text or template, the fields everybody knows, and meta for the rest."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from gristmill.corpus.errors import SourceError, nearest
from gristmill.sources.reader import RejectError
from gristmill.sources.spec import ReadSpec

# The first of a group that holds text fills the column; every other field goes to meta.
KNOWN = (("url",), ("lang", "language"), ("license",), ("created", "date", "timestamp"))
_COMPARED = 1000
_SHOWN = 12
_COLUMN_AND_NAME = tuple((column, name) for column, names in enumerate(KNOWN) for name in names)


class Fields(NamedTuple):
    """The columns of one record, in the order of ``part.RECORDS`` from text on."""

    text: str
    url: str | None = None
    lang: str | None = None
    license: str | None = None
    created: str | None = None
    meta: str | None = None


class FieldMap:
    """How the records of one source become columns; those of conversations, see ``gristmill.sources.messages``."""

    def __init__(self, spec: ReadSpec):
        self._spec = spec
        self._parts = spec.template_parts
        self._rename_id = spec.id_field != "id"

    def take(self, record: dict[str, Any]) -> Fields:
        """Empty ``record`` into columns. RejectError: field_missing, text_null or text_not_string.

        >>> FieldMap(ReadSpec("s", "web")).take({"id": 7, "text": "hi", "lang": "en", "score": 0.5})
        Fields(text='hi', url=None, lang='en', license=None, created=None, meta='{"id":7,"score":0.5}')
        """
        text = self._fill_template(record) if self._parts else _text(record, self._spec.text_field)
        if self._rename_id:
            rename_id(record, self._spec.id_field)
        return columns_of(text, record)

    def _fill_template(self, record: dict[str, Any]) -> str:
        pieces = [(literal, "" if field is None else _text(record, field, pop=False)) for literal, field in self._parts]
        for _, field in self._parts:
            owner, name = locate(record, field or "")
            if owner is not None:
                owner.pop(name, None)
        return "".join(piece for pair in pieces for piece in pair)


def columns_of(text: str, record: dict[str, Any]) -> Fields:
    """``text`` with the columns that the other fields of a record fill; ``record`` is emptied into meta."""
    known: list[str | None] = [None] * len(KNOWN)
    for column, name in _COLUMN_AND_NAME:
        if name in record and known[column] is None and type(record[name]) is str:
            known[column] = record.pop(name) or None
    return Fields(text, *known, meta=meta_json(record))


def check_columns(names: list[str], path: str, spec: ReadSpec) -> None:
    """SourceError when a table has two columns of one name, or lacks one that makes the text."""
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise SourceError(f"{path} has two columns {twice!r}; rename one, or leave the file out of sources.{spec.name}")
    wanted = [field for _, field in spec.template_parts if field] or [spec.messages or spec.text_field]
    known = set(names)
    for name in wanted:
        if name not in known and name.split(".")[0] not in known:
            raise SourceError(
                f"{path} has no column {name!r}{_nearest(name, names)}; set sources.{spec.name}.{spec.text_key}"
            )


def _nearest(name: str, names: list[str]) -> str:
    """The nearest name; of a hundred thousand columns the first are compared, for each costs a comparison."""
    found = nearest(name, names[:_COMPARED])
    return found if "mean" in found or len(names) <= _SHOWN else f"; known: {', '.join(sorted(names)[:_SHOWN])} ..."


def rename_id(record: dict[str, Any], id_field: str) -> None:
    """Call the input's identifier "id" in meta; another field of that name becomes "_id"."""
    owner, name = locate(record, id_field)
    if owner is None or name not in owner:
        return
    value = owner.pop(name)
    if "id" in record:
        record["_id"] = record.pop("id")
    record["id"] = value


def locate(record: dict[str, Any], field: str) -> tuple[dict[str, Any] | None, str]:
    """The object that holds ``field``, and its name there: of the whole name first, else of a path by dots.

    >>> locate({"meta": {"body": "x"}}, "meta.body"), locate({"meta.body": "y"}, "meta.body")
    (({'body': 'x'}, 'body'), ({'meta.body': 'y'}, 'meta.body'))
    """
    owner, name = record, field
    while name not in owner and "." in name:
        first, _, rest = name.partition(".")
        inside = owner.get(first)
        if not isinstance(inside, dict):
            return None, field
        owner, name = inside, rest
    return owner, name


def meta_json(record: dict[str, Any]) -> str | None:
    """The JSON object of ``record`` with sorted keys, or None when it is empty.

    Raises
    ------
    TypeError : a value whose text is another one in every process
    RejectError : json_too_deep, number_too_large
    """
    if not record:
        return None
    try:
        return orjson.dumps(record, default=_plain, option=orjson.OPT_SORT_KEYS).decode()
    except orjson.JSONEncodeError as error:  # nests deeper than orjson writes, or an integer of more than 64 bits
        if error.__cause__ is not None:
            raise TypeError(str(error.__cause__)) from None
        raise RejectError("number_too_large" if "64-bit" in str(error) else "json_too_deep", str(error)) from None


def _text(record: dict[str, Any], field: str, *, pop: bool = True) -> str:
    owner, name = locate(record, field)
    if owner is None or name not in owner:
        raise RejectError("field_missing", f"no field {field!r} among {_names(record)}")
    value = owner.pop(name) if pop else owner[name]
    if type(value) is str:
        return value
    if value is None:
        raise RejectError("text_null", f"field {field!r} is null; beside it {_names(record)}")
    if type(value) is int and not pop:
        return str(value)  # a template may hold numbers
    raise RejectError("text_not_string", f"field {field!r} is {type(value).__name__}; beside it {_names(record)}")


def _names(record: Iterable[str]) -> str:
    names = sorted(record)
    return ", ".join(names[:8]) + (" ..." if len(names) > 8 else "")


def _plain(value: Any) -> str:
    """What JSON has no type for: bytes as hex, the rest as text; TypeError where that is no function of the value."""
    text = value.hex() if isinstance(value, bytes) else str(value)
    if isinstance(value, set | frozenset) or " at 0x" in text:
        raise TypeError(f"a value of type {type(value).__name__}, which JSON does not hold")
    return text
