"""Compression: how much shorter zstd makes a document, a signal of repetition at any distance.

``zstd_ratio`` is bytes over compressed bytes, as in Whisper's and other filters: high is repetitive, 1 or less is noise
or a text too short to compress. The ratio of a short text measures its length: ``zstd_ratio_residual`` is what remains,
in MADs of the good text of samples/ of that length and of as many bytes a character.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from gristmill.corpus.stage import Measured
from gristmill.filters.models.stage import Compression
from gristmill.filters.signals._kernels_entropy import log2_all

TABLE = Path(__file__).with_name("compression_table.json")
KINDS = (("ascii", 1.2), ("two_bytes", 2.2), ("three_bytes", 9.0))  # by bytes a character, below these


def library_versions() -> dict[str, str]:
    """The version of libzstd: another one may give other bytes, so it stands in the stage's key.

    >>> library_versions()["zstd"].count(".")
    2
    """
    return {"zstd": ".".join(map(str, zstandard.ZSTD_VERSION))}


@cache
def table() -> dict[str, Any]:
    """The fitted table: version, provenance, level, and knots (length, median, mad) a kind."""
    return json.loads(TABLE.read_text(encoding="utf-8"))


def measure(batch: pa.RecordBatch, options: Compression, state: None) -> Measured:  # noqa: ARG001
    """The ratio of each document, and its residual; the residual's table was fitted at level 3."""
    text = batch.column("text")
    ratio = ratios(text, options.level)
    return Measured({"zstd_ratio": pa.array(ratio), "zstd_ratio_residual": pa.array(residual(ratio, *_sizes(text)))})


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
        at = log2_all(np.maximum(n_bytes[chosen], 1))
        known = log2_all(np.array(knots["length"], np.float64))
        median = np.interp(at, known, knots["median"])
        found[chosen] = (ratio[chosen] - median) / np.interp(at, known, knots["mad"])
    return found


def _sizes(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(pc.binary_length(texts), np.float64), np.asarray(pc.utf8_length(texts), np.float64)
