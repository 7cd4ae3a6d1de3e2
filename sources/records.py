"""The records of a WARC archive, cut out whole: where each begins, its header lines and its block.

Not fastwarc's iterator: where an archive is cut inside a header it ends without a word, and it panics where a
stream fails. Here a cut is known, after a stretch that is no record reading goes on at the next one, and a record
whose Content-Length is wrong ends where the next one begins. HTTP and pages stand in ``gristmill.sources.warc``.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from gristmill.sources.opening import Stream

MAX_HEADER_BYTES = 64 << 10
_SKIP_BYTES = 1 << 20
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_START = b"WARC/"
_NEXT = re.compile(rb"(?:\r?\n){1,2}(?=WARC/\d\.\d+[ \t]*\r?\n[A-Za-z-]+:)")
_AHEAD_BYTES = 4096  # enough to see that a header follows


class Block(NamedTuple):
    """One record, or a stretch of the archive that is none (``wrong`` then says why)."""

    offset: int  # in the unpacked archive
    header: bytes
    body: bytes  # at most the bytes asked for
    size: int  # of the whole body
    wrong: str | None = None  # reason slug
    mended: bool = False  # its Content-Length was wrong; header and body say what is


class _Source:
    """A stream into which bytes that were read too early can be put back."""

    def __init__(self, stream: Stream):
        self._stream = stream
        self._ahead, self._at = b"", 0

    def read(self, count: int) -> bytes:
        """At most ``count`` bytes; fewer at the end."""
        found = self._ahead[self._at : self._at + count]
        self._at += len(found)
        return found if len(found) == count else found + self._stream.read(count - len(found))

    def readline(self, most: int) -> bytes:
        """One line, or ``most`` bytes of it."""
        if self._at == len(self._ahead):
            return self._stream.readline(most)
        end = self._ahead.find(b"\n", self._at, self._at + most) + 1 or min(len(self._ahead), self._at + most)
        found, self._at = self._ahead[self._at : end], end
        if found.endswith(b"\n") or len(found) == most:
            return found
        return found + self._stream.readline(most - len(found))

    def put_back(self, data: bytes) -> None:
        """Read ``data`` next."""
        self._ahead, self._at = data + self._ahead[self._at :], 0


def blocks(stream: Stream, most: int, offset: int = 0) -> Iterator[Block]:
    """Every record of ``stream``, in order, with at most ``most`` bytes of its body; ends at the first cut."""
    source = _Source(stream)
    line = source.readline(MAX_HEADER_BYTES)
    while line:
        if line.startswith(_START):
            block = _record(source, line, offset, most)
            line = source.readline(MAX_HEADER_BYTES)
        else:
            block, line = _stretch(source, line, offset)
        offset += len(block.header) + block.size
        if block.body or block.header:
            yield block
        if block.wrong == "truncated_archive":
            return


def _record(source: _Source, first: bytes, offset: int, most: int) -> Block:
    header, whole = _header(source, first)
    if not whole:
        return Block(offset, header, header, 0, "truncated_archive")
    length = _LENGTH.search(header)
    if length is None:
        return Block(offset, header, header, 0, "no_content_length")
    size = int(length[1])
    body = source.read(min(size, most))
    ahead = source.read(_AHEAD_BYTES)
    if _ends_well(size, body, ahead):
        source.put_back(ahead)
        return Block(offset, header, body, size)
    if len(body) == size:
        ahead += source.read(min(most, _SKIP_BYTES))  # the length may be too small as well
    cut = _NEXT.search(body + ahead)
    if cut is not None:
        return _mended(source, Block(offset, header, body + ahead, size), cut, length)
    source.put_back(ahead)
    passed = len(body) + (_skip(source, size - len(body)) if len(body) == most else 0)
    if passed < size:
        return Block(offset, header, body, passed, "truncated_archive")
    return Block(offset, header, body, size, None if size > most else "wrong_length")


def _ends_well(size: int, body: bytes, ahead: bytes) -> bool:
    """Two line ends follow the body, or the next record, or nothing; a body beyond the limit is not asked."""
    if len(body) < size:
        return False
    rest = ahead.lstrip(b"\r\n")
    return ahead.startswith((b"\r\n\r\n", b"\n\n")) or not rest or rest.startswith(_START)


def _mended(source: _Source, block: Block, cut: re.Match[bytes], length: re.Match[bytes]) -> Block:
    """The record up to the next one, which is read from where it begins."""
    body = block.body[: cut.start()]
    source.put_back(block.body[cut.start() :])
    start, end = length.span(1)
    header = block.header[:start] + str(len(body)).encode() + block.header[end:]
    padding = len(block.header) - len(header)  # so that offsets count the bytes of the archive
    return Block(block.offset, header, body, len(body) + padding, mended=True)


def _header(source: _Source, first: bytes) -> tuple[bytes, bool]:
    """Header lines with the blank line that ends them, and whether it was found."""
    lines, size = [first], len(first)
    while size < MAX_HEADER_BYTES:
        line = source.readline(MAX_HEADER_BYTES)
        lines.append(line)
        size += len(line)
        if not line.strip():
            return b"".join(lines), line.endswith(b"\n")
    return b"".join(lines), True


def _skip(source: _Source, count: int) -> int:
    passed = 0
    while passed < count and (piece := source.read(min(count - passed, _SKIP_BYTES))):
        passed += len(piece)
    return passed


def _stretch(source: _Source, line: bytes, offset: int) -> tuple[Block, bytes]:
    """All lines up to the next that begins a record, and that line. Its body is the first line that is not blank."""
    first, size = b"", 0
    while line and not line.startswith(_START):
        first = first or (line.strip() and line)
        size += len(line)
        line = source.readline(MAX_HEADER_BYTES)
    return Block(offset, b"", first, size, "no_record"), line
