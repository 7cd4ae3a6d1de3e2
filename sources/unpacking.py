"""Unpacking archives piece by piece: members and frames one after the other, up to damage, and on behind it."""

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO, NamedTuple

import zstandard

MAX_WINDOW_BYTES = 1 << 30  # of zstd; --long=30 writes it. Memory that a frame may ask for
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18", re.DOTALL)  # zstd frames that hold no data
_PIECE_BYTES = 1 << 20
_TRIAL_BYTES = 64 << 10  # of a member, unpacked to see that it is one
_ERRORS = (zlib.error, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError, ValueError)


class DamageError(Exception):
    """Ends a stream of pieces: reason and detail."""


class Codec(NamedTuple):
    """One kind of archive."""

    suffix: str
    magic: bytes
    new: Callable[[], Any]
    piece_bytes: int  # fed at once; the worst ratio is 1,032 for deflate, 32,768 for zstd
    bounded: bool  # decompress() takes max_length


def _zstd_decoder() -> Any:
    return zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj()


CODECS = (
    Codec(".gz", b"\x1f\x8b", partial(zlib.decompressobj, 31), 16 << 10, bounded=False),
    Codec(".zst", b"\x28\xb5\x2f\xfd", _zstd_decoder, 2 << 10, bounded=False),
    Codec(".bz2", b"BZh", bz2.BZ2Decompressor, 16 << 10, bounded=True),
    Codec(".xz", b"\xfd7zXZ\x00", lzma.LZMADecompressor, 16 << 10, bounded=True),
)


def codec_of(first: bytes) -> Codec | None:
    """The archive that begins with ``first``, 6 bytes or more; None for none."""
    if _SKIPPABLE.match(first):
        return next(codec for codec in CODECS if codec.suffix == ".zst")
    return next((codec for codec in CODECS if first.startswith(codec.magic)), None)


class Unpacker:
    """The unpacked bytes of all members of an archive, at most ``limit`` of them."""

    def __init__(self, raw: BinaryIO, first: bytes, codec: Codec, limit: int):
        self.member_at = 0  # where the member begins that is being read
        self.failed_at = 0  # where the piece begins that could not be unpacked
        self._raw = raw
        self._rest = first  # read, not yet unpacked
        self._at = 0  # of the rest, in the file
        self._codec = codec
        self._limit = limit
        self._left = limit

    def pieces(self) -> Iterator[bytes]:
        """Unpacked pieces up to the end, or DamageError."""
        for piece in self._members():
            yield piece[: self._left]
            if len(piece) > self._left:
                detail = f"more than {self._limit} bytes unpacked; see limits.expanded_ratio"
                raise DamageError("expansion_too_large", detail)
            self._left -= len(piece)

    def _members(self) -> Iterator[bytes]:
        """Pieces of all members; zero padding and frames without data between them are passed over."""
        decoder: Any = None
        while self._rest or self._more():
            if decoder is None:
                if not self._at_member():
                    continue
                self.member_at, decoder = self._at, self._codec.new()
            piece, self._rest = self._rest, b""
            self.failed_at = self._at
            self._at += len(piece)
            try:
                yield from _decode(decoder, piece, self._codec.bounded)
            except _ERRORS as error:
                raise DamageError("corrupt_archive", str(error)) from None
            if decoder.eof:
                self._rest, decoder = decoder.unused_data, None
                self._at -= len(self._rest)
        if decoder is not None:
            raise DamageError("truncated_archive", "the archive ends inside a member")

    def _more(self) -> bool:
        piece = self._raw.read(self._codec.piece_bytes)
        self._rest += piece
        return bool(piece)

    def _at_member(self) -> bool:
        """Pass over what stands between members; False when more must be read first."""
        start = self._rest.lstrip(b"\0")
        self._at += len(self._rest) - len(start)
        self._rest = start
        while len(self._rest) < 8 and self._more():
            pass
        if self._codec.suffix == ".zst" and _SKIPPABLE.match(self._rest):
            size = 8 + int.from_bytes(self._rest[4:8], "little")
            while len(self._rest) < size:
                size, self._at, self._rest = size - len(self._rest), self._at + len(self._rest), b""
                if not self._more():
                    break
            self._at += min(size, len(self._rest))
            self._rest = self._rest[size:]
            return False
        return bool(self._rest)

    def seek_member(self, reason: str) -> tuple[bool, int]:
        """Go to the next member that can be unpacked; whether there is one, and the packed bytes not read."""
        size = self._raw.seek(0, 2)
        if reason != "corrupt_archive":  # cut, or beyond its limit
            return False, size - self._at
        if size:
            at = self.member_at + 1
            while at < size:
                found, at = self._find_magic(at)
                if found and self._is_member(at):
                    self._raw.seek(at)
                    self._rest, self._at = b"", at
                    return True, at - max(self.member_at, self.failed_at)
                at += 1
        return False, size - max(self.member_at, self.failed_at)

    def _find_magic(self, at: int) -> tuple[bool, int]:
        magic = self._codec.magic
        while True:
            self._raw.seek(at)
            window = self._raw.read(_PIECE_BYTES)
            place = window.find(magic)
            if place >= 0:
                return True, at + place
            if len(window) < _PIECE_BYTES:
                return False, at + len(window)
            at += len(window) - len(magic) + 1

    def _is_member(self, at: int) -> bool:
        self._raw.seek(at)
        decoder, data = self._codec.new(), self._raw.read(_TRIAL_BYTES)
        try:
            found = sum(map(len, _decode(decoder, data, self._codec.bounded)))
        except _ERRORS:
            return False
        return found > 0 or decoder.eof


def _decode(decoder: Any, piece: bytes, bounded: bool) -> Iterator[bytes]:
    if not bounded:
        yield decoder.decompress(piece)
        return
    yield decoder.decompress(piece, _PIECE_BYTES)
    while not (decoder.eof or decoder.needs_input):
        yield decoder.decompress(b"", _PIECE_BYTES)
