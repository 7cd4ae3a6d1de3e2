"""The content of a whole input file as it was listed: its digest, and those of its blocks, taken in the same pass.

The digest names the content in lock and store keys. The digests of blocks (8 bytes per MiB) let a reader that seeks,
or that reads a stretch alone, compare every byte that it gets, without a second pass; see ``checked_file``.
"""

from dataclasses import dataclass
from typing import BinaryIO

import xxhash

from gristmill.corpus.files import CHUNK_BYTES

BLOCK_BYTES = CHUNK_BYTES
_DIGEST_BYTES = 8  # of one block: xxh3-64


@dataclass(frozen=True, slots=True)
class Content:
    """A file as it was listed."""

    size: int  # bytes on disk, packed when the file is
    digest: str  # 32 hex: xxh3-128 of the content, or of the server's checksum and the size
    blocks: bytes = b""  # xxh3-64 of every block, one after the other; none where one block is the file
    by_server: bool = False  # an object store's ETag or checksum stands for the content

    def block_bytes(self, number: int) -> int:
        """The size of one block of ``BLOCK_BYTES``; the last may be shorter."""
        return min(BLOCK_BYTES, self.size - number * BLOCK_BYTES)

    def has(self, number: int, block: bytes | memoryview) -> bool:
        """Whether block ``number`` of the file was this one when it was listed."""
        if len(block) != self.block_bytes(number):
            return False
        if not self.blocks:
            return xxhash.xxh3_128_hexdigest(block) == self.digest
        start = number * _DIGEST_BYTES
        return xxhash.xxh3_64_digest(block) == self.blocks[start : start + _DIGEST_BYTES]


def content_of(file: BinaryIO) -> Content:
    """Read ``file``, which blocks of any size come from, to its end.

    >>> import io
    >>> found = content_of(io.BytesIO(b"text"))
    >>> found.size, found.has(0, b"text"), found.has(0, b"tex?")
    (4, True, False)
    """
    state, size, blocks = xxhash.xxh3_128(), 0, bytearray()
    while block := file.read(BLOCK_BYTES):
        while len(block) < BLOCK_BYTES and (more := file.read(BLOCK_BYTES - len(block))):
            block += more
        state.update(block)
        size += len(block)
        blocks += xxhash.xxh3_64_digest(block)
    return Content(size, state.hexdigest(), bytes(blocks) if size > BLOCK_BYTES else b"")
