"""How rare a run of words is: the bits that its characters cost under the reference that the entropy score ships.

Four words in a row of a short passage are no evidence by themselves: of 10,000 clean documents 140 hold four of one
of 682 short passages (``bench/decontaminate.py``). Words that cost many bits are: names, numbers, terms. The reference
holds n-grams of 141 languages, so a cost is one of its own language; a word is charged behind the words before it,
without the signs between, which are not compared either.
"""

from hashlib import blake2b

import numpy as np

from gristmill.corpus.text.columns import PAD_BYTES, TextColumn
from gristmill.filters.lists import _kernels_passages as kernels
from gristmill.filters.models import _kernels_known as known
from gristmill.filters.models import _kernels_marks as marks
from gristmill.filters.models.entropy_score import gather, tables
from gristmill.filters.models.shipped import ENTROPY_TABLES

COST_UNITS = known.COST_UNITS  # of a bit


def reference_version() -> dict[str, str]:
    """A hash of the table of costs: it stands in the stage's key."""
    return {"entropy characters": blake2b(ENTROPY_TABLES["characters"].read_bytes(), digest_size=6).hexdigest()}


def costs_of(column: TextColumn, firsts: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """int64[n_words + 1]: cost of all words before each, in 1/16 bit, those of passages that are not chosen 0.

    Parameters
    ----------
    firsts : int64[n_passages + 1], the first word of each
    chosen : bool[n_passages]
    """
    costs, sizes = np.zeros(firsts[-1] + 1, np.int64), np.diff(firsts)
    packed, begins, ends = packed_words(column, firsts)
    words = np.flatnonzero(np.repeat(chosen, sizes))
    charged = _costs_between(packed, np.repeat(begins, sizes)[words], ends[words])
    before = np.concatenate([np.zeros(1, np.int64), charged])[:-1]
    costs[words + 1] = np.where(np.isin(words, firsts[:-1]), charged, charged - before)
    return np.cumsum(costs)


def packed_words(column: TextColumn, firsts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(uint8[...], int64[n_passages], int64[n_words]): words with a blank between, where texts begin and words end."""
    scratch = tuple(np.empty((4, int(np.diff(column.offsets).max(initial=0)) + PAD_BYTES), np.int64))
    packed, begins, ends = np.empty_like(column.data), np.empty(column.n_docs, np.int64), np.empty(firsts[-1], np.int64)
    kernels.pack_words(*column, scratch, packed, begins, ends)
    return packed, begins, ends


def _costs_between(data: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """int64[n]: cost of the characters of data[begins[i]:ends[i]]."""
    sizes = ends - begins
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    places = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - begins, sizes)
    padded = np.concatenate([data[places], np.zeros(PAD_BYTES, np.uint8)])
    evidence, _ = gather(TextColumn(offsets, padded), tables())
    return evidence[:, marks.N_COUNTS + known.BITS]
