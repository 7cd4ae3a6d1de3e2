"""JSON Lines: one object per line, split at line feeds only, for U+0085 and U+2028 are text.

The loop over records is a reader's named exception to columns: orjson builds one object per line.
"""

import json
import re
from functools import partial
from typing import Any

import orjson

from gristmill.corpus.errors import SourceError
from gristmill.sources.field_maps import field_map
from gristmill.sources.listing import InputFile
from gristmill.sources.opening import Stream, not_that_format, open_stream
from gristmill.sources.part import Part
from gristmill.sources.reader import RejectError
from gristmill.sources.spec import ReadSpec

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LINE_FEED = 10
_SKIP_BYTES = 1 << 20
_NESTED = frozenset({dict, list})
_BARE_JSON = re.compile(r"\.json(\.gz|\.zst|\.bz2|\.xz)?$", re.IGNORECASE)
_REASON_OF_MESSAGE = (("end of data", "truncated"), ("surrogate", "lone_surrogate"), ("limit", "json_too_deep"))


def read(file: InputFile, spec: ReadSpec, part: Part) -> None:
    """Add every line of ``file`` as a document or a reject; locators are ``path:line``, from 1."""
    check_line_encoding(spec)
    fields, most = field_map(spec), spec.record_bytes
    encoding = None if spec.is_utf8 else spec.encoding
    number, goes_on = file.piece.before if file.piece else 0, True
    with open_stream(file, spec) as stream:
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
                    whole = line if number > 1 else _without_mark(file, spec, line)
                    record = parse_line(whole, encoding, spec.json_depth)
                    part.add(f"{file.path}:{number}", len(line), *fields.take(record))
                except RejectError as error:
                    part.reject(f"{file.path}:{number}", error.n_bytes or len(line), error.reason, error.detail, line)
            number += 1
            goes_on = part.reject_damage(stream, f"{file.path}:{number}", len(tail), tail)


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


def check_line_encoding(spec: ReadSpec) -> None:
    """Raise SourceError when lines of this encoding do not end in one byte 0A."""
    if "\n".encode(spec.encoding) != b"\n":
        raise SourceError(f"sources.{spec.name}.encoding: {spec.encoding} has no one-byte line feed; convert to utf-8")


def _without_mark(file: InputFile, spec: ReadSpec, line: bytes) -> bytes:
    line = line.removeprefix(BYTE_ORDER_MARK)
    if line.lstrip().startswith(b"[") and _BARE_JSON.search(file.path):
        raise not_that_format(file, spec, "it holds one JSON array, not one object per line")
    return line


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
