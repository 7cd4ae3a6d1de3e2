"""RefinedWeb's line rules as DCLM-Baseline has them, in its order: a line goes, or loses a phrase. See ``line_edits``."""

# ruff: noqa: SIM110 - a generator would allocate

import numpy as np

from gristmill.corpus.text._kernels import (
    ALPHA,
    NUMBER,
    ONE,
    U64,
    UPPER,
    ZERO,
    below,
    char_class,
    chars_in,
    ctz,
    decode,
    letter_mask,
    load_upto8,
    lower8,
    popc,
)
from gristmill.corpus.text._kernels_bytes import UNDERSCORE, is_digit, is_word, padded, stands
from gristmill.corpus.text._kernels_jit import kernel, leaf
from gristmill.filters.line_edits._kernels_c4 import N_REASONS
from gristmill.filters.line_edits._kernels_found import (
    LINES,
    SENTENCES,
    STAYS,
    cut_line,
    cut_piece,
    space_at,
    space_before,
)
from gristmill.filters.signals._kernels_lines import count_sentences

UPPERCASE, NUMERIC, COUNTER, SHORT, ITEMS_IN_CART, READ_MORE, SIGN_IN = map(np.int64, range(N_REASONS, N_REASONS + 7))
MIN_WORDS = 2
PHRASE_WORDS = 10  # longer lines keep the phrases
_TOP_BITS = U64(0x8080808080808080)
_PHRASES = padded((b"items in cart", b"read more", b"sign-in"))
_CART, _MORE, _SIGN = range(3)
_ANY = 3  # "Read more..." is a pattern in DCLM: its dots stand for any three characters
_COUNTED = padded(
    (b"likes", b"shares", b"comments", b"retweets", b"reposts", b"quotes", b"bookmarks", b"upvotes", b"downvotes",
     b"downloads", b"views", b"followers")
)  # fmt: skip
# capitals of no letter category: Roman numerals, letters in circles and squares
_OTHER_UPPER = np.array(
    [(0x2160, 0x216F), (0x24B6, 0x24CF), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189)]
)


@kernel
def _is_upper(point):
    """str.isupper of one character beyond ASCII."""
    if char_class(point) & UPPER:
        return True
    for row in range(_OTHER_UPPER.shape[0]):
        if _OTHER_UPPER[row, 0] <= point <= _OTHER_UPPER[row, 1]:
            return True
    return False


@kernel
def _wide_capitals(data, start, stop):
    """Capitals beyond ASCII; lead bytes E3 to E9, half of all scripts without case, are passed over."""
    capitals, at = 0, start
    while at < stop:
        if data[at] < 0xC0 or 0xE3 <= data[at] <= 0xE9:
            at += 1
        else:
            point, n_bytes = decode(data, at)
            capitals += _is_upper(point)
            at += n_bytes
    return capitals


@kernel
def _is_shouted(data, start, stop):
    """More than half of the characters are capitals."""
    capitals, chars, high = 0, stop - start, 0
    for at in range(start, stop, 8):
        word = load_upto8(data, at, stop - at)
        capitals += popc(lower8(word) ^ word)
        chars -= 8 - chars_in(word)
        high += popc(word & _TOP_BITS)
    wide = high - (stop - start - chars)  # characters beyond ASCII
    if 2 * (capitals + wide) <= chars:
        return False
    return 2 * (capitals + (_wide_capitals(data, start, stop) if wide else 0)) > chars


@leaf
def _is_numeric(data, start, stop):
    """ASCII digits alone; a line of other digits is one word, and goes as that."""
    while start < stop and is_digit(data[start]):
        start += 1
    return start == stop


@kernel
def _skip_marks(data, at, stop):
    r"""Place behind what no word holds: \W* of a regular expression."""
    while at < stop:
        if data[at] < 0x80:
            if is_word(data[at]) or data[at] == UNDERSCORE:
                break
            at += 1
        else:
            point, n_bytes = decode(data, at)
            if char_class(point) & (ALPHA | NUMBER):
                break
            at += n_bytes
    return at


@leaf
def _is_scale(byte):
    """k, m or b in either case."""
    return byte | 32 == 107 or byte | 32 == 109 or byte | 32 == 98


@kernel
def _is_counter(data, at, stop):
    """3 likes, 1.2K views: a number and what it counts, nothing else but marks."""
    at = _skip_marks(data, at, stop)
    if at >= stop or not is_digit(data[at]):
        return False
    while at < stop and (is_digit(data[at]) or data[at] == 44 or data[at] == 46):
        at += 1
    if at < stop and _is_scale(data[at]):
        at += 1
    spaces = space_at(data, at, stop)
    if spaces == 0:
        return False
    while spaces:
        at += spaces
        spaces = space_at(data, at, stop)
    for row in range(_COUNTED.shape[0]):
        if stands(data, at, stop, _COUNTED, row, True):
            return _skip_marks(data, at + np.int64(_COUNTED[row, 0]), stop) == stop
    return False


@kernel
def _find_cart(data, at, stop):
    """Place of "items in cart" in either case, -1 when there is none; the pair ms finds it."""
    for block in range(at, stop, 63):
        pairs = letter_mask(data, block, 109) & letter_mask(data, block, 115) >> ONE & below(min(stop - block, 63))
        while pairs != ZERO:
            begin = block + ctz(pairs) - 3
            if begin >= at and stands(data, begin, stop, _PHRASES, _CART, True):
                return begin
            pairs &= pairs - ONE
    return -1


@kernel
def _find_more(data, start, stop):
    """Place of "read more" and any three characters at the end, -1 when it is not there."""
    at = stop
    for _ in range(_ANY):
        at -= 1
        while at > start and data[at] & 0xC0 == 0x80:
            at -= 1
    at -= 9
    return at if at >= start and stands(data, at, stop, _PHRASES, _MORE, True) else -1


@kernel
def _has_phrase(data, start, stop):
    """Whether one of the three phrases may have to go."""
    sign = stands(data, start, stop, _PHRASES, _SIGN, True)
    return sign or _find_more(data, start, stop) >= 0 or _find_cart(data, start, stop) >= 0


@kernel
def _remove(s, start, end, length, reason):
    """Take text[start:end] out of the copy of a line and mark its bytes with the reason. Returns the bytes left."""
    for k in range(start, end):
        s.marks[s.places[k]] = reason
    for k in range(end, length):
        s.text[k - end + start], s.places[k - end + start] = s.text[k], s.places[k]
    return length - end + start


@kernel
def _is_blank(text, length):
    """White space alone, or nothing."""
    at, spaces = 0, 1
    while at < length and spaces:
        spaces = space_at(text, at, length)
        at += spaces
    return at >= length


@kernel
def _cut_phrases(data, line, stop, s):
    """Phrase after phrase out of a copy of the line, each with a blank. Returns (bytes left, why the line goes or STAYS)."""
    length, at = stop - line, 0
    for k in range(length):
        s.text[k], s.places[k], s.marks[k] = data[line + k], k, STAYS
    begin = _find_cart(s.text, 0, length)
    while begin >= 0:
        at = begin - space_before(s.text, at, begin)
        length = _remove(s, at, begin + 13, length, ITEMS_IN_CART)
        begin = _find_cart(s.text, at, length)
    if _is_blank(s.text, length):
        return length, ITEMS_IN_CART
    begin = _find_more(s.text, 0, length)
    if begin >= 0:
        length = _remove(s, begin - space_before(s.text, 0, begin), length, length, READ_MORE)
        if _is_blank(s.text, length):
            return length, READ_MORE
    if stands(s.text, 0, length, _PHRASES, _SIGN, True):
        length = _remove(s, 0, 7 + space_at(s.text, 7, length), length, SIGN_IN)
        if _is_blank(s.text, length):
            return length, SIGN_IN
    return length, STAYS


@leaf
def _why_whole(data, line, line_stop, words):
    """Why the line goes as a whole, or STAYS."""
    if _is_shouted(data, line, line_stop):
        return UPPERCASE
    if _is_numeric(data, line, line_stop):
        return NUMERIC
    if _is_counter(data, line, line_stop):
        return COUNTER
    return SHORT if words < MIN_WORDS else STAYS


@kernel
def _cut_marked(data, document, line, line_stop, first, last, s, found, n, totals):
    """The marked bytes of a line that stays. Returns the spans so far."""
    start = line
    while start < line_stop:
        end, reason = start + 1, np.int64(s.marks[start - line])
        while end < line_stop and s.marks[end - line] == reason:
            end += 1
        if reason != STAYS:
            n = cut_piece(data, document, start, end, s.starts, first, last, reason, found, n, totals)
        start = end
    return n


@kernel
def _sentences(data, start, stop):
    """Sentences of a stripped line."""
    return count_sentences(data, start, stop)


@kernel
def _edited_sentences(text, length):
    """Sentences of the copy of a line that is left."""
    start, spaces = 0, 1
    while spaces:
        spaces = space_at(text, start, length)
        start += spaces
    spaces = 1
    while spaces:
        spaces = space_before(text, start, length)
        length -= spaces
    return _sentences(text, start, length)


@kernel
def dclm_line(data, document, line, line_stop, stop, first, last, s, found, n, totals):
    """One line, whose words are first to last - 1. Returns the spans so far. An empty line stays."""
    if line == line_stop:
        return n
    totals[LINES] += first < last
    reason, length = _why_whole(data, line, line_stop, last - first), -1
    if reason == STAYS and last - first <= PHRASE_WORDS and _has_phrase(data, line, line_stop):
        length, reason = _cut_phrases(data, line, line_stop, s)
    if reason != STAYS:
        behind = min(line_stop + 1, stop)
        return cut_line(data, document, line, behind, s.starts, first, last, reason, found, n, totals)
    if length >= 0:
        totals[SENTENCES] += _edited_sentences(s.text, length)
        return _cut_marked(data, document, line, line_stop, first, last, s, found, n, totals)
    totals[SENTENCES] += _sentences(data, s.starts[first], s.ends[last - 1])
    return n
