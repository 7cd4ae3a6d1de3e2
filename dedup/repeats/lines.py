"""Lines and paragraphs that occur more than once: the first in canonical order stays, the others become spans.

Equal means byte for byte without the ASCII white space at both ends, by a 128-bit hash: among 10^12 different lines
the chance of one false match is about 10^-15, so texts are not compared again.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from gristmill.corpus.errors import RecipeError, UnknownNameError
from gristmill.corpus.receipt import Outcome
from gristmill.dedup.copies import PLACE_BITS, Copies, range_count
from gristmill.dedup.repeats import _kernels_lines
from gristmill.dedup.repeats.kept_texts import KeptTexts, TextBatch, read_kept
from gristmill.dedup.repeats.removals import Intervals, accounts_of, totals, unite, write_spans

Unit = Literal["line", "paragraph"]
Scope = Literal["corpus", "source"]
UNITS: tuple[Unit, ...] = ("line", "paragraph")
SCOPES: tuple[Scope, ...] = ("corpus", "source")
FILE = "spans.parquet"


def line_spans(
    documents: Sequence[Path],
    kept: Sequence[pa.Table],
    folder: Path,
    *,
    unit: Unit = "line",
    min_chars: int = 30,
    scope: Scope = "corpus",
) -> Outcome:
    """Write ``spans.parquet``: the later copies of repeated lines or paragraphs in kept documents.

    A line's span ends behind its newline. A paragraph is a run of lines with text; its span takes in the blank lines
    behind it. Spans that touch are one.

    Parameters
    ----------
    documents : part files of ``gristmill.corpus.schema.DOCUMENTS``
    kept : for each part its rows of ``gristmill.corpus.schema.KEPT``
    folder : empty, to fill
    unit : "line" or "paragraph", also the reason of the spans
    min_chars : shorter units stay, however often they occur; characters without white space at the ends, 1 or more
    scope : "corpus", or "source" to compare only within a source

    Returns
    -------
    Outcome; rows are documents with spans; facts count units, duplicates and removed bytes, in all and by source

    Raises
    ------
    RecipeError, UnknownNameError : a parameter out of range
    SchemaError : documents and kept do not belong together

    Cost
    ----
    Memory: about 70 bytes a kept document, one row group, and the records of 64 MiB of text (``copies.RANGE_BYTES``).
    Disk: 32 bytes a unit, in scratch files in ``folder`` that are gone afterwards.
    """
    _check(unit, min_chars, scope)
    texts = read_kept(documents, kept)
    n_bytes, units, duplicates = np.zeros((3, len(texts.source_names)), np.int64)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        copies = _line_copies(Path(scratch), texts)
        for batch in texts.batches():
            records, counts = _records(batch, texts, unit, min_chars, scope)
            np.add.at(n_bytes, texts.sources[batch.ranks], np.diff(batch.text.offsets))
            np.add.at(units, texts.sources[batch.ranks], counts)
            copies.add(records)
        rows, removed = write_spans(folder / FILE, texts, _stretches(copies, texts, duplicates), unit)
    counts = {"units": units, "duplicates": duplicates, "bytes_removed": removed}
    return Outcome(rows, accounts_of(texts, n_bytes), {"unit": unit, **totals(texts, counts)})


def _check(unit: str, min_chars: int, scope: str) -> None:
    if unit not in UNITS:
        raise UnknownNameError("dedup.lines.unit", unit, UNITS)
    if scope not in SCOPES:
        raise UnknownNameError("dedup.lines.scope", scope, SCOPES)
    if min_chars < 1:
        raise RecipeError(f"dedup.lines.min_chars = {min_chars}; expected 1 or more")


def _line_copies(scratch: Path, texts: KeptTexts) -> Copies:
    """Copies of the records of ``_records``; of the later ones come back place and bytes."""
    return Copies(
        scratch,
        range_count(texts.text_bytes),
        texts.n_kept,
        columns=4,
        n_keys=2,
        found=lambda records, later, _: records[later][:, [0, 3]],
        found_columns=2,
    )


def _records(
    batch: TextBatch, texts: KeptTexts, unit: str, min_chars: int, scope: str
) -> tuple[np.ndarray, np.ndarray]:
    """uint64[n_units, 4]: place, hash, hash, bytes; and int64[n_docs], the units of each document."""
    text = batch.text
    apart = texts.sources[batch.ranks] if scope == "source" else np.zeros(text.n_docs)
    most = int(text.offsets[-1]) // (min_chars + 1) + text.n_docs  # a unit ends with a newline or its document
    records, counts = np.empty((most, 4), np.uint64), np.empty(text.n_docs, np.int64)
    by_paragraph, seeds = unit == UNITS[1], apart.astype(np.uint64)
    n = _kernels_lines.unit_records(*text, batch.ranks, seeds, by_paragraph, min_chars, records, counts)
    return records[:n], counts


def _by_source(texts: KeptTexts, records: np.ndarray) -> np.ndarray:
    """int64[n_sources]: records that lie in documents of each source."""
    ranks = (records[:, 0] >> PLACE_BITS).astype(np.int64)
    return np.bincount(texts.sources[ranks], minlength=len(texts.source_names))


def _stretches(copies: Copies, texts: KeptTexts, duplicates: np.ndarray) -> Iterator[Intervals]:
    """The later copies as stretches of text; adds them up in ``duplicates``, int64 a source."""
    for later in copies.later():
        duplicates += _by_source(texts, later)
        yield unite(later[:, 0], later[:, 1])
