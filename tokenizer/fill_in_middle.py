"""Fill in the middle: some documents with their middle at the end, cut by their doc_id, on columns.

Which marks and how often says ``gristmill.tokenizer.stage.FillInMiddle``. ``original_order`` turns it back. A document
longer than a row is cut into rows afterwards as any other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import xxhash

from gristmill.corpus.text.columns import text_column
from gristmill.tokenizer.reference_encoder import Tokens
from gristmill.tokenizer.stage import FillInMiddle

PIECES = 3  # prefix, middle, suffix
_MARKS = 3


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where the documents of a batch are cut; [n_docs] each. One that is not chosen is all prefix."""

    chosen: np.ndarray  # bool
    suffix_first: np.ndarray  # bool
    first: np.ndarray  # int64, byte at which the middle begins
    second: np.ndarray  # int64, byte at which the suffix begins


def cuts_of(batch: pa.RecordBatch, texts: pa.LargeStringArray, section: FillInMiddle, seed: int) -> Cuts:
    """Two characters of each chosen document, each place as likely as any other; held-out documents stay whole.

    Parameters
    ----------
    batch : doc_id, domain and heldout of each document
    seed : of the recipe; with the doc_id it decides everything
    """
    rate = rates_of(batch["domain"], section.rates) * ~batch["heldout"].to_numpy(zero_copy_only=False)
    draws = _draws(batch["doc_id"], np.flatnonzero(rate > 0), seed)
    column = text_column(pa.record_batch({"text": texts}))
    begins, stops = column.offsets[:-1], column.offsets[1:]
    text = column.data[: stops[-1] if len(stops) else 0]
    starts = np.append(np.flatnonzero((text & 0xC0) != 0x80), len(text))  # of characters
    low, high = np.searchsorted(starts, begins), np.searchsorted(starts, stops)
    places = np.sort(np.floor(draws[:, 2:] * (high - low + 1)[:, None]).astype(np.int64), axis=1)
    chosen = draws[:, 0] < rate
    byte = np.where(chosen[:, None], starts[low[:, None] + places], stops[:, None])
    return Cuts(chosen, chosen & (draws[:, 1] < section.suffix_first), byte[:, 0], byte[:, 1])


def rates_of(domains: pa.Array, rates: Mapping[str, float]) -> np.ndarray:
    """The rate of each document's domain, 0 where none is named: float64 [n_docs]."""
    coded = domains.dictionary_encode()
    by_code = np.array([rates.get(name, 0.0) for name in coded.dictionary.to_pylist()])
    return by_code[coded.indices.to_numpy()] if len(by_code) else np.zeros(len(domains))


def _draws(doc_ids: pa.Array, rows: np.ndarray, seed: int) -> np.ndarray:
    """Four numbers in [0, 1) for each document, float64 [n_docs, 4]; 0 for those whose domain has no rate."""
    draws = np.zeros((len(doc_ids), 4))
    names = doc_ids.take(pa.array(rows)).to_pylist()
    raw = b"".join(xxhash.xxh3_128_digest(f"fill in the middle\x1f{name}".encode(), seed % 2**64) for name in names)
    draws[rows] = np.frombuffer(raw, "<u4").reshape(-1, 4) / 2**32
    return draws


def cut_texts(texts: pa.LargeStringArray, cuts: Cuts) -> pa.LargeStringArray:
    """Prefix, middle and suffix of every document, one after the other: [3 n_docs], without a copy of the text."""
    column = text_column(pa.record_batch({"text": texts}))
    bounds = np.stack([column.offsets[:-1], cuts.first, cuts.second], axis=1).reshape(-1)
    offsets = np.append(bounds, column.offsets[-1:])
    return pa.Array.from_buffers(
        pa.large_string(), PIECES * len(texts), [None, pa.py_buffer(offsets), pa.py_buffer(column.data)]
    )


def arranged(pieces: Tokens, cuts: Cuts, marks: Sequence[int], end_id: int | None) -> Tokens:
    """The tokens of ``cut_texts`` in the order in which a model reads them.

    Parameters
    ----------
    pieces : tokens of prefix, middle and suffix of each document, each closed by the end token where there is one
    marks : ids before prefix, suffix and middle
    """
    ends = int(end_id is not None)
    start = pieces.offsets[:-1].reshape(-1, PIECES)
    length = (pieces.offsets[1:] - ends).reshape(-1, PIECES) - start
    marks_at = len(pieces.ids) + np.arange(_MARKS)
    pool = np.concatenate([pieces.ids, np.array([*marks, *([end_id] if ends else [])], pieces.ids.dtype)])
    (before, middle, after), n_docs = start.T, len(start)
    n_before, n_middle, n_after = length.T
    one, none = cuts.chosen.astype(np.int64), np.zeros(n_docs, np.int64)
    psm = ~cuts.suffix_first
    columns = [  # (start in the pool, length) of what stands one after the other
        (np.full(n_docs, marks_at[0]), one),
        (before, np.where(psm, n_before, none)),
        (np.full(n_docs, marks_at[1]), one),
        (after, n_after),
        (np.full(n_docs, marks_at[2]), one),
        (before, np.where(psm, none, n_before)),
        (middle, n_middle),
        (np.full(n_docs, marks_at[-1] + 1), np.full(n_docs, ends)),
    ]
    starts, lengths = (np.stack([column[n] for column in columns], axis=1).reshape(-1) for n in (0, 1))
    stops = np.cumsum(lengths)
    at = np.repeat(starts - (stops - lengths), lengths) + np.arange(stops[-1] if len(stops) else 0)
    return Tokens(np.append(0, stops[len(columns) - 1 :: len(columns)]).astype(np.int64), pool[at])


def original_order(ids: Sequence[int], marks: Sequence[int]) -> list[int]:
    """The tokens of a whole document, without marks, in the order of its text; both kinds of order alike.

    >>> original_order([90, 1, 2, 91, 5, 92, 3, 4], (90, 91, 92)), original_order([90, 91, 5, 92, 1, 2], (90, 91, 92))
    ([1, 2, 3, 4, 5], [1, 2, 5])
    """
    ids = list(ids)
    if not ids or ids[0] != marks[0]:
        return ids
    suffix, middle = ids.index(marks[1]), ids.index(marks[2])
    return ids[1:suffix] + ids[middle + 1 :] + ids[suffix + 1 : middle]
