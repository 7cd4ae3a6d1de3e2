"""What line rules find: spans with a reason, and counts of a document. Bytes that both readings ask for.

Spans are rows of ``found int64[capacity, 4]``: document, start, end, reason. Those beyond the capacity are counted and
not stored: call again with room. ``totals int64[N_TOTALS]`` belongs to one document.
"""

import numpy as np

from gristmill.corpus.text._kernels import ALPHA, NUMBER, SPACE, char_class, count_chars, decode
from gristmill.corpus.text._kernels_bytes import is_digit, is_letter
from gristmill.corpus.text._kernels_jit import kernel, leaf
from gristmill.filters.signals._kernels_lines import is_ascii_space

LINES, LINES_CUT, WORDS, WORDS_CUT, CHARS, CHARS_CUT, SENTENCES, LOREM, CURLY = range(9)
N_TOTALS = 9
STAYS = np.int64(-1)  # in place of a reason


@leaf
def _note(found, n, document, start, end, reason):
    """Append a span."""
    if n < found.shape[0]:
        found[n, 0], found[n, 1], found[n, 2], found[n, 3] = document, start, end, reason
    return n + 1


@leaf
def begins_word(data, at):
    """Whether the character at ``at`` is a letter or digit: what counts as a word in the share of words cut."""
    if data[at] < 0x80:
        return is_letter(data[at]) or is_digit(data[at])
    return char_class(decode(data, at)[0]) & (ALPHA | NUMBER) != 0


@kernel
def count_words(data, starts, first, last):
    """Of the words first to last - 1, those that begin with a letter or digit."""
    words = 0
    for t in range(first, last):
        words += begins_word(data, starts[t])
    return words


@kernel
def cut_line(data, document, start, end, starts, first, last, reason, found, n, totals):
    """A line goes, its line feed too; lines in a row that go for one reason are one span. Returns the spans so far."""
    totals[LINES_CUT] += first < last
    totals[WORDS_CUT] += count_words(data, starts, first, last)
    totals[CHARS_CUT] += count_chars(data, start, end)
    if 0 < n <= found.shape[0]:
        before = found[n - 1]
        if before[0] == document and before[2] == start and before[3] == reason:
            before[2] = end
            return n
    return _note(found, n, document, start, end, reason)


@kernel
def cut_piece(data, document, start, end, starts, first, last, reason, found, n, totals):
    """A piece of a line that stays, whose words are first to last - 1. Returns the spans so far."""
    if end <= start:
        return n
    for t in range(first, last):
        totals[WORDS_CUT] += start <= starts[t] < end and begins_word(data, starts[t])
    totals[CHARS_CUT] += count_chars(data, start, end)
    return _note(found, n, document, start, end, reason)


@kernel
def space_at(data, at, stop):
    """Bytes of the white-space character at ``at``, 0 when it is none."""
    if at >= stop:
        return 0
    if data[at] < 0x80:
        return 1 if is_ascii_space(data[at]) else 0
    point, n_bytes = decode(data, at)
    return n_bytes if char_class(point) & SPACE else 0


@kernel
def space_before(data, floor, at):
    """Bytes of the white-space character that ends before ``at``, 0 when none does."""
    begin = at - 1
    while begin > floor and data[begin] & 0xC0 == 0x80:
        begin -= 1
    return at - begin if begin >= floor and space_at(data, begin, at) else 0
