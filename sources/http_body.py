"""The body of an HTTP response as it stood on the wire, to the bytes of the page: chunks, then content codings.

Not fastwarc's own decoding: it knows neither x-gzip nor chunk extensions, and what it cannot read it gives back packed.
"""

import re
import zlib
from collections.abc import Callable

import zstandard

_CHUNK = re.compile(rb"[ \t]*([0-9a-fA-F]{1,15})[ \t]*(;[^\r\n]*)?\r?\n")
_STEP_BYTES = 64 << 10


def plain_body(body: bytes, transfer: str, codings: str, limit: int) -> bytes:
    r"""``body`` without the transfer and content codings that its headers name; at most ``limit`` + 1 bytes.

    ValueError says which coding is unknown, or what cannot be unpacked.

    >>> plain_body(b"5;name=value\r\nhello\r\n0\r\n\r\n", "chunked", "", 100)
    b'hello'
    """
    transfers = _names(transfer)
    if "chunked" in transfers:
        body = _joined(body)
    for name in reversed([*_names(codings), *(name for name in transfers if name != "chunked")]):
        unpack = _CODINGS.get(name)
        if unpack is None:
            raise ValueError(f"unknown content coding {name!r}")
        body = unpack(body, limit)
    return body[: limit + 1]


def _names(header: str) -> list[str]:
    return [name for part in header.lower().split(",") if (name := part.strip()) and name not in ("identity", "none")]


def _joined(body: bytes) -> bytes:
    """The chunks of a body, in one; extensions and trailers are passed over, a cut last chunk is kept."""
    pieces, at = [], 0
    while found := _CHUNK.match(body, at):
        size = int(found[1], 16)
        if not size:
            return b"".join(pieces)
        pieces.append(body[found.end() : found.end() + size])
        at = found.end() + size
        at += 2 if body[at : at + 2] == b"\r\n" else body[at : at + 1] == b"\n"
    if not pieces or at < len(body):
        raise ValueError(f"no chunk begins at byte {at}")
    return b"".join(pieces)


def _inflate(body: bytes, limit: int) -> bytes:
    """Gzip and zlib by their headers, else raw deflate, which some servers call deflate; all members."""
    try:
        return _members(body, 47, limit)
    except zlib.error:
        return _members(body, -15, limit)


def _members(body: bytes, window_bits: int, limit: int) -> bytes:
    found = b""
    while body and len(found) <= limit:
        decoder = zlib.decompressobj(window_bits)
        try:
            found += decoder.decompress(body, limit + 1 - len(found))
        except zlib.error:
            if found:  # padding behind the last member
                break
            raise
        if not (found or decoder.eof):
            raise zlib.error("it ends before its first byte")
        body = decoder.unused_data
    return found


def _unzstd(body: bytes, limit: int) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(body, read_across_frames=True) as reader:
        return reader.read(limit + 1)


def _unbrotli(body: bytes, limit: int) -> bytes:
    try:
        import brotli  # not every installation has it
    except ImportError:
        raise ValueError("content coding 'br' needs the package brotli") from None
    decoder, found = brotli.Decompressor(), b""
    try:
        while len(found) <= limit:
            piece = decoder.process(body, output_buffer_limit=_STEP_BYTES)
            found, body = found + piece, b""
            if decoder.is_finished() or not piece:
                break
        if not (found or decoder.is_finished()):
            raise ValueError("br: it ends before its first byte")
    except brotli.error as error:
        raise ValueError(f"br: {error}") from None
    return found


def _checked(unpack: Callable[[bytes, int], bytes]) -> Callable[[bytes, int], bytes]:
    def checked(body: bytes, limit: int) -> bytes:
        try:
            return unpack(body, limit)
        except (zlib.error, zstandard.ZstdError) as error:
            raise ValueError(str(error)) from None

    return checked


_CODINGS = {
    **dict.fromkeys(("gzip", "x-gzip", "deflate", "x-deflate"), _checked(_inflate)),
    "zstd": _checked(_unzstd),
    "br": _unbrotli,
}
