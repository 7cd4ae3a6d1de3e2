"""Big files in pieces, so that one file uses every core. What a document is called does not depend on the pieces.

Pieces begin where records begin: lines, WARC records, Parquet row groups. Finding them costs one pass over the bytes
(1 to 3 GB/s, Parquet its footer alone), and only for files larger than a part. Archives are one piece: where their
records begin is known only by unpacking. Remote files of lines are one piece as well: the pass would fetch them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from typing import BinaryIO

import xxhash

from gristmill.corpus.errors import ChangedInputError
from gristmill.sources.catalogue import find_reader, load_function
from gristmill.sources.checked_file import open_checked
from gristmill.sources.folders import is_remote
from gristmill.sources.json_values import holds_values
from gristmill.sources.listing import InputFile, Piece
from gristmill.sources.opening import open_stream
from gristmill.sources.reader import Reader
from gristmill.sources.recoding import HEAD_BYTES
from gristmill.sources.records import blocks
from gristmill.sources.spec import ReadSpec
from gristmill.sources.stage import Limits
from gristmill.sources.unpacking import codec_of

_READ_BYTES = 4 << 20
_HEAD_BYTES = 16


@dataclass(frozen=True, slots=True)
class Splitting:
    """How large pieces are to be, and how far a record may reach."""

    part_bytes: int
    record_bytes: int = Limits().record_bytes


def split(file: InputFile, how: Splitting, extra: Sequence[Reader] = ()) -> list[InputFile]:
    """``file`` in pieces of about ``how.part_bytes``; itself when it is small or cannot be split.

    A piece has a digest of its own, of the file's and its bounds, so that no two pieces have one store key.
    """
    if file.bytes < 2 * how.part_bytes or file.piece is not None:
        return [file]
    reader = find_reader(file.format, file.path, extra)
    return list(_pieces(file, how, reader)) if reader.split else [file]


def group_parts(
    files: Sequence[InputFile],
    part_bytes: int,
    *,
    record_bytes: int = Limits().record_bytes,
    extra: Sequence[Reader] = (),
) -> list[list[InputFile]]:
    """Cut ``files``, in order, into parts; a part closes when it holds ``part_bytes`` of input or more.

    Files of two parts and more are split. ``record_bytes`` is the source's limit, ``extra`` readers of plug-ins.

    >>> [len(part) for part in group_parts([InputFile(n, 60, "", "text") for n in "abc"], 100)]
    [2, 1]
    """
    parts: list[list[InputFile]] = []
    filled = part_bytes
    how = Splitting(part_bytes, record_bytes)
    for piece in chain.from_iterable(split(file, how, extra) for file in files):
        if filled >= part_bytes:
            parts.append([])
            filled = 0
        parts[-1].append(piece)
        filled += piece.bytes
    return parts


def files_in_one_part(files: Sequence[InputFile], how: Splitting, extra: Sequence[Reader] = ()) -> list[str]:
    """Paths of the files that are larger than two parts and are read by one core all the same: archives, CSV, HTML."""
    return [file.path for file in files if file.bytes >= 2 * how.part_bytes and len(split(file, how, extra)) == 1]


@cache
def _pieces(file: InputFile, how: Splitting, reader: Reader) -> tuple[InputFile, ...]:
    """``split`` once for planning and once more for the run, in one pass."""
    try:
        found = load_function(replace(reader, read=reader.split or ""))(file, how)
    except ChangedInputError:  # the one who reads it says so, once the other parts are done
        return (file,)
    if len(found) < 2:
        return (file,)
    return tuple(_piece(file, piece, share) for piece, share in found)


def _piece(file: InputFile, piece: Piece, n_bytes: int) -> InputFile:
    digest = xxhash.xxh3_128_hexdigest(f"{file.digest}\x1f{piece.start}\x1f{piece.stop}\x1f{piece.before}".encode())
    return replace(file, bytes=n_bytes, digest=digest, piece=piece)


def at_lines(file: InputFile, how: Splitting) -> list[tuple[Piece, int]]:
    """Pieces that end behind a line feed, with the lines before each; and the bytes of each. None of wide encodings."""
    if not _is_plain(file):
        return []
    starts, n_pieces = [(0, 0)], file.bytes // how.part_bytes
    with open_checked(file) as raw:
        head = raw.read(HEAD_BYTES)
        if b"\0" in head or holds_values(file.path, head):  # UTF-16, or records that lines do not end
            return []
        raw.seek(0)
        lines = 0
        for number in range(1, n_pieces):
            lines += _lines_to(raw, number * file.bytes // n_pieces)
            rest = raw.readline()
            lines += rest.endswith(b"\n")
            if rest and raw.tell() > starts[-1][0]:
                starts.append((raw.tell(), lines))
    return _between([start for start in starts if start[0] < file.bytes], file.bytes)


def _lines_to(raw: BinaryIO, stop: int) -> int:
    """Line feeds from where ``raw`` stands up to ``stop``."""
    lines = 0
    while (left := stop - raw.tell()) > 0 and (block := raw.read(min(left, _READ_BYTES))):
        lines += block.count(b"\n")
    return lines


def at_records(file: InputFile, how: Splitting) -> list[tuple[Piece, int]]:
    """Pieces that begin where a WARC record does, as the reader itself frames them; nothing stands before them."""
    if not _is_plain(file):
        return []
    starts, n_pieces = [(0, 0)], file.bytes // how.part_bytes
    with open_stream(file, ReadSpec("split", "split")) as stream:
        for block in blocks(stream, how.record_bytes):
            if block.header and block.offset >= len(starts) * file.bytes // n_pieces and block.offset:
                starts.append((block.offset, 0))
    return [(replace(piece, runs_on=True), size) for piece, size in _between(starts, file.bytes)]


def at_row_groups(file: InputFile, how: Splitting) -> list[tuple[Piece, int]]:
    """Pieces of whole row groups, counted from 0, with the rows before each."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_checked(file) as raw:
        try:
            about = pq.ParquetFile(raw).metadata
        except (pa.ArrowException, OSError):  # the reader says what it is instead
            return []
        groups = [about.row_group(number) for number in range(about.num_row_groups)]
        sizes = [sum(group.column(i).total_compressed_size for i in range(group.num_columns)) for group in groups]
        rows = [group.num_rows for group in groups]
    return list(_grouped(sizes, rows, how.part_bytes))


def _grouped(sizes: list[int], rows: list[int], part_bytes: int) -> Iterator[tuple[Piece, int]]:
    start = before = filled = 0
    for number, size in enumerate(sizes):
        filled += size
        if filled >= part_bytes or number == len(sizes) - 1:
            yield Piece(start, number + 1, before), filled
            before += sum(rows[start : number + 1])
            start, filled = number + 1, 0


def _between(starts: list[tuple[int, int]], size: int) -> list[tuple[Piece, int]]:
    stops = [start for start, _ in starts[1:]] + [size]
    return [(Piece(start, stop, before), stop - start) for (start, before), stop in zip(starts, stops, strict=True)]


def _is_plain(file: InputFile) -> bool:
    """True for a local file that is no archive, whatever its name says."""
    if is_remote(file.lies_at):
        return False
    with open_checked(file) as raw:
        return codec_of(raw.read(_HEAD_BYTES)) is None
