"""What a text costs under the shipped reference, which language its characters vote for, and how its tokens follow.

Two tables of uint32, slots a power of two. Characters: check CHECK bits, cost 8 bits in 1/16 bit, language 8 bits (0: no
vote). Tokens: check 20 bits, log2 of a count 12 bits in 1/64. 0 is an empty slot.
"""

import numpy as np

from gristmill.corpus.text._kernels import ALPHA, CJK, MARK, NUMBER, UPPER
from gristmill.corpus.text._kernels_jit import kernel, leaf
from gristmill.filters.models._kernels_marks import BLANK, LINE

ORDER = 5
COST_UNITS, LOG_UNITS = 16, 64
BLOCK = 256
BACKOFF = 24  # cost of each length that is not known: 1.5 bits
UNSEEN = 255
PROBES = 4  # a key that finds no slot among so many is left out: a search ends soon where there is nothing
LANGUAGES = 256
WORD = ALPHA | NUMBER | MARK
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_ONE, _27, _31, _32, _40 = (np.uint64(n) for n in (1, 27, 31, 32, 40))
(
    BITS, RARE, KNOWN, FIRST_BITS, FIRSTS, VOTES, AGREE, TOP, SECOND, LANGUAGE, PAIRS, PAIR_GAIN, NEGATIVE, FREQUENT, TOKENS,
) = range(15)  # fmt: skip
N_FOUND = 15


@leaf
def mix(value):
    """splitmix64's finish."""
    mixed = (np.uint64(value) ^ _STEP) * _MIX_1
    mixed = (mixed ^ (mixed >> _27)) * _MIX_2
    return mixed ^ (mixed >> _31)


@leaf
def longer(before, symbol_hash):
    """Hash of an n-gram from that of all but its last symbol."""
    return (before + _ONE) * _STEP + symbol_hash


@leaf
def seek(table, shift, check_bits, key):
    """The entry of a key, 0 where there is none: it lies in one of PROBES slots."""
    slot = key >> shift
    check = (key & np.uint64((1 << check_bits) - 1)) | np.uint64(1) << np.uint64(check_bits - 1)
    for _ in range(PROBES):
        entry = table[slot]
        if entry == 0 or np.uint64(entry >> np.uint32(32 - check_bits)) == check:
            return entry
        slot = (slot + _ONE) & np.uint64(table.size - 1)
    return np.uint32(0)


@kernel
def put_all(table, shift, check_bits, keys, values):
    """Put entries into a table, the first ones first; returns how many found no slot. Two keys may look the same."""
    lost = 0
    for k in range(keys.size):
        key = keys[k]
        slot = key >> shift
        check = (key & np.uint64((1 << check_bits) - 1)) | np.uint64(1) << np.uint64(check_bits - 1)
        probe = 0
        while probe < PROBES and table[slot] != 0:
            slot = (slot + _ONE) & np.uint64(table.size - 1)
            probe += 1
        if probe < PROBES:
            table[slot] = np.uint32(check << np.uint64(32 - check_bits)) | values[k]
        else:
            lost += 1
    return lost


@kernel
def hash_ngrams(symbols, n, order, out):
    """out[k, i] = hash of the k + 1 symbols that end at i; those that begin before the text are left as they are."""
    for at in range(n):
        mixed = mix(symbols[at])
        for k in range(order):
            if k == 0:
                out[0, at] = longer(np.uint64(0), mixed)
            elif at >= k:
                out[k, at] = longer(out[k - 1, at - 1], mixed)


@leaf
def _resolve(table, shift, key, entry):
    """The entry of a key, where ``entry`` stands in its first slot."""
    check = (key & np.uint64(0xFFFF)) | np.uint64(0x8000)
    if entry == 0 or np.uint64(entry >> np.uint32(16)) == check:
        return entry
    slot = key >> shift
    for _ in range(PROBES - 1):
        slot = (slot + _ONE) & np.uint64(table.size - 1)
        entry = table[slot]
        if entry == 0 or np.uint64(entry >> np.uint32(16)) == check:
            return entry
    return np.uint32(0)


@kernel
def _look_up_block(symbols, first, stop, table, shift, hashes, entries):
    """hashes[k, at - first + 1], entries[k, ...]: of the k + 1 symbols that end at ``at``, the entry in the first slot.

    Column 0 holds the hashes of the symbol before. Nothing waits but for memory, and for several places at once.
    """
    size = stop - first
    for at in range(size):
        hashes[0, at + 1] = mix(symbols[first + at])
    for at in range(1, size + 1):
        mixed = hashes[0, at]
        hashes[4, at] = longer(hashes[3, at - 1], mixed)
        hashes[3, at] = longer(hashes[2, at - 1], mixed)
        hashes[2, at] = longer(hashes[1, at - 1], mixed)
        hashes[1, at] = longer(hashes[0, at - 1], mixed)
        hashes[0, at] = longer(np.uint64(0), mixed)
    for k in range(2, ORDER):
        for at in range(1, size + 1):
            entries[k, at] = table[hashes[k, at] >> shift]


@kernel
def charge_characters(symbols, kinds, n, table, shift, hashes, entries, found, votes):
    """Fill found int64[N_FOUND] up to LANGUAGE.

    Scratch: votes int64[LANGUAGES], hashes uint64[ORDER, BLOCK + 1], entries uint32[the same].
    """
    found[:] = 0
    votes[:] = 0
    hashes[:] = 0
    before = 0
    for first in range(0, n, BLOCK):
        stop = min(first + BLOCK, n)
        if first > 0:
            for k in range(ORDER):
                hashes[k, 0] = hashes[k, BLOCK]
        _look_up_block(symbols, first, stop, table, shift, hashes, entries)
        for at in range(max(first, 1), stop):
            place = at - first + 1
            length, entry = ORDER, np.uint32(0)
            while length > 0:
                if at >= length - 1:
                    key = hashes[length - 1, place]
                    entry = _resolve(
                        table, shift, key, entries[length - 1, place] if length > 2 else table[key >> shift]
                    )
                    if entry != 0:
                        break
                length -= 1
            cost = np.int64(entry >> np.uint32(8)) & 255 if entry != 0 else UNSEEN
            cost += BACKOFF * (ORDER - max(length, 1))
            found[BITS] += cost
            is_letter = (kinds[at] & (ALPHA | MARK)) != 0
            starts = symbols[at - 1] == BLANK
            if is_letter:
                found[FIRSTS] += starts
                found[FIRST_BITS] += cost if starts else 0
                found[RARE] += (length <= 2) and not starts
                found[KNOWN] += length >= 4
            language = np.int64(entry) & 255
            if length >= 3 and language != 0:
                votes[language] += 1
                found[VOTES] += 1
                found[AGREE] += language == before
                before = language
    for language in range(LANGUAGES):
        if votes[language] > found[TOP]:
            found[SECOND] = found[TOP]
            found[TOP], found[LANGUAGE] = votes[language], language
        elif votes[language] > found[SECOND]:
            found[SECOND] = votes[language]


@kernel
def list_tokens(symbols, kinds, n, language, words, suffixes):
    """Keys of tokens, uint64 each: runs of letters, digits and marks, Han and kana one by one, other signs, line ends.

    words: of the whole token; suffixes: of its last two symbols, its length up to 6 and whether it has a capital. Returns their number.
    """
    salt = mix(1000 + language)
    count, at = 0, 1
    while at < n:
        start = at
        if symbols[at] == BLANK:
            at += 1
            if kinds[start] & LINE:
                words[count] = mix(salt ^ np.uint64(10))
                suffixes[count] = words[count]
                count += 1
            continue
        hashed = longer(np.uint64(0), mix(symbols[at]))
        at += 1
        if kinds[start] & WORD and not kinds[start] & CJK:
            while at < n and kinds[at] & WORD and not kinds[at] & CJK:
                hashed = longer(hashed, mix(symbols[at]))
                at += 1
        words[count] = mix(hashed ^ salt)
        capital = np.uint64((kinds[start] & UPPER) != 0)
        tail = np.uint64(symbols[at - 1]) << np.uint64(32) | np.uint64(symbols[at - 2] if at - 2 >= start else 0)
        suffixes[count] = mix(mix(tail) ^ salt ^ (capital << _40) ^ np.uint64(7))
        count += 1
    return count


@leaf
def pair_key(one, other):
    """Key of two classes in this order."""
    return mix(one * _STEP + other)


@kernel
def classify_tokens(words, suffixes, count, table, shift, classes, logs):
    """The class of each token: the word where it is known, its ending where that is, else 0; logs: of its count, int64. Returns how many words are known."""
    known = 0
    for at in range(count):
        entry = seek(table, shift, 20, words[at])
        classes[at] = words[at]
        if entry == 0:
            entry = seek(table, shift, 20, suffixes[at])
            classes[at] = suffixes[at] if entry != 0 else np.uint64(0)
        else:
            known += 1
        logs[at] = np.int64(entry) & 4095
    return known


@kernel
def charge_pairs(classes, logs, count, total, table, shift, gains, found):
    """Add up how much oftener neighbours follow each other than by chance, in 1/64 bit.

    total: log2 of the tokens of the language; gains[l + 2048]: log2(1 + 2^(l / 64)) for l from -2048 to 4095.
    """
    for at in range(1, count):
        one, other = classes[at - 1], classes[at]
        if one == 0 or other == 0:
            continue
        expected = max(logs[at - 1] + logs[at] - total, -2048)
        entry = seek(table, shift, 20, pair_key(one, other))
        gain = (gains[(np.int64(entry) & 4095) + 2048] if entry != 0 else 0) - gains[expected + 2048]
        found[PAIRS] += 1
        found[PAIR_GAIN] += gain
        found[NEGATIVE] += gain < -LOG_UNITS
    found[TOKENS] = count


@kernel
def hash_pairs(first, second, out):
    """Keys of pairs of classes."""
    for at in range(first.size):
        out[at] = pair_key(first[at], second[at])
