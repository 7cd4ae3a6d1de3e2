"""Count the character and token n-grams of the shipped reference; used by bench/fit_entropy_score.py.

Counts alone, by hash: no text. Each language gives at most BYTES bytes, so that no large one decides for all.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gristmill.corpus.text.columns import text_column
from gristmill.filters.models._kernels_known import (
    COST_UNITS,
    LANGUAGES,
    LOG_UNITS,
    ORDER,
    classify_tokens,
    hash_ngrams,
    hash_pairs,
    list_tokens,
    put_all,
)
from gristmill.filters.models._kernels_marks import WHOLE, read_document
from gristmill.filters.models.entropy_score import Tables

BYTES = 500_000
CHARACTER_BITS, TOKEN_BITS = 20, 19  # 4 MB and 2 MB
MOST_USED = 0.8
DISCOUNT = 0.6
VOTE_SHARE = 0.5
WORD_TIMES, SUFFIX_TIMES = 5, 3
_CHARACTER_CHECK, _TOKEN_CHECK = 16, 20


class _Stream(NamedTuple):
    symbols: np.ndarray
    kinds: np.ndarray


def shift_of(table: np.ndarray) -> np.uint64:
    return np.uint64(65 - len(table).bit_length())


def stream_of(texts: Sequence[str], most_bytes: int) -> _Stream:
    """Symbols and kinds of texts, 16 KB of each at a time, until the bytes are used up."""
    pieces, used = [], 0
    for text in texts:
        for at in range(0, len(text), WHOLE // 4):
            if used >= most_bytes:
                break
            pieces.append(text[at : at + WHOLE // 4])
            used += len(pieces[-1].encode())
    column = text_column(pa.record_batch({"text": pa.array(pieces, pa.large_string())}))
    out_s, out_k = [], []
    symbols, kinds = np.zeros(WHOLE + 64, np.uint32), np.zeros(WHOLE + 64, np.uint16)
    for doc in range(column.n_docs):
        n = read_document(column.data, column.offsets[doc], column.offsets[doc + 1], symbols, kinds)
        out_s.append(symbols[:n].copy())
        out_k.append(kinds[:n].copy())
    return _Stream(np.concatenate(out_s), np.concatenate(out_k))


def fit_tables(texts: Mapping[int, Sequence[str]], most_bytes: int = BYTES) -> Tables:
    """Tables of texts by the number of their language, 1 and up."""
    streams = {number: stream_of(some, most_bytes) for number, some in texts.items()}
    tokens, totals = _token_table(streams)
    return Tables(_character_table(streams), tokens, totals)


def _character_table(streams: Mapping[int, _Stream]) -> np.ndarray:
    hashes = {number: np.zeros((ORDER, len(one.symbols)), np.uint64) for number, one in streams.items()}
    for number, one in streams.items():
        hash_ngrams(one.symbols, len(one.symbols), ORDER, hashes[number])
    found, before = [], (np.zeros(1, np.uint64), np.array([sum(len(one.symbols) for one in streams.values())]))
    for k in range(ORDER):
        keys, times, languages, context = _count({number: some[k] for number, some in hashes.items()}, hashes, k)
        if k:
            at = np.minimum(np.searchsorted(before[0], context), len(before[0]) - 1)
            behind = before[1][at]
        else:
            behind = np.full(len(keys), before[1][0])
        costs = -np.log2(np.maximum(times - DISCOUNT, 0.1) / np.maximum(behind, times))
        values = np.minimum(np.rint(costs * COST_UNITS), 254).astype(np.uint32) << 8
        found.append((keys, times, values | (languages if k >= 2 else 0).astype(np.uint32) if k >= 2 else values))
        before = (keys, times)
    return _filled(found, _CHARACTER_CHECK, CHARACTER_BITS)


def _count(keys_of: Mapping[int, np.ndarray], hashes: Mapping[int, np.ndarray], k: int):
    """Different keys, how often, the language that most of each is of (0: of none), the key of the context."""
    parts = []
    for number, keys in keys_of.items():
        ends = np.arange(k, len(keys))
        own, first, times = np.unique(keys[ends], return_index=True, return_counts=True)
        context = hashes[number][k - 1][ends[first] - 1] if k else np.zeros(len(own), np.uint64)
        parts.append((own, times, np.full(len(own), number), _rates(times, len(keys)), context))
    keys, times, numbers, rates, context = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((rates, keys))
    keys, times, numbers, rates, context = keys[order], times[order], numbers[order], rates[order], context[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    ends = np.append(starts[1:], len(keys)) - 1
    top = rates[ends] / np.maximum(np.add.reduceat(rates, starts), 1e-12)
    languages = np.where((rates[ends] > 0) & (top >= VOTE_SHARE), numbers[ends], 0)
    return keys[starts], np.add.reduceat(times, starts), languages, context[starts]


def _rates(times: np.ndarray, n: int) -> np.ndarray:
    """How often in the language, less what chance may add: else small languages would own what they hold once."""
    return np.maximum(times - np.sqrt(times), 0) / (n + 20_000)


def _filled(found: list[tuple[np.ndarray, np.ndarray, np.ndarray]], check_bits: int, slot_bits: int) -> np.ndarray:
    """A table of the most frequent, all of the shorter ones first."""
    room, table = int(MOST_USED * (1 << slot_bits)), np.zeros(1 << slot_bits, np.uint32)
    for keys, times, values in found:
        least = 2
        while (times >= least).sum() > room:
            least += 1
        chosen = np.flatnonzero(times >= least)
        chosen = chosen[np.argsort(-times[chosen], kind="stable")]
        lost = put_all(table, shift_of(table), check_bits, keys[chosen], values[chosen])
        print(f"  {len(keys):,} n-grams, {len(chosen) - lost:,} kept ({least} times or more), {lost:,} without a slot")
        room -= len(chosen) - lost
    return table


def _log_units(times: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(np.log2(times) * LOG_UNITS), 1, 4095).astype(np.uint32)


def _token_table(streams: Mapping[int, _Stream]) -> tuple[np.ndarray, np.ndarray]:
    totals, singles, pairs = np.zeros(LANGUAGES, np.int64), [], []
    for number, one in streams.items():
        n = len(one.symbols)
        words, suffixes, classes = np.zeros((3, n), np.uint64)
        count = list_tokens(one.symbols, one.kinds, n, number, words, suffixes)
        words, suffixes, classes = words[:count], suffixes[:count], classes[:count]
        totals[number] = int(_log_units(np.array([max(count, 2)]))[0])
        known, times = np.unique(words, return_counts=True)
        known, times = known[times >= WORD_TIMES], times[times >= WORD_TIMES]
        rest = suffixes[~np.isin(words, known)]
        endings, times_e = np.unique(rest, return_counts=True)
        endings, times_e = endings[times_e >= SUFFIX_TIMES], times_e[times_e >= SUFFIX_TIMES]
        own = np.zeros(1 << 18, np.uint32)
        keys, all_times = np.concatenate([known, endings]), np.concatenate([times, times_e])
        put_all(own, shift_of(own), _TOKEN_CHECK, keys, _log_units(all_times))
        singles.append((keys, all_times))
        classify_tokens(words, suffixes, count, own, shift_of(own), classes, np.zeros(count, np.int64))
        both = (classes[:-1] != 0) & (classes[1:] != 0)
        made = np.empty(int(both.sum()), np.uint64)
        hash_pairs(classes[:-1][both], classes[1:][both], made)
        pairs.append(np.unique(made, return_counts=True))
    found = []
    for some in (singles, pairs):
        keys, times = (np.concatenate(column) for column in zip(*some, strict=True))
        found.append((keys, times if some is not singles else np.maximum(times, 2), _log_units(times)))
    return _filled(found, _TOKEN_CHECK, TOKEN_BITS), totals
