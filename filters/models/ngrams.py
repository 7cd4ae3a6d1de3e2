"""Fit a character n-gram model: what each character costs after those before it, in text that one calls good.

Interpolated Witten-Bell: with N occurrences of a context, T different characters behind it, and S of these seen once,

    p(c | context) = (n(c) + (T + S) p(c | context without its first character)) / (N + T)

where n-grams seen once count nothing and are forgotten: that halves the model, and the sum over all c stays 1. The
shortest context stands on all 1,114,112 code points alike. White space is one symbol and so are the digits of ASCII.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gristmill.corpus.text.columns import text_column
from gristmill.filters.models._kernels_ngrams import charges, lengthen, list_symbols

CODE_POINTS = 0x110000


@dataclass(frozen=True, slots=True)
class Model:
    """All n-grams by key, and what a character costs that was never seen, in units of 1/1024 bit."""

    keys: np.ndarray  # uint64[n]
    bits: np.ndarray  # uint16[n]: -log2 p(last character | those before it), at least 1
    backoffs: np.ndarray  # uint16[n]: -log2 (T + S) / (N + T) as a context; 0 where nothing followed
    unseen: int
    order: int


class _Level(NamedTuple):
    """The n-grams of one length that were seen twice or more."""

    keys: np.ndarray  # uint64[n], sorted
    chances: np.ndarray  # double[n]


class _Counts(NamedTuple):
    """All n-grams of one length."""

    keys: np.ndarray  # uint64[n], sorted
    times: np.ndarray  # int64[n]
    ends: np.ndarray  # int64[n]: where one of each ends, in symbols


class _Contexts(NamedTuple):
    """What follows each context."""

    divisors: np.ndarray  # double[n]: N + T, 1 where nothing followed
    backoffs: np.ndarray  # double[n]: (T + S) / (N + T), likewise


def fit_model(texts: pa.Array | pa.ChunkedArray, order: int) -> Model:
    """Fit n-grams of up to ``order`` symbols, 1 to 8, on texts; the order of the texts changes nothing.

    Cost
    ----
    Every length is sorted once: at order 6 about 1.8 CPU seconds and 60 bytes of memory a byte of text, for 2 MB.
    """
    symbols, places = symbols_of(texts)
    keys = np.zeros(len(symbols), np.uint64)
    levels, backoffs = [_Level(np.zeros(1, np.uint64), np.array([1 / CODE_POINTS]))], []
    for n in range(1, order + 1):
        before, keys = keys, np.zeros_like(keys)
        lengthen(symbols, before, keys)
        counts = _count(keys, np.flatnonzero(places >= n - 1))
        parents = _find(before[counts.ends - 1] if n > 1 else np.zeros_like(counts.keys), levels[-1].keys)
        contexts = _follow(parents, counts.times, len(levels[-1].keys))
        backoffs.append(contexts.backoffs)
        kept = counts.times > 1
        parents, shorter = parents[kept], _find(before[counts.ends[kept]], levels[-1].keys)
        shares = counts.times[kept] / contexts.divisors[parents]
        chances = shares + contexts.backoffs[parents] * levels[-1].chances[shorter]
        levels.append(_Level(counts.keys[kept], chances))
    backoffs.append(np.ones(len(levels[-1].keys)))  # the longest are no context of others
    costs = [np.maximum(_cost(level.chances), 1) for level in levels[1:]]
    unseen = _cost(backoffs[0] / CODE_POINTS)[0]
    keys = np.concatenate([level.keys for level in levels[1:]])
    return Model(keys, np.concatenate(costs), _cost(np.concatenate(backoffs[1:])), int(unseen), order)


def symbols_of(texts: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Symbols of all texts, uint32[n], each text behind a space, and their places in their texts, int32[n].

    >>> symbols, places = symbols_of(pa.array(["a  b", "7"]))
    >>> "".join(map(chr, symbols)), places.tolist()
    (' a b 0', [0, 1, 2, 3, 0, 1])
    """
    text = text_column(pa.table({"text": texts}))
    room = int(text.offsets[-1]) + text.n_docs
    symbols, places = np.empty(room, np.uint32), np.empty(room, np.int32)
    n = list_symbols(*text, symbols, places)
    return symbols[:n], places[:n]


def _count(keys: np.ndarray, ends: np.ndarray) -> _Counts:
    order = np.argsort(keys[ends])
    ordered = keys[ends][order]
    firsts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)])
    return _Counts(ordered[firsts], np.diff(firsts, append=len(ordered)), ends[order[firsts]])


def _find(keys: np.ndarray, known: np.ndarray) -> np.ndarray:
    """int64[n]: place of each key in sorted ``known``, -1 for one that is not there; no key at all finds the root."""
    at = np.minimum(np.searchsorted(known, keys), max(len(known) - 1, 0))
    return np.where(known[at] == keys, at, -1) if len(known) else np.full(len(keys), -1)


def _follow(parents: np.ndarray, times: np.ndarray, n: int) -> _Contexts:
    seen = parents >= 0  # a context seen once is forgotten: its backoff is 1, as the formula has it
    total = np.bincount(parents[seen], times[seen], n)
    kinds = np.bincount(parents[seen], minlength=n)
    once = np.bincount(parents[seen & (times == 1)], minlength=n)
    divisors = np.where(total > 0, total + kinds, 1.0)
    return _Contexts(divisors, np.where(total > 0, (kinds + once) / divisors, 1.0))


def _cost(chances: np.ndarray) -> np.ndarray:
    out = np.empty(len(chances), np.uint16)
    charges(np.maximum(1 / chances, 1.0), out)
    return out
