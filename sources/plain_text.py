"""Plain text and source code: one file is one document; its locator is its path."""

import codecs
from collections.abc import Callable

from gristmill.sources.fields import Fields
from gristmill.sources.listing import InputFile
from gristmill.sources.opening import open_stream
from gristmill.sources.part import Part
from gristmill.sources.reader import RejectError
from gristmill.sources.recoding import marked_encoding
from gristmill.sources.spec import ReadSpec


def read(file: InputFile, spec: ReadSpec, part: Part) -> None:
    """Add ``file`` as one document, or as a reject; an empty file is neither."""
    read_whole(file, spec, part, lambda data: Fields(decode_strictly(data, spec.encoding)))


def read_whole(file: InputFile, spec: ReadSpec, part: Part, parse: Callable[[bytes], Fields]) -> None:
    """Add what ``parse`` makes of a whole file, or a reject; an empty file is neither."""
    with open_stream(file, spec) as stream:
        data = stream.read(spec.record_bytes + 1)
        if stream.damage:
            part.reject_tail(stream, file.path, len(data), data)
        elif len(data) > spec.record_bytes:
            part.reject(file.path, max(file.bytes, len(data)), "record_too_large", "see limits.record_bytes", data)
        elif data:
            try:
                part.add(file.path, len(data), *parse(data))
            except RejectError as error:
                part.reject(file.path, len(data), error.reason, error.detail, data)


def decode_strictly(data: bytes, encoding: str) -> str:
    """``data`` as text, without a byte order mark; RejectError invalid_utf8 (invalid_encoding for other encodings).

    A mark of UTF-16 or UTF-32, as editors on Windows write it, is believed where UTF-8 was expected.

    >>> decode_strictly("Café".encode("utf-16"), "utf-8")
    'Café'
    """
    if codecs.lookup(encoding).name == "utf-8":
        encoding = marked_encoding(data) or encoding
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        reason = "invalid_utf8" if error.encoding == "utf-8" else "invalid_encoding"
        raise RejectError(reason, str(error)) from None
