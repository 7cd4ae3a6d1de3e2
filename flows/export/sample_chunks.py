"""Files of samples behind a table of offsets, the shape that mosaicml streaming and litdata share.

uint32 number of samples, uint32 offsets of each and of the end, counted from the start of the file; what the format
has between; then the samples.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gristmill.corpus.errors import StoreError
from gristmill.flows.export.row_blocks import RowBlock

MOST_BYTES = (1 << 32) - 1


class RowSample(NamedTuple):
    """One packed row as plain values; the names are those of the columns that are written."""

    tokens: np.ndarray  # uint16 or uint32 [row_tokens]
    mask: np.ndarray  # uint8 [row_tokens], 1 where the token counts when it is predicted
    starts: np.ndarray  # int32 [n_documents], first token of each in the row
    lengths: np.ndarray  # int32 [n_documents]
    documents: str  # JSON list of [doc_id, first token in the document]
    domain: str
    row: int


def row_samples(block: RowBlock, domains: tuple[str, ...]) -> Iterator[RowSample]:
    """The rows of a block one by one: these formats are written sample by sample."""
    documents = block.documents.flatten()
    start, length = (documents.field(name).to_numpy() for name in ("start", "length"))
    origins = list(zip(documents.field("doc_id").to_pylist(), documents.field("offset").to_pylist(), strict=True))
    ends = np.cumsum(block.documents.value_lengths().to_numpy())
    mask = block.counted.view(np.uint8)
    for place, (row, domain) in enumerate(zip(block.row.tolist(), block.domain.tolist(), strict=True)):
        mine = slice(ends[place - 1] if place else 0, ends[place])
        stated = json.dumps(origins[mine])
        yield RowSample(block.tokens[place], mask[place], start[mine], length[mine], stated, domains[domain], row)


class SampleFile:
    """Samples as bytes, held until the file is written: the table of offsets comes first."""

    def __init__(self, path: Path, between: bytes = b""):
        self._path, self._between, self._samples = path, between, list[bytes]()

    def add(self, sample: bytes) -> None:
        """Add a sample."""
        self._samples.append(sample)

    def close(self) -> None:
        """Write the file; StoreError when it would be larger than its offsets can say."""
        sizes = np.array([len(sample) for sample in self._samples], np.int64)
        first = 4 * (len(sizes) + 2) + len(self._between)
        offsets = first + np.concatenate([[0], np.cumsum(sizes)])
        if offsets[-1] > MOST_BYTES:
            raise StoreError(
                f"a part of {len(sizes)} rows has {offsets[-1]} bytes, more than the format's offsets hold; "
                "set shards.shard_rows lower"
            )
        with self._path.open("wb") as file:
            file.write(np.uint32(len(sizes)).tobytes() + offsets.astype(np.uint32).tobytes() + self._between)
            file.writelines(self._samples)


class SamplePart:
    """One file of rows, each as the bytes that ``encoded`` makes of it."""

    def __init__(self, file: SampleFile, domains: tuple[str, ...], encoded: Callable[[RowSample], bytes]):
        self._file, self._domains, self._encoded = file, domains, encoded

    def write(self, block: RowBlock) -> None:
        """Add rows."""
        for sample in row_samples(block, self._domains):
            self._file.add(self._encoded(sample))

    def close(self) -> None:
        """Write the file."""
        self._file.close()
