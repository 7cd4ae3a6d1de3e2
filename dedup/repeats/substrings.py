"""Runs of tokens that occur more than once, anywhere: later copies become spans, the first in canonical order stays.

A token is covered when it lies in a run of ``min_tokens`` tokens of one document that equals a run which begins
earlier in the corpus; the spans are the covered tokens. Two readings of the text find them exactly:

1. Winnowing: of every ``reach`` neighbouring hashes of ``width`` tokens the smallest is a fingerprint, where
   width + reach - 1 = min_tokens. Two equal runs share one (Schleimer, Wilkerson, Aiken 2003), so only runs around
   a fingerprint that occurs twice can repeat: about 2 in width + 1 tokens are remembered, not all.
2. Of documents with such fingerprints, all runs around them: equal by a 64-bit hash, then proved token by token.

Tokens are the white-space words of ``gristmill.corpus.text._kernels.tokenise``, every Han and kana character alone.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.receipt import Outcome
from gristmill.dedup.copies import PLACE_BITS, Copies, Found, range_count
from gristmill.dedup.repeats import _kernels_substrings
from gristmill.dedup.repeats.kept_texts import KeptTexts, TextBatch, read_kept
from gristmill.dedup.repeats.removals import Intervals, accounts_of, totals, unite, write_spans
from gristmill.dedup.scratch import ScratchArray

FILE = "spans.parquet"


def substring_spans(
    documents: Sequence[Path], kept: Sequence[pa.Table], folder: Path, *, min_tokens: int = 50
) -> Outcome:
    """Write ``spans.parquet``: what repeats an earlier run of ``min_tokens`` or more tokens, in kept documents.

    A span begins at a token and ends where the next token begins, or behind the document's last.

    Parameters
    ----------
    documents : part files of ``gristmill.corpus.schema.DOCUMENTS``
    kept : for each part its rows of ``gristmill.corpus.schema.KEPT``
    folder : empty, to fill
    min_tokens : length of the shortest repeat that is removed, 2 or more

    Returns
    -------
    Outcome; rows are documents with spans; facts count tokens, candidate windows and removed bytes

    Raises
    ------
    RecipeError : min_tokens out of range
    SchemaError : documents and kept do not belong together

    Cost
    ----
    Memory: about 70 bytes a kept document, one row group, and the records of 64 MiB of text (``copies.RANGE_BYTES``).
    Disk: at 50 tokens 1.2 bytes a token; 8 bytes a token of documents with a repeated fingerprint, 32 a window there.
    """
    if min_tokens < 2:
        raise RecipeError(f"dedup.substrings.min_tokens = {min_tokens}; expected 2 or more")
    texts = read_kept(documents, kept)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        search = _Search(texts, Path(scratch), min_tokens)
        runs = search.collect(search.mark())
        rows, removed = write_spans(folder / FILE, texts, search.stretches(runs), "substring")
    facts = {"min_tokens": min_tokens, "tokens": search.tokens, "windows": search.windows}
    facts |= totals(texts, {"bytes_removed": removed})
    return Outcome(rows, accounts_of(texts, search.n_bytes), facts)


class _Search:
    """The two readings and what they leave for the spans."""

    def __init__(self, texts: KeptTexts, scratch: Path, min_tokens: int):
        self.tokens, self.windows = 0, 0
        self.n_bytes = np.zeros(len(texts.source_names), np.int64)
        self._texts, self._scratch, self._length = texts, scratch, min_tokens
        self._width = (min_tokens + 1) // 2
        self._reach = min_tokens - self._width + 1
        self._ranges = range_count(texts.text_bytes)
        self._hashes = ScratchArray(scratch, np.uint64)  # of the tokens of documents that are read twice
        self._wanted = np.zeros(texts.n_kept, np.bool_)

    def mark(self) -> Iterator[np.ndarray]:
        """First reading: the places (row << 32 | token) of fingerprints that occur twice or more."""
        marks = self._copies(columns=2, found=self._repeated, found_columns=1)
        for batch in self._texts.batches():
            np.add.at(self.n_bytes, self._texts.sources[batch.ranks], np.diff(batch.text.offsets))
            marks.add(self._fingerprints(batch))
        return marks.later()

    def collect(self, marks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """Second reading: later copies of runs, not yet proved.

        Rows are (place, address, bytes, address of the first copy).
        """
        runs = self._copies(columns=4, found=_paired, found_columns=4)
        for batch, marked, bounds in _with_marks(self._texts.batches(self._wanted), marks):
            runs.add(self._windows(batch, marked, bounds))
        return runs.later()

    def stretches(self, runs: Iterator[np.ndarray]) -> Iterator[Intervals]:
        """Proved runs as stretches of text."""
        for found in runs:
            proved = np.empty(len(found), np.bool_)
            addresses, others = found[:, 1].copy(), found[:, 3].copy()
            _kernels_substrings.prove(self._hashes.array(), addresses, others, self._length, proved)
            self._hashes.release()
            yield unite(found[proved, 0], found[proved, 2])

    def _copies(self, columns: int, found: Found, found_columns: int) -> Copies:
        return Copies(
            self._scratch,
            self._ranges,
            self._texts.n_kept,
            columns=columns,
            n_keys=1,
            found=found,
            found_columns=found_columns,
        )

    def _repeated(self, records: np.ndarray, later: np.ndarray, first: np.ndarray) -> np.ndarray:
        """All places of fingerprints that occur twice, the first as well."""
        places = records[np.concatenate([later, np.unique(first)]), 0]
        self._wanted[(places >> PLACE_BITS).astype(np.int64)] = True
        return places[:, np.newaxis]

    def _fingerprints(self, batch: TextBatch) -> np.ndarray:
        records = np.empty((_most_tokens(batch), 2), np.uint64)
        n, tokens = _kernels_substrings.fingerprints(*batch.text, batch.rows, self._width, self._reach, records)
        self.tokens += tokens
        return records[:n]

    def _windows(self, batch: TextBatch, marks: np.ndarray, bounds: np.ndarray) -> np.ndarray:
        most = _most_tokens(batch)
        records, hashes = np.empty((min(most, len(marks) * self._reach), 4), np.uint64), np.empty(most, np.uint64)
        n, n_tokens = _kernels_substrings.windows(
            *batch.text, batch.ranks, marks, bounds, self._length, self._reach, len(self._hashes), records, hashes
        )
        self._hashes.append(hashes[:n_tokens])
        self.windows += n
        return records[:n]


def _most_tokens(batch: TextBatch) -> int:
    """Tokens that the batch can hold: one per two bytes, and one more per document. Untouched memory costs nothing."""
    return int(batch.text.offsets[-1]) // 2 + batch.text.n_docs + 1


def _paired(records: np.ndarray, later: np.ndarray, first: np.ndarray) -> np.ndarray:
    """(place, address, bytes, address of the first) of later copies."""
    return np.column_stack([records[later][:, [0, 2, 3]], records[first, 2]])


def _with_marks(
    batches: Iterator[TextBatch], blocks: Iterator[np.ndarray]
) -> Iterator[tuple[TextBatch, np.ndarray, np.ndarray]]:
    """Each batch with its documents' marks, and where each document's begin among them, int64[n_docs + 1]."""
    held = np.empty(0, np.uint64)
    for batch in batches:
        bounds = np.append(batch.rows, batch.rows[-1] + 1).astype(np.uint64) << PLACE_BITS
        while not len(held) or held[-1] < bounds[-1]:
            block = next(blocks, None)
            if block is None:
                break
            held = np.concatenate([held, block[:, 0]])
        places = np.searchsorted(held, bounds)
        yield batch, held[: places[-1]], places
        held = held[places[-1] :]
