"""Repetition and order inside one text: stretches seen before, and what a character says of the next."""

import numpy as np

from gristmill.corpus.text._kernels_jit import kernel
from gristmill.filters.models._kernels_known import mix
from gristmill.filters.signals._kernels_entropy import UNIT, log2, sum_of

SPAN = 12  # symbols of a stretch
SLOTS = 1 << 15
BUCKETS = 32
_PRIME = np.uint64(0x100000001B3)
_POWER = np.uint64(pow(0x100000001B3, SPAN, 1 << 64))
_KEPT = np.uint64(3)  # one stretch in four is looked at, by its hash
_49 = np.uint64(49)


@kernel
def count_repeats(symbols, n, slots, generation):
    """(stretches looked at, of these seen before). slots uint64[SLOTS] hold hashes of this generation alone."""
    looked, seen, hashed = 0, 0, np.uint64(0)
    for at in range(n):
        hashed = hashed * _PRIME + np.uint64(symbols[at]) + np.uint64(1)
        if at >= SPAN:
            hashed -= _POWER * (np.uint64(symbols[at - SPAN]) + np.uint64(1))
        mixed = mix(hashed)
        if at < SPAN - 1 or mixed & _KEPT:
            continue
        looked += 1
        slot = mixed >> _49
        key = (mixed & ~np.uint64(0xFFFF)) | np.uint64(generation)
        while slots[slot] != key and (slots[slot] & np.uint64(0xFFFF)) == np.uint64(generation):
            slot = (slot + np.uint64(1)) & np.uint64(SLOTS - 1)
        seen += slots[slot] == key
        slots[slot] = key
    return looked, seen


@kernel
def mutual_bits(symbols, n, joint, ones):
    """Bits that a symbol, in one of BUCKETS, says of the next; the bias of short texts is taken off (Miller 1955)."""
    joint[:] = 0
    ones[:] = 0
    before = np.int64(mix(symbols[0]) & np.uint64(BUCKETS - 1))
    for at in range(1, n):
        bucket = np.int64(mix(symbols[at]) & np.uint64(BUCKETS - 1))
        joint[before * BUCKETS + bucket] += 1
        ones[before] += 1
        ones[BUCKETS + bucket] += 1
        before = bucket
    pairs = n - 1
    if pairs < 2:
        return 0.0
    total, cells, marginals = np.int64(0), 0, 0
    for k in range(joint.size):
        total += sum_of(joint[k])
        cells += joint[k] > 0
    for k in range(ones.size):
        total -= sum_of(ones[k])
        marginals += ones[k] > 0
    return total / UNIT / pairs + log2(pairs) - (cells - marginals + 1) / (2.0 * pairs * 0.6931471805599453)
