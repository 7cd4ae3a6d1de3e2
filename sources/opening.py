"""Opening a file: a buffered stream of unpacked bytes that ends early, and says why, where an archive is damaged.

Compression is recognised by the first bytes; a name that promises another one is a SourceError. Each decompressor
is fed in small pieces, so that one step of a bomb stays below 64 MiB. Behind damage ``resume`` goes on at the next
member that can be unpacked.
"""

import io
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO, NamedTuple

import zstandard

from gristmill.corpus.errors import ChangedInputError, SourceError, first_line
from gristmill.corpus.meter import count
from gristmill.sources.checked_file import open_checked
from gristmill.sources.listing import COMPRESSIONS, InputFile
from gristmill.sources.recoding import recoded
from gristmill.sources.spec import ReadSpec
from gristmill.sources.unpacking import MAX_WINDOW_BYTES, DamageError, Unpacker, codec_of

BUFFER_BYTES = 1 << 20
_HEADER_BYTES = 18  # of a zstd frame, the longest
EXPANDED_FLOOR_BYTES = 64 << 20  # a small file of zeros is no bomb


class Damage(NamedTuple):
    """Why a stream ended before its end."""

    reason: str
    detail: str


class Stream(io.BufferedReader):
    """Unpacked bytes. ``damage`` is None until the stream has ended early."""

    @property
    def damage(self) -> Damage | None:
        """What ended the stream, once it has been read to there."""
        return getattr(self.raw, "damage", None)

    @property
    def passed_bytes(self) -> int:
        """Packed bytes that were not read: from the damage to the member where ``resume`` goes on, else to the end."""
        return self._pieces.passed_bytes

    @property
    def damaged_at(self) -> int:
        """Where in the file the damaged member begins."""
        return self._pieces.damaged_at

    def resume(self) -> bool:
        """Go on at the next member behind the damage; False when there is none. Reading goes on where it ended."""
        return self._pieces.resume()

    @property
    def _pieces(self) -> "_Pieces":
        return self.raw  # pyright: ignore[reportReturnType]

    @property
    def total_bytes(self) -> int:
        """Bytes that came out of the unpacker so far."""
        return self.raw.total_bytes  # pyright: ignore[reportAttributeAccessIssue]


def open_stream(file: InputFile, spec: ReadSpec, *, of_lines: bool = False) -> Stream:
    """Open ``file`` for reading, unpacked; the caller closes it.

    Parameters
    ----------
    of_lines : UTF-16 and UTF-32 come out as UTF-8 (``gristmill.sources.recoding``)

    Raises
    ------
    SourceError : the file cannot be opened, or its name says .gz (.zst, .bz2, .xz) and its bytes do not; where what
        it unpacks to is packed again, when it is read
    """
    raw = open_raw(file, spec)
    recode = partial(recoded, file=file.path, spec=spec) if of_lines else iter
    if file.piece is not None:
        raw.seek(file.piece.start)
        return Stream(_Pieces(raw, _stretch(raw, file)), BUFFER_BYTES)
    first = raw.read(_HEADER_BYTES)
    codec = codec_of(first)
    promised = next((end for end in COMPRESSIONS if file.path.lower().endswith(end)), "")
    if first and promised and promised != (codec.suffix if codec else None):
        raw.close()
        raise SourceError(
            f"{file.path} is not a {promised} file: it begins with {first[:6].hex(' ')}; "
            f"set sources.{spec.name}.format, or leave the file out of sources.{spec.name}.path"
        )
    if codec is None:
        return Stream(_Pieces(raw, recode(_plain(raw, first))), BUFFER_BYTES)
    if codec.suffix == ".zst":
        _check_window(first, file, spec, raw)
    limit = max(EXPANDED_FLOOR_BYTES, file.bytes * spec.expanded_ratio)
    unpacker = Unpacker(raw, first, codec, limit)
    pieces = _packed_once(unpacker.pieces(), file, spec)
    return Stream(_Pieces(raw, recode(pieces), unpacker, recode), BUFFER_BYTES)


def _packed_once(pieces: Iterator[bytes], file: InputFile, spec: ReadSpec) -> Iterator[bytes]:
    """The pieces; a SourceError for an archive of an archive. BZh may begin a text, and tells nothing."""
    for number, piece in enumerate(pieces):
        if not number and (inner := codec_of(piece)) and inner.suffix != ".bz2":
            raise SourceError(
                f"{file.path} is packed twice, a {inner.suffix} file inside; "
                f"unpack it once, or leave it out with sources.{spec.name}.exclude"
            )
        yield piece


def _check_window(first: bytes, file: InputFile, spec: ReadSpec, raw: BinaryIO) -> None:
    """SourceError for a frame that asks for more memory than is given; its data would look like damage."""
    try:
        window = zstandard.get_frame_parameters(first).window_size
    except zstandard.ZstdError:
        return
    if window > MAX_WINDOW_BYTES:
        raw.close()
        raise SourceError(
            f"{file.path} asks for a window of {window} bytes, more than {MAX_WINDOW_BYTES}; "
            f"pack it again without --long=31, or leave it out of sources.{spec.name}.path"
        )


def open_raw(file: InputFile, spec: ReadSpec) -> BinaryIO:
    """Open ``file`` as it was listed; a SourceError when that fails."""
    try:
        return open_checked(file)
    except ChangedInputError:
        raise
    except Exception as error:  # noqa: BLE001  every fsspec backend raises its own kinds
        raise SourceError(f"sources.{spec.name}.path: cannot open {file.path}: {error}") from None


def not_that_format(file: InputFile, spec: ReadSpec, why: object) -> SourceError:
    """The one error for a file that is not what its format says."""
    return SourceError(
        f"{file.path} is not {file.format}: {first_line(why)}; set sources.{spec.name}.format to what it is"
    )


class _Pieces(io.RawIOBase):
    """A raw stream over an iterator of byte pieces."""

    def __init__(
        self,
        source: BinaryIO,
        pieces: Iterator[bytes],
        unpacker: "Unpacker | None" = None,
        recode: Callable[[Iterator[bytes]], Iterator[bytes]] = iter,
    ):
        self.damage: Damage | None = None
        self.total_bytes = 0
        self.damaged_at = self.passed_bytes = 0
        self._unpacker = unpacker
        self._recode = recode
        self._source = source
        self._pieces = pieces
        self._rest = memoryview(b"")
        self._counted = source.tell()

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
        except DamageError as error:
            self.damage = Damage(*error.args)
            piece = b""
        self._rest = memoryview(piece)
        self.total_bytes += len(piece)
        at = self._source.tell()
        count(n_bytes=max(at - self._counted, 0))  # packed; what resume goes back over is not counted again
        self._counted = max(at, self._counted)
        return bool(piece)

    def resume(self) -> bool:
        """See ``Stream.resume``."""
        if self._unpacker is None or self.damage is None:
            return False
        self.damaged_at = self._unpacker.member_at
        goes_on, self.passed_bytes = self._unpacker.seek_member(self.damage.reason)
        if goes_on:
            self.damage, self._pieces = None, self._recode(self._unpacker.pieces())
        return goes_on

    def close(self) -> None:
        self._source.close()
        super().close()


def _stretch(raw: BinaryIO, file: InputFile) -> Iterator[bytes]:
    """The bytes of a piece of lines; a piece of WARC records runs on, for its last record may reach beyond."""
    assert file.piece is not None
    left = file.piece.stop - file.piece.start if not file.piece.runs_on else sys.maxsize
    while left and (block := raw.read(min(BUFFER_BYTES, left))):
        left -= len(block)
        yield block


def _plain(raw: BinaryIO, first: bytes) -> Iterator[bytes]:
    yield first
    yield from iter(partial(raw.read, BUFFER_BYTES), b"")
