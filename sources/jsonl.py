"""JSON Lines: one object per line, split at line feeds only, for U+0085 and U+2028 are text.

The loop over records is a reader's named exception to columns: orjson builds one object per line.
"""

import json
from functools import partial
from typing import Any

import orjson

from gristmill.corpus.errors import SourceError
from gristmill.sources.field_maps import field_map
from gristmill.sources.json_values import Value, holds_values, values
from gristmill.sources.listing import InputFile
from gristmill.sources.opening import Stream, open_stream
from gristmill.sources.part import Part
from gristmill.sources.reader import RejectError
from gristmill.sources.recoding import HEAD_BYTES, line_encoding
from gristmill.sources.spec import ReadSpec, is_utf8

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LINE_FEED = 10
_SKIP_BYTES = 1 << 20
_NESTED = frozenset({dict, list})
_WRONG_VALUES = {"truncated": "the file ends inside it", "not_json": "it stands before an array"}
_REASON_OF_MESSAGE = (("end of data", "truncated"), ("surrogate", "lone_surrogate"), ("limit", "json_too_deep"))


def read(file: InputFile, spec: ReadSpec, part: Part) -> None:
    """Add every line of ``file`` as a document or a reject; locators are ``path:line``, from 1.

    A file of ``gristmill.sources.json_values`` is read value by value; locators are ``path#n`` then, from 0.
    """
    encoding = line_encoding(spec)
    with open_stream(file, spec, of_lines=True) as stream:
        if file.piece is None and holds_values(file.path, stream.peek(HEAD_BYTES)):
            _read_values(file, spec, part, stream)
        else:
            _read_lines(file, spec, part, stream, None if is_utf8(encoding) else encoding)


def _read_lines(file: InputFile, spec: ReadSpec, part: Part, stream: Stream, encoding: str | None) -> None:
    fields, most = field_map(spec), spec.record_bytes
    number, goes_on = file.piece.before if file.piece else 0, True
    while goes_on:
        tail = b""
        for line in iter(partial(stream.readline, most + 1), b""):
            if line[-1] != LINE_FEED and stream.damage and len(line) <= most:
                tail = line
                break
            number += 1
            try:
                if len(line) > most:
                    raise too_long(stream, line)
                whole = line if number > 1 else line.removeprefix(BYTE_ORDER_MARK)
                record = parse_line(whole, encoding, spec.json_depth)
                part.add(f"{file.path}:{number}", len(line), *fields.take(record))
            except RejectError as error:
                part.reject(f"{file.path}:{number}", error.n_bytes or len(line), error.reason, error.detail, line)
        number += 1
        goes_on = part.reject_damage(stream, f"{file.path}:{number}", len(tail), tail)


def _read_values(file: InputFile, spec: ReadSpec, part: Part, stream: Stream) -> None:
    if not is_utf8(line_encoding(spec)):
        raise SourceError(f"sources.{spec.name}.encoding: {file.path} is JSON over several lines; convert to utf-8")
    fields, number = field_map(spec), -1
    for number, value in enumerate(values(stream, spec.record_bytes)):
        try:
            record = _record(value, spec)
            part.add(f"{file.path}#{number}", value.size, *fields.take(record))
        except RejectError as error:
            part.reject(f"{file.path}#{number}", value.size, error.reason, error.detail, value.data)
    part.reject_tail(stream, f"{file.path}#{number + 1}")


def _record(value: Value, spec: ReadSpec) -> dict[str, Any]:
    if value.size > spec.record_bytes:
        raise RejectError("record_too_large", f"{value.size} bytes; see limits.record_bytes")
    if value.wrong:
        raise RejectError(value.wrong, _WRONG_VALUES[value.wrong])
    return parse_line(value.data, None, spec.json_depth)


def parse_line(line: bytes, encoding: str | None, max_depth: int) -> dict[str, Any]:
    """The object on one line; RejectError says what it is instead. ``encoding`` is None for UTF-8."""
    try:
        record = orjson.loads(line if encoding is None else line.decode(encoding))
    except (orjson.JSONDecodeError, UnicodeDecodeError) as error:
        record = _with_nan(line, encoding)
        if record is None:
            raise _explain(line, error, encoding) from None
    values = record.values() if type(record) is dict else [record]
    if not _NESTED.isdisjoint(map(type, values)) and _depth(record) > max_depth:
        raise RejectError("json_too_deep", f"nests more than {max_depth} levels; see limits.json_depth")
    if type(record) is not dict:
        raise RejectError("not_object", f"a JSON {type(record).__name__}")
    return record


def _with_nan(line: bytes, encoding: str | None) -> Any:
    """What Python's json wrote with NaN or Infinity in it, which become null; None for what is wrong otherwise."""
    if b"NaN" not in line and b"Infinity" not in line:
        return None
    try:
        record = json.loads(line.decode(encoding or "utf-8"), parse_constant=lambda _: None)
        orjson.dumps(record)  # refuses the lone surrogates that json lets pass
    except (ValueError, RecursionError, orjson.JSONEncodeError):
        return None
    return record


def too_long(stream: Stream, line: bytes) -> RejectError:
    """Pass over the rest of a line that is too long, without holding it; the reject knows its whole size."""
    size, rest = len(line), line
    while rest and rest[-1] != LINE_FEED:
        rest = stream.readline(_SKIP_BYTES)
        size += len(rest)
    return RejectError("record_too_large", f"{size} bytes; see limits.record_bytes", size)


def _explain(line: bytes, error: Exception, encoding: str | None) -> RejectError:
    """Why orjson refused ``line``; its messages decide only between the finer reasons."""
    if not line.strip():
        return RejectError("blank_line")
    wrong_bytes = error if isinstance(error, UnicodeDecodeError) else None if encoding else _utf8_error(line)
    if wrong_bytes:
        return RejectError("invalid_utf8", str(wrong_bytes))
    if line.startswith(BYTE_ORDER_MARK):
        return RejectError("byte_order_mark", "a byte order mark inside the file")
    message = _message(line.rstrip()) or str(error)
    found = (reason for part, reason in _REASON_OF_MESSAGE if part in message)
    return RejectError(next(found, "not_json"), message)


def _message(line: bytes) -> str | None:
    """What orjson says about a line without its line feed, which would hide that an open string ends there."""
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return str(error)
    return None


def _utf8_error(line: bytes) -> UnicodeDecodeError | None:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return error
    return None


def _depth(value: Any) -> int:
    """Levels of nesting, without recursion."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return depth
