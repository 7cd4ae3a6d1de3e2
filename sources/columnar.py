"""Tables of columns (Parquet, Arrow) to records: text stays in Arrow from file to file.

Only meta is built row by row, from the columns that no other column of DOCUMENTS takes.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.disk import FULL
from gristmill.corpus.errors import SourceError, nearest
from gristmill.sources.fields import KNOWN, check_columns, locate, meta_json, rename_id
from gristmill.sources.listing import InputFile
from gristmill.sources.messages import Conversations
from gristmill.sources.part import RECORDS, Part, large_strings, nfc
from gristmill.sources.reader import RejectError
from gristmill.sources.spec import ReadSpec

UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError)  # the last for column names that are not UTF-8


def expect_readable(error: Exception) -> None:
    """Raise an error of the disk that is written, which says nothing of the file that is read."""
    if isinstance(error, OSError) and error.errno in FULL:
        raise error


class Table:
    """The columns of one file, checked once, turned into records batch by batch. Locators are ``path#row``, from 0."""

    def __init__(self, schema: pa.Schema, file: InputFile, spec: ReadSpec):
        check_columns(schema.names, file.path, spec)
        self.rows = 0  # handed on so far
        self._schema = schema
        self._file = file
        self._spec = spec
        self._text_fields = [field for _, field in spec.template_parts if field] or [spec.messages or spec.text_field]
        self._known = [self._first_known(names) for names in KNOWN]
        self._conversations = Conversations(spec) if spec.messages else None
        self._texts = {*self._text_fields, *self._known}
        self._others = [name for name in schema.names if name not in self._texts]
        self._nested = [name for name in self._text_fields if name not in schema.names]  # "meta.body"
        for name in self._text_fields if not spec.messages else ():
            self._check_type(name)

    def write(self, batch: pa.RecordBatch, part: Part) -> None:
        """Hand a batch on to ``part``; rows with invalid UTF-8 in any column are rejects."""
        if self._conversations is not None:
            self._write_conversations(batch, self._conversations, part)
            return
        columns, invalid = self._columns(batch)
        numbers = pc.cast(pa.array(np.arange(self.rows, self.rows + batch.num_rows)), pa.string())
        locators = pc.binary_join_element_wise(pa.scalar(self._file.path), numbers, "#")
        text = self._text(columns)
        sizes = pc.cast(pc.fill_null(pc.binary_length(text), 0), pa.int64())
        known = [columns.get(name) if name else None for name in self._known]
        meta = self._meta(columns, batch.num_rows)
        arrays = [locators, sizes, normalised(text), *(_filled(column, batch.num_rows) for column in known), meta]
        cast = [array.cast(kind) for array, kind in zip(arrays, RECORDS.types, strict=True)]
        records = pa.record_batch(cast, schema=RECORDS)
        part.write(records.filter(pa.array(~invalid)) if invalid.any() else records)
        for row in np.flatnonzero(invalid).tolist():
            part.reject(locators[row].as_py(), sizes[row].as_py(), "invalid_utf8")
        self.rows += batch.num_rows

    def _write_conversations(self, batch: pa.RecordBatch, conversations: Conversations, part: Part) -> None:
        """Row by row, as lists of messages are no columns; bytes are those of the row as JSON."""
        for record in batch.to_pylist():
            locator, record = f"{self._file.path}#{self.rows}", _stated(record)
            raw = (meta_json(record) or "").encode()
            try:
                part.add(locator, len(raw), *conversations.take(record))
            except RejectError as error:
                part.reject(locator, len(raw), error.reason, error.detail, raw)
            self.rows += 1

    def _columns(self, batch: pa.RecordBatch) -> tuple[dict[str, pa.Array], np.ndarray]:
        columns: dict[str, pa.Array] = {}
        invalid = np.zeros(batch.num_rows, bool)
        for name in batch.schema.names:
            columns[name], wrong = plain_column(batch.column(name), is_text=name in self._texts)
            invalid |= wrong
        for name in self._nested:
            root, *path = name.split(".")
            columns[name], wrong = plain_column(pc.struct_field(batch.column(root), path), is_text=True)
            invalid |= wrong
        return columns, invalid

    def _text(self, columns: dict[str, pa.Array]) -> pa.LargeStringArray:
        if not self._spec.template:
            return columns[self._spec.text_field].cast(pa.large_string())
        pieces: list[Any] = []
        for literal, field in self._spec.template_parts:
            pieces.append(pa.scalar(literal, pa.large_string()))
            pieces.extend([columns[field].cast(pa.large_string())] if field else [])
        return pc.binary_join_element_wise(*pieces, pa.scalar("", pa.large_string()))

    def _meta(self, columns: dict[str, pa.Array], rows: int) -> pa.Array:
        values = [columns[name].to_pylist() for name in self._others]
        if not values:
            return pa.nulls(rows, pa.string())
        records = [dict(zip(self._others, row, strict=True)) for row in zip(*values, strict=True)]
        renames = self._spec.id_field != "id"
        for record in records if renames or self._nested else ():
            for owner, name in [locate(record, field) for field in self._nested]:
                if owner is not None:
                    owner.pop(name, None)
            if renames:
                rename_id(record, self._spec.id_field)
        return pa.array([meta_json(record) for record in records], pa.string())

    def _first_known(self, names: tuple[str, ...]) -> str | None:
        return next((name for name in names if name in self._schema.names and self._may_be_text(name)), None)

    def _may_be_text(self, name: str) -> bool:
        kind = self._schema.field(name).type
        return name not in self._text_fields and (
            _is_text(kind) or pa.types.is_date(kind) or pa.types.is_timestamp(kind)
        )

    def _check_type(self, name: str) -> None:
        kind = self._type_of(name)
        if pa.types.is_null(kind) or _is_text(kind) or (self._spec.template and pa.types.is_integer(kind)):
            return  # a column of type null is what its writer made of texts that are all null
        raise SourceError(
            f"{self._file.path}: column {name!r} is {kind}, not text; "
            f"set sources.{self._spec.name}.{self._spec.text_key} to a text column"
        )

    def _type_of(self, name: str) -> pa.DataType:
        """The type of a column, or of a field inside structs; SourceError when there is none."""
        if name not in self._nested:
            return self._schema.field(name).type
        root, *path = name.split(".")
        kind = self._schema.field(root).type
        for step in path:
            if not pa.types.is_struct(kind) or kind.get_field_index(step) < 0:
                inside = [field.name for field in kind] if pa.types.is_struct(kind) else []
                raise SourceError(
                    f"{self._file.path} has no column {name!r}: {kind} has no field {step!r}{nearest(step, inside)}; "
                    f"set sources.{self._spec.name}.{self._spec.text_key}"
                )
            kind = kind.field(step).type
        return kind


def _stated(value: Any) -> Any:
    """A value without the keys that are null, which a column of structs has for all that other rows state."""
    if isinstance(value, dict):
        return {name: _stated(item) for name, item in value.items() if item is not None}
    return [_stated(item) for item in value] if isinstance(value, list) else value


def normalised(text: pa.LargeStringArray) -> pa.LargeStringArray:
    """``text`` in NFC; the same array, uncopied, where that changes none of it.

    Texts beyond ASCII go through Python's tables, which are eight times as fast as Arrow's.
    """
    beyond = pc.fill_null(pc.invert(pc.string_is_ascii(text)), False)
    before = text.filter(beyond).to_pylist()
    after = [nfc(one) for one in before]
    return text if after == before else pc.replace_with_mask(text, beyond, large_strings(after))


def plain_column(column: pa.Array, *, is_text: bool) -> tuple[pa.Array, np.ndarray]:
    """A column that JSON can hold, and bool[n_rows] of the rows whose text is not UTF-8.

    Dictionaries are unpacked; times and decimals become text; binary becomes text where ``is_text`` asks for it.
    """
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    kind = column.type
    if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        return _spelled(column), _none(column)
    if _is_text(kind) and (is_text or not _is_binary(kind)):
        return _as_text(column)
    return column, _none(column)


def _spelled(column: pa.Array) -> pa.Array:
    """Times and decimals as text, ISO 8601 where Arrow can write it."""
    try:
        text = column.cast(pa.string())
    except pa.ArrowNotImplementedError:  # durations and intervals
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    return pc.replace_substring(text, " ", "T") if pa.types.is_timestamp(column.type) else text


def _as_text(column: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """A large_string column; rows that are not UTF-8 are null and marked."""
    try:
        text = column.cast(pa.large_string())
        text.validate(full=True)
        return text, _none(column)
    except pa.ArrowInvalid:
        raw = column.cast(pa.large_binary())
        raw.validate(full=True)
    values = [None if value is None else _decoded(value) for value in raw.to_pylist()]
    wrong = np.array([value is False for value in values], bool)
    return pa.array([value or None if value is False else value for value in values], pa.large_string()), wrong


def _decoded(value: bytes) -> str | bool:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return False


def _filled(column: pa.Array | None, rows: int) -> pa.Array:
    """A known column, empty text as null."""
    if column is None:
        return pa.nulls(rows, pa.string())
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)


def _none(column: pa.Array) -> np.ndarray:
    return np.zeros(len(column), bool)


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    is_string = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return is_string or _is_binary(kind)
