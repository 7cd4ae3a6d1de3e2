"""The columns that rooms agree on. A table that leaves a room has exactly one of these schemas.

``signals`` is open: doc_id and one double column a signal (``signals_schema``).
"""

from collections.abc import Iterable

import pyarrow as pa

from gristmill.corpus.errors import SchemaError
from gristmill.corpus.stage import Label, Signal
from gristmill.handoff.row_schema import ROW_DOCUMENT as ROW_DOCUMENT
from gristmill.handoff.row_schema import ROW_TARGETS as ROW_TARGETS
from gristmill.handoff.row_schema import rows_schema as rows_schema
from gristmill.handoff.row_schema import token_type as token_type

DOCUMENTS = pa.schema(
    [
        pa.field("doc_id", pa.string(), False),  # 32 hex: xxh3-128 of source name and locator
        pa.field("text", pa.large_string(), False),  # NFC, valid UTF-8
        pa.field("source", pa.string(), False),
        pa.field("domain", pa.string(), False),
        pa.field("lang", pa.string()),  # as the input says, else null
        pa.field("license", pa.string()),
        pa.field("url", pa.string()),
        pa.field("created", pa.string()),  # ISO 8601 as the input says
        pa.field("locator", pa.string(), False),  # file and place in it, unique in a source
        pa.field("text_hash", pa.string(), False),  # 32 hex: xxh3-128 of the text
        pa.field("meta", pa.string()),  # JSON object of the input's other fields
    ]
)

REJECTS = pa.schema(
    [
        pa.field("source", pa.string(), False),
        pa.field("locator", pa.string(), False),
        pa.field("reason", pa.string(), False),  # a short slug: invalid_utf8, not_json, too_large ...
        pa.field("detail", pa.string()),  # what exactly, for a person
        pa.field("bytes", pa.int64(), False),  # raw size of the record
        pa.field("head", pa.binary()),  # its first 512 bytes
    ]
)

MENTION = pa.struct(
    [
        pa.field("start", pa.int32()),  # byte offsets in the text
        pa.field("end", pa.int32()),
        pa.field("entity", pa.string()),
        pa.field("label", pa.string()),
        pa.field("score", pa.float32()),
    ]
)
MENTIONS = pa.schema([pa.field("doc_id", pa.string(), False), pa.field("mentions", pa.list_(MENTION), False)])

TRIPLES = pa.schema(
    [
        pa.field("doc_id", pa.string(), False),
        pa.field("head", pa.string(), False),
        pa.field("relation", pa.string(), False),
        pa.field("tail", pa.string(), False),
        pa.field("support", pa.int32(), False),  # how often the document names head and tail close together
    ]
)
ENTITY_TYPE = pa.struct(
    [pa.field("type", pa.string()), pa.field("mentions", pa.int32()), pa.field("entities", pa.int32())]
)
ENTITY_TYPES = pa.schema(  # row-aligned, most mentions first
    [pa.field("doc_id", pa.string(), False), pa.field("types", pa.list_(ENTITY_TYPE), False)]
)

CLUSTERS = pa.schema(
    [
        pa.field("doc_id", pa.string(), False),
        pa.field("cluster", pa.string(), False),  # the smallest doc_id of the cluster
        pa.field("size", pa.int32(), False),
        pa.field("kind", pa.string(), False),  # exact | near
        pa.field("jaccard", pa.float32(), False),  # verified, to the document that linked it; 1 for exact
    ]
)

LEDGER = pa.schema(
    [
        pa.field("doc_id", pa.string(), False),
        pa.field("source", pa.string(), False),
        pa.field("domain", pa.string(), False),
        pa.field("stage", pa.string(), False),  # decide
        pa.field("verdict", pa.string(), False),  # kept | dropped | merged
        pa.field("rule", pa.string()),  # one row a failing rule; null for a kept document
        pa.field("signal", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("bound", pa.string()),  # ">= 50", "<= 0.3"
        pa.field("profile", pa.string()),  # name@reading and version of the profile that held the rule
        pa.field("other", pa.string()),  # merged: the document it lost to; contaminated: the evaluation items
        pa.field("bytes", pa.int64(), False),
    ]
)

SPAN = pa.struct([pa.field("start", pa.int32()), pa.field("end", pa.int32()), pa.field("reason", pa.string())])
SPANS = pa.schema(  # rows only for documents that have spans
    [pa.field("doc_id", pa.string(), False), pa.field("spans", pa.list_(SPAN), False)]
)
KEPT = pa.schema(
    [
        pa.field("doc_id", pa.string(), False),
        pa.field("source", pa.string(), False),
        pa.field("domain", pa.string(), False),
        pa.field("part", pa.int32(), False),  # position of its part in the documents manifest
        pa.field("row", pa.int64(), False),  # position in that part
        pa.field("spans", pa.list_(SPAN), False),  # bytes to remove or mask, in order
        pa.field("weight", pa.float32(), False),
        pa.field("heldout", pa.bool_(), False),  # goes to the held-out rows, never into the plan
    ]
)


def signals_schema(signals: Iterable[Signal], labels: Iterable[Label] = ()) -> pa.Schema:
    """doc_id, one string column a label and one double column a signal.

    Unit, range and meaning stand in each field's metadata, so that a question about a run needs no code of the stage.
    """
    fields = [pa.field(label.name, pa.string(), False, metadata={"text": label.text}) for label in labels]
    fields += [pa.field(signal.name, pa.float64(), metadata=_signal_metadata(signal)) for signal in signals]
    return pa.schema([pa.field("doc_id", pa.string(), False), *fields])


def _signal_metadata(signal: Signal) -> dict[str, str]:
    stated = {"unit": signal.unit, "text": signal.text, "source": signal.source}
    bounds = {"low": signal.low, "high": signal.high}
    return {**stated, **{name: _bound_text(bound) for name, bound in bounds.items() if bound is not None}}


def _bound_text(bound: float) -> str:
    """The shorter text where it is the same number: six digits are not enough for every range."""
    return f"{bound:g}" if float(f"{bound:g}") == bound else repr(float(bound))


def signal_of(field: pa.Field) -> Signal:
    """The signal that a column holds, as its metadata says; tables of older runs say the unit alone.

    >>> found = signal_of(signals_schema([Signal("words", "words", 0, None, "white-space words")]).field("words"))
    >>> found.unit, found.low, found.high
    ('words', 0.0, None)
    """
    stated = {name.decode(): value.decode() for name, value in (field.metadata or {}).items()}
    low, high = (float(stated[name]) if name in stated else None for name in ("low", "high"))
    return Signal(field.name, stated.get("unit", ""), low, high, stated.get("text", ""), stated.get("source", ""))


def expect_columns(schema: pa.Schema, names: tuple[str, ...], what: str) -> None:
    """Raise SchemaError naming the first column that ``what`` lacks."""
    for name in names:
        if name not in schema.names:
            raise SchemaError(f"{what} has no column {name!r}; it has {', '.join(schema.names)}")
