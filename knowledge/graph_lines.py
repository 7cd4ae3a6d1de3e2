"""Lines of a file, unpacked while they are read: plain, gzip or bzip2, by the first bytes."""

import bz2
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gristmill.corpus.errors import SourceError

MAX_LINE_BYTES = 1 << 28  # an entity of Wikidata has 10 MB at most
_MAGIC = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open}  # a table of text may begin with BZ


def lines_of(path: Path) -> Iterator[tuple[int, bytes | None]]:
    """(number from 1, line without its end); None for a line of more than MAX_LINE_BYTES.

    Raises
    ------
    SourceError : the file cannot be opened, or its compression is damaged; names the line read last
    """
    number = 0
    try:
        with open_unpacked(path) as file:
            while line := file.readline(MAX_LINE_BYTES):
                number += 1
                if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                    _skip(file)
                    yield number, None
                else:
                    yield number, line.rstrip(b"\r\n")
    except (OSError, EOFError) as error:
        raise SourceError(f"knowledge.graph: {path} cannot be read behind line {number}: {error}") from None


def open_unpacked(path: Path) -> BinaryIO:
    """The unpacked bytes of a file. A name that promises a compression which the bytes do not have is a SourceError."""
    with path.open("rb") as file:
        first = file.read(3)
    opener = next((opener for magic, opener in _MAGIC.items() if first.startswith(magic)), None)
    promised = path.suffix.lower() in (".gz", ".bz2")
    if promised and opener is None and first:
        raise SourceError(f"knowledge.graph: {path} is not a {path.suffix} file: it begins with {first.hex(' ')}")
    return opener(path, "rb") if opener else path.open("rb")  # pyright: ignore[reportReturnType]


def _skip(file: BinaryIO) -> None:
    while (piece := file.readline(1 << 20)) and not piece.endswith(b"\n"):
        pass
