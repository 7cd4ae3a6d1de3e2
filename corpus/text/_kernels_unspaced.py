"""Words of Thai, Lao, Burmese and Khmer, which have no spaces between them: runs are cut into pieces by their content.

Shingles of near duplicates and passages of evaluation sets are made of these pieces. Without the cuts a paragraph is a
handful of words, and one changed letter changes most of its shingles. Han and kana are cut by ``words`` itself.
"""

from gristmill.corpus.text._kernels import K2, MARK, U64, ZERO, char_class, decode, hash_bytes, mum, words
from gristmill.corpus.text._kernels_jit import kernel, leaf

_SYLLABLES = U64(3)  # characters of a piece on average


@leaf
def _is_unspaced(data, at):
    """Whether the character at ``at`` is Thai, Lao, Burmese or Khmer: words of these have no spaces between them."""
    lead = data[at]
    if lead == 0xE0:
        return 0xB8 <= data[at + 1] <= 0xBB
    if lead == 0xE1:  # the second byte is read of these alone: a word of one byte may end the data
        return 0x80 <= data[at + 1] <= 0x82 or 0x9E <= data[at + 1] <= 0x9F
    return False


@kernel
def _cut_run(data, start, stop, starts, ends, n):
    """Cut a run of characters without spaces into pieces of about three, by two neighbouring characters at a time.

    Where a cut stands depends on these alone, so that a passage has the same pieces wherever it stands.
    """
    begin, before, at = start, ZERO, start
    while at < stop:
        cluster = at
        point, n_bytes = decode(data, at)
        at += n_bytes
        while at < stop:
            point, n_bytes = decode(data, at)
            if not char_class(point) & MARK:
                break
            at += n_bytes
        here = hash_bytes(data, cluster, at, True)
        if cluster > begin and mum(before ^ K2, here) % _SYLLABLES == ZERO:
            starts[n], ends[n] = begin, cluster
            n += 1
            begin = cluster
        before = here
    starts[n], ends[n] = begin, stop
    return n + 1


@kernel
def _cut_unspaced(data, starts, ends, n, starts2, ends2):
    """Words with those of scripts without spaces cut; returns their number."""
    out = 0
    for t in range(n):
        if _is_unspaced(data, starts[t]):
            out = _cut_run(data, starts[t], ends[t], starts2, ends2, out)
        else:
            starts2[out], ends2[out] = starts[t], ends[t]
            out += 1
    return out


@kernel
def cut_words(data, start, stop, scratch):
    """(number of words, whether they stand in starts2 and ends2) of scratch (starts, ends, starts2, ends2).

    Words are those of ``words``, with runs of scripts without spaces cut. Each of the four int64[word_capacity].
    """
    starts, ends, starts2, ends2 = scratch
    n = words(data, start, stop, starts, ends)
    for t in range(n):
        if _is_unspaced(data, starts[t]):
            return _cut_unspaced(data, starts, ends, n, starts2, ends2), True
    return n, False
