"""UTF-16 and UTF-32 as UTF-8, piece by piece, so that lines end in one byte: spreadsheets and PowerShell write them.

A mark at the beginning is believed where UTF-8 was expected, as in plain text.
"""

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain

from gristmill.corpus.errors import SourceError
from gristmill.sources.spec import ReadSpec

# no UTF-8 begins with these bytes; the longer ones first, since one begins with another
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
HEAD_BYTES = 4096  # that are looked at
_WIDE = ("utf-16", "utf-32")
_WITHOUT_MARK = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}
_NO_CHARACTER = "\udfff"  # no UTF-8 holds it: the record is rejected, the others stay


def marked_encoding(first: bytes) -> str | None:
    """The encoding that a mark names; None for UTF-8 and for none.

    >>> marked_encoding("Café".encode("utf-16")), marked_encoding(b"Caf")
    ('utf-16', None)
    """
    return next((name for mark, name in MARKS if first.startswith(mark)), None)


def line_encoding(spec: ReadSpec) -> str:
    """The encoding of lines as the reader sees them, recoded or not.

    Raises
    ------
    SourceError : lines of this encoding do not end in one byte 0A, and it is not one that is recoded
    """
    if _is_wide(spec.encoding):
        return "utf-8"
    if "\n".encode(spec.encoding) != b"\n":
        raise SourceError(f"sources.{spec.name}.encoding: {spec.encoding} has no one-byte line feed; convert to utf-8")
    return spec.encoding


def recoded(pieces: Iterator[bytes], file: str, spec: ReadSpec) -> Iterator[bytes]:
    """``pieces`` of a file from its beginning, in UTF-8 where they are in UTF-16 or UTF-32, else as they are.

    A mark alone is not believed: junk begins like that, too. Lines of these encodings hold NUL bytes.

    Raises
    ------
    SourceError : the recipe says UTF-16 or UTF-32, and the file is in neither
    """
    pieces = _with_head(pieces)
    head = next(pieces)
    encoding = _encoding(head, file, spec)
    if encoding is None:
        yield head
        yield from pieces
    else:
        yield from _decoded(chain((head,), pieces), codecs.getincrementaldecoder(encoding)("gristmill_no_character"))


def _encoding(head: bytes, file: str, spec: ReadSpec) -> str | None:
    """What is to be decoded; None for what stays as it is."""
    is_wide = b"\0" in head[:HEAD_BYTES]
    marked = marked_encoding(head) if is_wide else None
    if not _is_wide(spec.encoding):
        return marked if spec.is_utf8 else None
    if head and not is_wide:
        raise SourceError(f"sources.{spec.name}.encoding: {file} is not {spec.encoding}: it holds no NUL byte")
    return marked or _WITHOUT_MARK.get(codecs.lookup(spec.encoding).name, spec.encoding)


def _with_head(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, of which the first piece has HEAD_BYTES and more where damage does not end them before."""
    head = b""
    try:
        for piece in pieces:
            head += piece
            if len(head) >= HEAD_BYTES:
                break
    finally:
        yield head
    yield from pieces


def _decoded(pieces: Iterable[bytes], decoder: codecs.IncrementalDecoder) -> Iterator[bytes]:
    for piece in pieces:
        yield decoder.decode(piece).encode("utf-8", "surrogatepass")
    yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")


def _is_wide(encoding: str) -> bool:
    return codecs.lookup(encoding).name.startswith(_WIDE)


def _no_character(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return _NO_CHARACTER, error.end


codecs.register_error("gristmill_no_character", _no_character)
