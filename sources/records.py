"""The records of a WARC archive, cut out whole: where each begins, its header lines and its block.

Not fastwarc's iterator: where an archive is cut inside a header it ends without a word, and it panics where a
stream fails. Here a cut is known, and after a stretch that is no record reading goes on at the next one.
HTTP and pages stand in ``gristmill.sources.warc``.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from gristmill.sources.opening import Stream

MAX_HEADER_BYTES = 64 << 10
_SKIP_BYTES = 1 << 20
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


class Block(NamedTuple):
    """One record, or a stretch of the archive that is none (``wrong`` then says why)."""

    offset: int  # in the unpacked archive
    header: bytes
    body: bytes  # at most the bytes asked for
    size: int  # of the whole body
    wrong: str | None = None  # reason slug


def blocks(stream: Stream, most: int) -> Iterator[Block]:
    """Every record of ``stream``, in order, with at most ``most`` bytes of its body; ends at the first cut."""
    offset, line = 0, stream.readline(MAX_HEADER_BYTES)
    while line:
        if line.startswith(b"WARC/"):
            block = _record(stream, line, offset, most)
            line = stream.readline(MAX_HEADER_BYTES)
        else:
            block, line = _stretch(stream, line, offset)
        offset += len(block.header) + block.size
        if block.body or block.header:
            yield block
        if block.wrong == "truncated_archive":
            return


def _record(stream: Stream, first: bytes, offset: int, most: int) -> Block:
    header, whole = _header(stream, first)
    if not whole:
        return Block(offset, header, header, 0, "truncated_archive")
    length = _LENGTH.search(header)
    if length is None:
        return Block(offset, header, header, 0, "no_content_length")
    size = int(length[1])
    body = stream.read(min(size, most))
    passed = len(body) + _skip(stream, size - len(body)) if len(body) == most else len(body)
    return Block(offset, header, body, passed, None if passed == size else "truncated_archive")


def _header(stream: Stream, first: bytes) -> tuple[bytes, bool]:
    """Header lines with the blank line that ends them, and whether it was found."""
    lines, size = [first], len(first)
    while size < MAX_HEADER_BYTES:
        line = stream.readline(MAX_HEADER_BYTES)
        lines.append(line)
        size += len(line)
        if not line.strip():
            return b"".join(lines), line.endswith(b"\n")
    return b"".join(lines), True


def _skip(stream: Stream, count: int) -> int:
    passed = 0
    while passed < count and (piece := stream.read(min(count - passed, _SKIP_BYTES))):
        passed += len(piece)
    return passed


def _stretch(stream: Stream, line: bytes, offset: int) -> tuple[Block, bytes]:
    """All lines up to the next that begins a record, and that line. Its body is the first line that is not blank."""
    first, size = b"", 0
    while line and not line.startswith(b"WARC/"):
        first = first or (line.strip() and line)
        size += len(line)
        line = stream.readline(MAX_HEADER_BYTES)
    return Block(offset, b"", first, size, "no_record"), line
