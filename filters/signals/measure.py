"""Measuring the signals of the text alone: one pass of the kernels over a batch. They are declared in ``stage``."""

import numpy as np
import pyarrow as pa

from gristmill.corpus.errors import SourceError
from gristmill.corpus.schema import signals_schema
from gristmill.corpus.stage import Measured
from gristmill.corpus.text._kernels import first_invalid_utf8, word_capacity
from gristmill.corpus.text.columns import TextColumn, text_column
from gristmill.filters.signals import _kernels, _kernels_encoding, _kernels_pairs
from gristmill.filters.signals import _kernels_layout as layout
from gristmill.filters.signals.entropy import evenness, residual
from gristmill.filters.signals.kernel_scratch import make_scratch
from gristmill.filters.signals.stage import RESIDUALS, SIGNALS
from gristmill.filters.signals.stop_words import stop_table

MAX_DOCUMENT_BYTES = 1 << 25  # counts and fixed-point sums of the kernels hold to here
NAMES = tuple(signal.name for signal in SIGNALS.signals)
SCHEMA = signals_schema(SIGNALS.signals)


def measure(batch: pa.RecordBatch) -> pa.RecordBatch:
    """All signals of a batch.

    Parameters
    ----------
    batch : ``doc_id`` and ``text``, n_docs rows, no nulls; valid UTF-8, documents up to 32 MiB

    Returns
    -------
    RecordBatch of ``SCHEMA``, n_docs rows: doc_id and one double a signal; 0 for an empty document

    Raises
    ------
    SourceError : text that is not valid UTF-8, or a document beyond 32 MiB
    SchemaError : a column is missing or has nulls

    >>> signals = measure(pa.record_batch({"doc_id": ["d"], "text": ["To be, or not to be."]}))
    >>> signals["words"][0].as_py(), signals["sentences"][0].as_py()
    (6.0, 1.0)
    """
    arrays = [batch.column("doc_id").cast(pa.string()), *measure_batch(batch, None, None).columns.values()]
    return pa.record_batch(arrays, schema=SCHEMA)


def measure_batch(batch: pa.RecordBatch, options: None, state: None) -> Measured:  # noqa: ARG001
    """The ``measure`` function of the stage ``signals``: see ``measure``."""
    text = text_column(batch)
    _check(text, batch.column("doc_id"))
    columns = measure_columns(text)
    columns |= {name: residual(name, columns) for name in RESIDUALS}
    columns["word_evenness_bits"] = evenness(columns)
    return Measured({name: pa.array(columns[name]) for name in NAMES})


def measure_columns(text: TextColumn) -> dict[str, np.ndarray]:
    """What the text alone says: double[n_docs] by name, every signal but the residuals, which need a fitted table."""
    values = np.empty((text.n_docs, len(layout.NAMES)))
    _kernels.measure(*text, stop_table(), make_scratch(word_capacity(text.offsets)), values)
    columns = dict(zip(layout.NAMES, values.T, strict=True))
    columns["char_conditional_entropy_bits"] = _char_conditional_entropies(text)
    columns["mojibake_share"] = np.empty(text.n_docs)
    _kernels_encoding.misread_shares(*text, columns["mojibake_share"])
    return columns


def _char_conditional_entropies(text: TextColumn) -> np.ndarray:
    counts, firsts = np.zeros(_kernels_pairs.PAIRS, np.int32), np.empty(_kernels_pairs.SYMBOLS, np.int32)
    seen = np.empty(_kernels_pairs.PAIRS + 1, np.uint16)
    found = np.empty(text.n_docs)
    _kernels_pairs.conditional_entropies(*text, counts, firsts, seen, found)
    return found


def _check(text: TextColumn, doc_ids: pa.Array) -> None:
    sizes = np.diff(text.offsets)
    if sizes.size and sizes.max() > MAX_DOCUMENT_BYTES:
        at = int(sizes.argmax())
        raise SourceError(
            f"document {doc_ids[at]} has {sizes[at]} bytes; signals hold up to {MAX_DOCUMENT_BYTES}. "
            "Lower limits.document_bytes, or split such documents at their source."
        )
    invalid = first_invalid_utf8(text.offsets, text.data)
    if invalid >= 0:
        raise SourceError(
            f"the text of document {doc_ids[invalid]} is not valid UTF-8; give its encoding as sources.encoding"
        )
