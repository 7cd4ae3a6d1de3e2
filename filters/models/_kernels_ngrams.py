"""Character n-grams: a text as symbols, their hashes, and what a fitted model charges for each symbol.

The model's table is uint64[slots], slots a power of two, at most half of them used: low 32 bits of an n-gram's hash,
its bits and its backoff as a context 16 bits each, both in units of 1/1024 bit; 0 is an empty slot. Charges are summed
as integers, so that no order and no processor changes a digit.

A symbol's charge is that of the longest known n-gram that ends in it, and the backoffs of all longer contexts. Every
length is looked up, block by block: the look-ups wait for nothing but memory, and for several at once. Asking from the
longest down needs half as many, and was no faster (17 MB a CPU second either way, measured).
"""

import numpy as np

from gristmill.corpus.text._kernels import decode
from gristmill.corpus.text._kernels_jit import kernel, leaf
from gristmill.filters.signals._kernels_entropy import log2

UNITS = 1024  # a bit
SPACE, DIGIT = 32, 48
MAX_ORDER = 8
BLOCK = 256  # symbols: hashes and entries of all lengths stay in the first two caches
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # splitmix64
_ONE, _16, _27, _31, _32 = (np.uint64(n) for n in (1, 16, 27, 31, 32))
_LOW16, _LOW32 = np.uint64(0xFFFF), np.uint64(0xFFFFFFFF)


@leaf
def _symbol(point):
    """White space and control characters are one symbol, digits another, any other character is its own."""
    if point <= SPACE or 0x7F <= point <= 0xA0 or 0x2000 <= point <= 0x200B or point in (0x2028, 0x2029, 0x3000):
        return SPACE
    return DIGIT if DIGIT <= point <= DIGIT + 9 else point


@kernel
def _list_symbols(data, start, stop, symbols, first):
    """Symbols of one text, behind a space, from ``first`` on; runs of white space are one. Returns their end."""
    symbols[first] = SPACE
    n, at, before = first + 1, start, SPACE
    while at < stop:
        point, n_bytes = int(data[at]), 1
        if point >= 0x80:
            point, n_bytes = decode(data, at)
        symbol = _symbol(point)
        symbols[n] = symbol
        n += symbol != SPACE or before != SPACE
        before = symbol
        at += n_bytes
    return n - 1 if n > first + 1 and before == SPACE else n


@kernel
def list_symbols(offsets, data, symbols, places):
    """Symbols of all texts one behind the other, and their places in their texts, int32; returns their number."""
    total = 0
    for doc in range(offsets.size - 1):
        end = _list_symbols(data, offsets[doc], offsets[doc + 1], symbols, total)
        for at in range(total, end):
            places[at] = at - total
        total = end
    return total


@leaf
def _mix(symbol):
    """A symbol's own hash: without it n-grams of neighbouring code points would collide in the low bits."""
    mixed = (np.uint64(symbol) ^ _STEP) * _MIX_1
    mixed = (mixed ^ (mixed >> _27)) * _MIX_2
    return mixed ^ (mixed >> _31)


@leaf
def _hash(before, symbol):
    """Of an n-gram, from the hash of all but its last symbol (0 of none) and that symbol's."""
    return (before + _ONE) * _STEP + symbol


@kernel
def lengthen(symbols, before, hashes):
    """hashes[i] = hash of the n-gram that ends at symbol i, from those of the n-grams one shorter."""
    context = np.uint64(0)
    for at in range(symbols.size):
        hashes[at] = _hash(context, _mix(symbols[at]))
        context = before[at]


@kernel
def charges(odds, out):
    """out[k] = log2 of odds[k] >= 1 in units: what a choice of probability 1 / odds costs."""
    for k in range(odds.size):
        out[k] = np.uint16(min(np.rint(log2(odds[k]) * UNITS), 65535.0))


@kernel
def fill_table(keys, bits, backoffs, shift, table):
    """Put every n-gram into the table of zeros; a key's slot is what ``shift`` leaves of it."""
    for k in range(keys.size):
        slot = keys[k] >> shift
        while table[slot] != 0:
            slot = (slot + _ONE) & np.uint64(table.size - 1)
        table[slot] = (keys[k] & _LOW32) << _32 | np.uint64(bits[k]) << _16 | np.uint64(backoffs[k])


@leaf
def _probe(table, shift, key, entry):
    """The n-gram's entry, 0 when the model has none; ``entry`` stands in the slot of its key."""
    slot = key >> shift
    while (entry != 0) & ((entry >> _32) != (key & _LOW32)):
        slot = (slot + _ONE) & np.uint64(table.size - 1)
        entry = table[slot]
    return entry


@kernel
def _look_up_block(symbols, table, shift, mixed, hashes, entries):
    """Entries of the n-grams of each length that end at each symbol -> columns 1 to n; column 0 is the symbol before."""
    n = symbols.size
    for at in range(n):
        mixed[at] = _mix(symbols[at])
    for k in range(1, hashes.shape[0]):
        row, found, shorter = hashes[k], entries[k], hashes[k - 1]
        for at in range(n):
            row[at + 1] = _hash(shorter[at], mixed[at])
        for at in range(1, n + 1):
            found[at] = table[row[at] >> shift]
        for at in range(1, n + 1):
            found[at] = _probe(table, shift, row[at], found[at])


@kernel
def _sum_block(n, entries, sums, known):
    """known[at]: length of the longest n-gram in column at; sums[k, at]: backoffs of contexts up to length k there."""
    known[: n + 1] = 0
    for k in range(1, entries.shape[0]):
        found, below, row = entries[k], sums[k - 1], sums[k]
        for at in range(n + 1):
            known[at] += found[at] != 0
            row[at] = below[at] + np.int64(found[at] & _LOW16)


@leaf
def _bits(entry):
    """Units that the n-gram of an entry costs."""
    return np.int64(entry >> _16 & _LOW16)


@kernel
def _charge_block(symbols, begin, inside, entries, sums, known, units):
    """Add up a block from symbol ``begin`` on: units, units of words alone, words; returns the length of the last word.

    ``inside`` counts the symbols from the last space up to the one before; a word alone is charged within that.
    """
    order = entries.shape[0] - 1
    for at in range(begin, symbols.size):
        longest = known[at + 1]
        alone, most = min(longest, inside + 1), min(inside, order)
        units[0] += _bits(entries[longest, at + 1]) + sums[order, at] - sums[max(longest - 1, 0), at]
        units[1] += _bits(entries[alone, at + 1]) + sums[most, at] - sums[max(alone - 1, 0), at]
        units[2] += symbols[at] != SPACE and inside == 1
        inside = 1 if symbols[at] == SPACE else inside + 1
    return inside


@kernel
def _charge_text(symbols, table, shift, mixed, hashes, entries, sums, known, units):
    """One text -> units int64[3]: in all, of each word alone, and the number of its words."""
    units[:] = 0
    inside = 1
    for first in range(0, symbols.size, BLOCK):
        block = symbols[first : first + BLOCK]
        _look_up_block(block, table, shift, mixed, hashes, entries)
        if first == 0:  # before the text begins there is no n-gram
            for k in range(1, entries.shape[0]):
                entries[k, :k] = 0
        _sum_block(block.size, entries, sums, known)
        inside = _charge_block(block, 1 if first == 0 else 0, inside, entries, sums, known, units)
        for k in range(1, entries.shape[0]):
            hashes[k, 0], entries[k, 0] = hashes[k, block.size], entries[k, block.size]


@kernel
def score(offsets, data, table, shift, unseen, symbols, mixed, hashes, entries, sums, known, units, out):
    """Texts -> out double[n_docs, 2]: bits per symbol; bits per word that the words before it save, 0 below two words.

    Scratch: symbols uint32[bytes of the longest document + 1], mixed uint64[BLOCK], units int64[3], and with a column
    for the symbol before: hashes and entries uint64[order + 1, BLOCK + 1], sums int64[the same], known
    int64[BLOCK + 1]; all zeros.
    """
    entries[0] = np.uint64(unseen) << _16
    for doc in range(offsets.size - 1):
        n = _list_symbols(data, offsets[doc], offsets[doc + 1], symbols, 0)
        _charge_text(symbols[:n], table, shift, mixed, hashes, entries, sums, known, units)
        out[doc, 0] = units[0] / (n - 1) / UNITS if n > 1 else 0.0
        out[doc, 1] = (units[1] - units[0]) / (units[2] - 1) / UNITS if units[2] > 1 else 0.0
