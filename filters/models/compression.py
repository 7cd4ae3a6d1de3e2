"""Compression: how much shorter zstd makes a document, a signal of repetition at any distance.

``zstd_ratio`` is bytes over compressed bytes, as in Whisper's and other filters: high is repetitive, 1 or less is noise
or a text too short to compress. The ratio of a short text measures its length: ``zstd_ratio_residual`` is what remains,
in MADs of the good text of samples/ of that length and of as many bytes a character.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from gristmill.corpus.account import Account, add_up
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.schema import signals_schema
from gristmill.corpus.source_accounts import passed_by_source
from gristmill.corpus.tables import read_batches, write_part
from gristmill.filters.signals.measure import Signal

VERSION = "1"
TABLE = Path(__file__).with_name("compression_table.json")
COMPRESSION_SIGNALS = {
    signal.name: signal
    for signal in (
        Signal(
            "zstd_ratio", "bytes per compressed byte", "bytes over bytes of a zstd frame; high is repetitive", "zstd"
        ),
        Signal("zstd_ratio_residual", "MADs", "zstd_ratio against its median at so many bytes", "filters.compression"),
    )
}
KINDS = (("ascii", 1.2), ("two_bytes", 2.2), ("three_bytes", 9.0))  # by bytes a character, below these
_SCHEMA = signals_schema({name: signal.unit for name, signal in COMPRESSION_SIGNALS.items()})


def library_version() -> str:
    """The version of libzstd: another one may give other bytes, so it stands in the stage's key.

    >>> library_version().count(".")
    2
    """
    return ".".join(map(str, zstandard.ZSTD_VERSION))


@cache
def table() -> dict[str, Any]:
    """The fitted table: version, provenance, level, and knots (length, median, mad) a kind."""
    return json.loads(TABLE.read_text(encoding="utf-8"))


def compress_part(documents: Path, folder: Path, *, level: int) -> Outcome:
    """Measure one part: ``folder/compression.parquet``, row-aligned with ``documents``.

    Parameters
    ----------
    level : zstd's, 1 to 19; the residual's table was fitted at level 3
    """
    accounts: list[dict[str, Account]] = []

    def measured() -> Iterator[pa.RecordBatch]:
        for batch in read_batches(documents, ["doc_id", "source", "text"]):
            text = batch.column("text")
            ratio = ratios(text, level)
            columns = (ratio, residual(ratio, *_sizes(text)))
            accounts.append(passed_by_source(batch.column("source"), pc.binary_length(text)))
            ids = batch.column("doc_id").cast(pa.string())
            yield pa.record_batch([ids, *(pa.array(column) for column in columns)], schema=_SCHEMA)

    rows = write_part(folder / "compression.parquet", _SCHEMA, measured())
    return Outcome(rows, add_up(accounts))


def ratios(texts: pa.Array, level: int = 3) -> np.ndarray:
    """double[n_texts]: bytes over compressed bytes, 0 for an empty text.

    Cost
    ----
    A Python loop over documents, a call of the library each and one compressor for all: 15 us and 5 ns a byte.

    >>> bool(ratios(pa.array(["so " * 1000]))[0] > 100)
    True
    """
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=False, write_content_size=False)
    views = texts.cast(pa.large_binary())
    sizes = [len(compressor.compress(view.as_buffer())) for view in views]
    return pc.binary_length(views).to_numpy(zero_copy_only=False) / np.array(sizes, np.float64)


def residual(ratio: np.ndarray, n_bytes: np.ndarray, n_chars: np.ndarray) -> np.ndarray:
    """(ratio - median) / MAD of good text of that length and kind; 0 for texts shorter than the first knot."""
    found, wide = np.zeros(len(ratio)), n_bytes / np.maximum(n_chars, 1)
    kinds = np.searchsorted([limit for _, limit in KINDS], wide, "right")
    for number, (kind, _) in enumerate(KINDS):
        knots = table()["tables"][kind]
        chosen = (kinds == number) & (n_bytes >= knots["length"][0])
        at = np.log2(np.maximum(n_bytes[chosen], 1))
        known = np.log2(knots["length"])
        median = np.interp(at, known, knots["median"])
        found[chosen] = (ratio[chosen] - median) / np.interp(at, known, knots["mad"])
    return found


def _sizes(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(pc.binary_length(texts), np.float64), np.asarray(pc.utf8_length(texts), np.float64)
