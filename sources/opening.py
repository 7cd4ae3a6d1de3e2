"""Opening a file: a buffered stream of unpacked bytes that ends early, and says why, where an archive is damaged.

Compression is told by the first bytes; a name that promises another one is a SourceError. Each decompressor
is fed in small pieces, so that one step of a bomb stays below 64 MiB.
"""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO, NamedTuple

import zstandard

from gristmill.corpus.errors import SourceError
from gristmill.sources.listing import COMPRESSIONS, InputFile, open_binary
from gristmill.sources.spec import ReadSpec

BUFFER_BYTES = 1 << 20
EXPANDED_FLOOR_BYTES = 64 << 20  # a small file of zeros is no bomb
_ERRORS = (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError, ValueError)


class Damage(NamedTuple):
    """Why a stream ended before its end."""

    reason: str
    detail: str


class _Codec(NamedTuple):
    new: Callable[[], Any]
    piece_bytes: int  # fed at once; the worst ratio is 1,032 for deflate, 32,768 for zstd
    bounded: bool  # decompress() takes max_length


_CODECS = {
    b"\x1f\x8b": (".gz", _Codec(partial(zlib.decompressobj, 31), 16 << 10, bounded=False)),
    b"\x28\xb5\x2f\xfd": (".zst", _Codec(lambda: zstandard.ZstdDecompressor().decompressobj(), 2 << 10, bounded=False)),
    b"BZh": (".bz2", _Codec(bz2.BZ2Decompressor, 16 << 10, bounded=True)),
    b"\xfd7zXZ\x00": (".xz", _Codec(lzma.LZMADecompressor, 16 << 10, bounded=True)),
}


class Stream(io.BufferedReader):
    """Unpacked bytes. ``damage`` is None until the stream has ended early."""

    @property
    def damage(self) -> Damage | None:
        """What ended the stream, once it has been read to there."""
        return getattr(self.raw, "damage", None)

    @property
    def total_bytes(self) -> int:
        """Bytes that came out of the unpacker so far."""
        return self.raw.total_bytes  # pyright: ignore[reportAttributeAccessIssue]


def open_stream(file: InputFile, spec: ReadSpec) -> Stream:
    """Open ``file`` for reading, unpacked; the caller closes it.

    Raises
    ------
    SourceError : the file cannot be opened, or its name says .gz (.zst, .bz2, .xz) and its bytes do not
    """
    raw = open_raw(file, spec)
    first = raw.read(6)
    suffix, codec = next((found for magic, found in _CODECS.items() if first.startswith(magic)), ("", None))
    promised = next((end for end in COMPRESSIONS if file.path.lower().endswith(end)), "")
    if first and promised and promised != suffix:
        raw.close()
        raise SourceError(
            f"{file.path} is not a {promised} file: it begins with {first.hex(' ')}; "
            f"set sources.{spec.name}.format, or leave the file out of sources.{spec.name}.path"
        )
    if codec is None:
        return Stream(_Pieces(raw, _plain(raw, first)), BUFFER_BYTES)
    limit = max(EXPANDED_FLOOR_BYTES, file.bytes * spec.expanded_ratio)
    return Stream(_Pieces(raw, _bounded(_unpack(raw, first, codec), limit)), BUFFER_BYTES)


def open_raw(file: InputFile, spec: ReadSpec) -> BinaryIO:
    """Open ``file`` as it is; a SourceError when that fails."""
    try:
        return open_binary(file.path)
    except Exception as error:  # noqa: BLE001  every fsspec backend raises its own kinds
        raise SourceError(f"sources.{spec.name}.path: cannot open {file.path}: {error}") from None


def not_that_format(file: InputFile, spec: ReadSpec, why: object) -> SourceError:
    """The one error for a file that is not what its format says."""
    first_line = (str(why).splitlines() or [""])[0]
    return SourceError(f"{file.path} is not {file.format}: {first_line}; set sources.{spec.name}.format to what it is")


class _DamageError(Exception):
    """Ends a stream of pieces; never leaves this module."""


class _Pieces(io.RawIOBase):
    """A raw stream over an iterator of byte pieces."""

    def __init__(self, source: BinaryIO, pieces: Iterator[bytes]):
        self.damage: Damage | None = None
        self.total_bytes = 0
        self._source = source
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._rest and not self._next_piece():
            return 0
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _next_piece(self) -> bool:
        try:
            piece = next((piece for piece in self._pieces if piece), b"")
        except _DamageError as error:
            self.damage = Damage(*error.args)
            piece = b""
        self._rest = memoryview(piece)
        self.total_bytes += len(piece)
        return bool(piece)

    def close(self) -> None:
        self._source.close()
        super().close()


def _plain(raw: BinaryIO, first: bytes) -> Iterator[bytes]:
    yield first
    yield from iter(partial(raw.read, BUFFER_BYTES), b"")


def _bounded(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    left = limit
    for piece in pieces:
        yield piece[:left]
        if len(piece) > left:
            raise _DamageError("expansion_too_large", f"more than {limit} bytes unpacked; see limits.expanded_ratio")
        left -= len(piece)


def _unpack(raw: BinaryIO, first: bytes, codec: _Codec) -> Iterator[bytes]:
    """Unpacked pieces of all members; zero padding between members is passed over."""
    decoder: Any = None
    piece = first
    while piece := piece or raw.read(codec.piece_bytes):
        if decoder is None and not (piece := piece.lstrip(b"\0")):
            continue
        decoder = decoder or codec.new()
        try:
            yield from _decode(decoder, piece, codec.bounded)
        except _ERRORS as error:
            raise _DamageError("corrupt_archive", str(error)) from None
        piece = decoder.unused_data if decoder.eof else b""
        decoder = None if decoder.eof else decoder
    if decoder is not None:
        raise _DamageError("truncated_archive", "the archive ends inside a member")


def _decode(decoder: Any, piece: bytes, bounded: bool) -> Iterator[bytes]:
    if not bounded:
        yield decoder.decompress(piece)
        return
    yield decoder.decompress(piece, BUFFER_BYTES)
    while not (decoder.eof or decoder.needs_input):
        yield decoder.decompress(b"", BUFFER_BYTES)
