"""A proxy in milliseconds: unigram and bigram models by counts, straight from shards. No gradient is taken.

They see repetition as a trained model does, too sure of what it saw often, and which domains share words; not syntax.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gristmill.handoff.reader import ShardReader
from gristmill.handoff.row_digest import within
from gristmill.mixing._kernels_counts import EMPTY, count_pairs, pair_nats


class Pairs(NamedTuple):
    """Predicted tokens that count, int64[P]: the token before each, the token, the number of its slice in the rows."""

    before: np.ndarray
    token: np.ndarray
    slice: np.ndarray

    @classmethod
    def of(cls, reader: ShardReader, rows: np.ndarray) -> tuple["Pairs", np.ndarray]:
        """Of ``rows int64[n]``, in order; and the row (place in ``rows``) of each slice. Memory: 24 bytes per token."""
        tokens, slices, mask = reader.tokens(rows), reader.slices(rows), reader.mask(rows)
        place = np.repeat(slices.row * reader.row_tokens + slices.start, slices.length) + within(slices.length)
        number = np.repeat(np.arange(len(slices.length)), slices.length)
        counts = within(slices.length) > 0
        if mask is not None:
            counts &= mask.reshape(-1)[place]
        flat, at = tokens.reshape(-1), place[counts]
        return cls(flat[at - 1].astype(np.int64), flat[at].astype(np.int64), number[counts]), slices.row


@dataclass(frozen=True, slots=True)
class CountModel:
    """Unigram counts with one added, and for order 2 bigram counts over them by Witten and Bell's interpolation."""

    vocab_size: int
    single: np.ndarray  # float64[V], probabilities
    keys: np.ndarray
    counts: np.ndarray
    given: np.ndarray
    kinds: np.ndarray

    @classmethod
    def fit(cls, pairs: list[tuple[Pairs, np.ndarray]], vocab_size: int, order: int) -> "CountModel":
        """A model of pairs and how often each is seen (int64[P]); ``order`` 1 or 2.

        Source: Witten and Bell 1991, The zero-frequency problem, method C. Cost: 0.1 s for a million pairs.
        """
        single = np.ones(vocab_size)
        for part, times in pairs:
            single += np.bincount(part.token, weights=times, minlength=vocab_size)
        used = [(part, times) for part, times in pairs if order > 1 and len(times)]
        n = sum(int((times > 0).sum()) for _, times in used)
        keys = np.full(1 << max(4, (2 * n).bit_length()), EMPTY, np.int64)
        counts, (given, kinds) = np.zeros(len(keys), np.int64), np.zeros((2, vocab_size), np.int64)
        for part, times in used:
            seen = times > 0
            count_pairs(part.before[seen], part.token[seen], times[seen], vocab_size, keys, counts, given, kinds)
        return cls(vocab_size, single / single.sum(), keys, counts, given, kinds)

    def nats(self, pairs: Pairs) -> np.ndarray:
        """float64[P]: what each predicted token costs."""
        out = np.empty(len(pairs.token))
        table = self.keys, self.counts, self.given, self.kinds
        pair_nats(pairs.before, pairs.token, self.vocab_size, *table, self.single, out)
        return out
