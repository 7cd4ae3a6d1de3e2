"""JSON that is not one object per line: an array of records, or records over several lines, in files named ``.json``.

Records are cut out at their brackets, without being built, so that memory is that of one record and a broken one is
one reject. What a record means is ``gristmill.sources.jsonl``'s.
"""

import codecs
import re
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO, NamedTuple

_PIECE_BYTES = 64 << 10
_NAME = re.compile(r"\.json(\.gz|\.zst|\.bz2|\.xz)?$", re.IGNORECASE)
_FIRST_LINE = re.compile(rb"(\xef\xbb\xbf)?\s*(\[|\{\s*\n)")
_OUTSIDE = re.compile(rb'["\[\]{},]')
_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)  # up to the quote that ends it, or a last backslash


def holds_values(path: str, head: bytes) -> bool:
    r"""True for a file whose name ends in .json and that begins with an array, or with a brace alone on its line.

    >>> holds_values("a.json", b'[{"text": "a"}]'), holds_values("a.json.gz", b'{\n "text"')
    (True, True)
    >>> holds_values("a.json", b'{"text": "a"}\n'), holds_values("a.jsonl", b'[{"text": "a"}]')
    (False, False)
    """
    return _NAME.search(path) is not None and _FIRST_LINE.match(head) is not None


class Value(NamedTuple):
    """One record as it stands in the file, without white space around it."""

    data: bytes  # at most one byte more than asked for
    size: int  # of all of it
    wrong: str | None = (
        None  # the reason of a reject: truncated, where the file ends inside it; not_json outside arrays
    )


def values(stream: BinaryIO, most: int) -> Iterator[Value]:
    """The elements of arrays, and objects outside of any, in order; of a larger one ``most`` + 1 bytes.

    An array that has no end is one value more, of no bytes where its last element is whole.

    >>> from io import BytesIO
    >>> [one.data for one in values(BytesIO(b'[{"a": "]"}, 2] {"b": 3}'), 100)]
    [b'{"a": "]"}', b'2', b'{"b": 3}']
    """
    cutter = _Cutter(most)
    yield from cutter.feed(stream.read(_PIECE_BYTES).removeprefix(codecs.BOM_UTF8))
    for piece in iter(partial(stream.read, _PIECE_BYTES), b""):
        yield from cutter.feed(piece)
    yield from cutter.end()


class _Cutter:
    """Where the last piece ended: in which brackets, in a string or not, and what is kept of the value."""

    def __init__(self, most: int):
        self._most = most
        self._depth = 0  # open brackets; elements of an array stand at 1
        self._in_array = self._in_string = self._escaped = False
        self._kept, self._size = bytearray(), 0

    def feed(self, piece: bytes) -> Iterator[Value]:
        """The values that end in ``piece``."""
        start, at, self._escaped = 0, int(self._escaped), False
        while at < len(piece):
            if self._in_string:
                at = self._behind_string(piece, at)
                continue
            found = _OUTSIDE.search(piece, at)
            if found is None:
                break
            at, before = found.end(), self._depth
            ends = self._take(found[0])
            if ends is not None:
                outside = found[0] == b"[" and not before
                yield from self._ended(piece[start : at - 1 + ends], "not_json" if outside else None)
                start = at
        self._keep(piece[start:])

    def end(self) -> Iterator[Value]:
        """What stands behind the last value."""
        yield from self._ended(b"", "truncated" if self._depth > self._in_array else None)
        if self._depth == 1 and self._in_array:
            yield Value(b"", 0, "truncated")

    def _behind_string(self, piece: bytes, at: int) -> int:
        """Where the string ends, or the piece."""
        found = _STRING.match(piece, at)
        assert found is not None  # it may be empty
        self._escaped = piece[found.end() : found.end() + 1] == b"\\"  # what it escapes comes with the next piece
        self._in_string = found.end() + self._escaped >= len(piece)
        return found.end() + 1

    def _take(self, sign: bytes) -> int | None:
        """None where the value goes on behind ``sign``; where it ends, 1 if ``sign`` is of it and 0 if not."""
        if sign == b'"':
            self._in_string = True
        elif sign in b"[{":
            self._in_array = self._in_array or (sign == b"[" and not self._depth)
            self._depth += 1
            return 0 if self._in_array and self._depth == 1 else None
        elif sign == b",":
            return 0 if self._depth == self._in_array else None
        elif self._depth:
            self._depth -= 1
            if not self._depth:
                was_array, self._in_array = self._in_array, False
                return int(not was_array)
        return None

    def _keep(self, data: bytes) -> None:
        data = data if self._kept else data.lstrip()
        self._size += len(data)
        self._kept += data[: max(self._most + 1 - len(self._kept), 0)]

    def _ended(self, data: bytes, wrong: str | None) -> Iterator[Value]:
        self._keep(data)
        kept, size = bytes(self._kept), self._size
        self._kept, self._size = bytearray(), 0
        if size <= self._most:
            kept = kept.rstrip()
            size = len(kept)
        if kept:
            yield Value(kept, size, wrong)
