"""The merging kernel against byte-pair encoding as it is defined, over made-up merges."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.text.columns import PAD_BYTES
from gristmill.tokenizer import _kernels_bpe
from gristmill.tokenizer._kernels_bpe import FREE, MAX_WORD_BYTES, NO_RANK

ALPHABET = b"abc"


@st.composite
def merge_lists(draw):
    """Merges over a, b, c as pairs of byte strings: each builds on tokens that exist by then."""
    tokens, merges = [bytes([byte]) for byte in ALPHABET], []
    for _ in range(draw(st.integers(0, 12))):
        pair = draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens))
        if pair not in merges:
            merges.append(pair)
            tokens.append(pair[0] + pair[1])
    return merges


def ids_of(merges):
    """An id for every byte and every distinct merged string."""
    strings = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]
    return {string: number for number, string in enumerate(dict.fromkeys(strings))}


def naive_bpe(word, merges):
    """Merge the leftmost pair of the lowest rank until no pair is in the list."""
    parts = [bytes([byte]) for byte in word]
    while True:
        pairs = list(pairwise(parts))
        ranked = [(merges.index(pair), at) for at, pair in enumerate(pairs) if pair in merges]
        if not ranked:
            return parts
        _, at = min(ranked)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


def tables(merges):
    ids = ids_of(merges)
    pairs, likely = np.full(64, FREE), np.zeros(4, np.uint64)
    numbers = np.array([(ids[left], ids[right]) for left, right in merges], np.int64).reshape(-1, 2)
    _kernels_bpe.fill_pairs(numbers, pairs, likely)
    byte_keys = np.empty(1 << 16, np.uint32)
    _kernels_bpe.fill_bytes(np.arange(256), pairs, likely, byte_keys)
    merged = np.array([ids[left + right] for left, right in merges], np.uint32)
    return np.arange(256), byte_keys, pairs, likely, merged


def scratch():
    return np.empty(MAX_WORD_BYTES, np.int64), *(np.empty(MAX_WORD_BYTES + 8, kind) for kind in ("u4", "i4", "i4"))


@given(merge_lists(), st.lists(st.sampled_from(ALPHABET), min_size=1, max_size=40))
def test_merging_equals_the_definition(merges, letters):
    word, ids = bytes(letters), ids_of(merges)
    data = np.frombuffer(word + bytes(PAD_BYTES), np.uint8).copy()
    symbols, *others = scratch()
    count = _kernels_bpe.merge(data, 0, len(word), *tables(merges), symbols, *others)
    assert symbols[:count].tolist() == [ids[part] for part in naive_bpe(word, merges)]


@given(merge_lists())
def test_every_pair_is_found_with_its_rank_and_no_other(merges):
    ids, (_, _, pairs, likely, _) = ids_of(merges), tables(merges)
    for left in ids:
        for right in {b"a", b"b", *list(ids)[256:]}:
            expected = merges.index((left, right)) if (left, right) in merges else NO_RANK
            assert _kernels_bpe._rank(ids[left], ids[right], pairs, likely) == expected


def test_a_full_run_of_probes_wraps_around():
    pairs, likely = np.full(4, FREE), np.zeros(1, np.uint64)
    _kernels_bpe.fill_pairs(np.array([[1, 2], [3, 4], [5, 6]], np.int64), pairs, likely)
    likely[:] = ~likely[0] | likely[0]  # every pair is likely: probing alone decides
    assert [_kernels_bpe._rank(left, left + 1, pairs, likely) for left in (1, 3, 5)] == [0, 1, 2]
    assert _kernels_bpe._rank(2, 1, pairs, likely) == NO_RANK


@pytest.mark.parametrize("n_bytes", [*range(1, 16)])
def test_word_keys_tell_length_and_bytes(n_bytes):
    data = np.zeros(16 + PAD_BYTES, np.uint8)
    keys = {_kernels_bpe._word_key(data, 0, stop) for stop in range(1, 16)}
    assert len(keys) == 15  # NUL bytes only: lengths differ
    before = _kernels_bpe._word_key(data, 0, n_bytes)
    data[n_bytes:] = 255  # what stands behind a word does not matter
    assert _kernels_bpe._word_key(data, 0, n_bytes) == before
    data[n_bytes - 1] = 1
    assert _kernels_bpe._word_key(data, 0, n_bytes) != before


def test_longer_words_have_no_key():
    assert _kernels_bpe._word_key(np.zeros(16 + PAD_BYTES, np.uint8), 0, 16) == (0, 0)
