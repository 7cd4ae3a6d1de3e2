"""A text as symbols and their kinds, and what its layout alone says: counts that the entropy score weighs.

A document of up to WHOLE bytes is read whole, a longer one in STRETCHES stretches, evenly spread: what is judged is
bounded, and so is the scratch. White space is one symbol and so are digits; letters are in lower case.
"""

import numpy as np

from gristmill.corpus.text._kernels import ALPHA, CJK, MARK, NUMBER, PUNCT, SPACE, SYMBOL, UPPER, char_class, decode
from gristmill.corpus.text._kernels_jit import kernel, leaf

WHOLE, STRETCHES = 8192, 8
STRETCH = WHOLE // STRETCHES
BLANK, DIGIT = 32, 48
WORD = ALPHA | NUMBER | MARK
LINE = 1 << 15  # flag of a blank with a line feed in it
(
    CHARS, LETTERS, UPPERS, DIGITS, PUNCTS, SYMBOLS, CONTROLS, LINES, WORDS, LONG_CHARS, INSIDE, DIGIT_INSIDE, HUMPS, ENDS,
    END_CAPITALS, CAPITALS, LINE_ENDS, LONG_LINES, BRACKETS, BAD_BRACKETS, ASCENDING, SINGLES, UNSPACED, CASELESS, SQUARES,
) = range(25)  # fmt: skip
N_COUNTS = 25
_LOWERED = 0x2000
_FIRST_CASELESS = 0x590
_FIRST_EAST = 0x1100  # Hangul, Han and kana
LONG_WORD = 30
LONG_LINE = 40


def _lower() -> np.ndarray:
    """uint32[_LOWERED]: each code point in lower case, where that is one character.

    Cherokee and the Georgian capitals of titles stay: most Cherokee is written in capitals alone.
    """
    table = np.arange(_LOWERED, dtype=np.uint32)
    for first, last in ((0x41, 0x587), (0x10A0, 0x10FF), (0x1E00, 0x1FFF)):
        for point in range(first, last + 1):
            low = chr(point).lower()
            table[point] = ord(low) if len(low) == 1 else point
    return table


LOWER = _lower()


@leaf
def _is_unspaced(point):
    """Letters of scripts written without spaces, Han and kana apart: Thai, Lao, Tibetan, Burmese, Khmer."""
    return 0x0E00 <= point <= 0x0FFF or 0x1000 <= point <= 0x109F or 0x1780 <= point <= 0x17FF


@leaf
def _is_caseless(point):
    """A letter of a script without capitals; Georgian has them in titles alone."""
    return point >= _FIRST_CASELESS and not (
        0x1C90 <= point <= 0x1FFF or 0x2C00 <= point <= 0x2DFF or 0xA640 <= point <= 0xA7FF
    )


@leaf
def _is_format(point):
    """Joiners, marks of direction, soft hyphens: they show nothing."""
    return (
        0x200B <= point <= 0x200F or 0x202A <= point <= 0x202E or 0x2060 <= point <= 0x2064 or point in (0xFEFF, 0xAD)
    )


@leaf
def _is_end(point):
    """Ends a sentence in some script."""
    return point in (
        0x2E,
        0x21,
        0x3F,
        0x2026,
        0x3002,
        0xFF01,
        0xFF1F,
        0x964,
        0x965,
        0x61F,
        0x6D4,
        0x589,
        0x1362,
        0x104B,
        0x17D4,
    )


@leaf
def _bracket(point):
    """1 opens, -1 closes, 0 neither."""
    if point in (0x28, 0x5B, 0x7B, 0xAB, 0x201C, 0x300C, 0x300E, 0x3010, 0xFF08, 0x300A):
        return 1
    if point in (0x29, 0x5D, 0x7D, 0xBB, 0x201D, 0x300D, 0x300F, 0x3011, 0xFF09, 0x300B):
        return -1
    return 0


@kernel
def _read(data, at, stop, symbols, kinds, n):
    """Symbols of data[at:stop] and their flags, from n on; returns their end. A run of white space is one."""
    while at < stop:
        point, n_bytes = decode(data, at)
        at += n_bytes
        flags = char_class(point)
        if _is_format(point):
            continue
        if flags & SPACE:
            is_line = point == 10 or point == 0x2028
            if n > 0 and symbols[n - 1] == BLANK:
                kinds[n - 1] |= LINE * is_line
                continue
            symbols[n], kinds[n] = BLANK, SPACE | LINE * is_line
        elif DIGIT <= point <= DIGIT + 9:
            symbols[n], kinds[n] = DIGIT, NUMBER
        else:
            symbols[n] = LOWER[point] if point < _LOWERED else point
            kinds[n] = flags
        n += 1
    return n


@kernel
def read_document(data, start, stop, symbols, kinds):
    """Symbols and flags of a document, or of stretches of it; a blank stands in front. Returns their number."""
    symbols[0], kinds[0] = BLANK, SPACE | LINE
    if stop - start <= WHOLE:
        return _read(data, start, stop, symbols, kinds, 1)
    n, step = 1, (stop - start - STRETCH) // (STRETCHES - 1)
    for k in range(STRETCHES):
        at = start + k * step
        end = at + STRETCH - 8
        while at > start and data[at] & 0xC0 == 0x80:
            at += 1
        while end < stop and data[end] & 0xC0 == 0x80:
            end += 1
        if symbols[n - 1] != BLANK:
            symbols[n], kinds[n] = BLANK, SPACE
            n += 1
        n = _read(data, at, end, symbols, kinds, n)
    return n


@leaf
def _is_inside(symbols, kinds, at, n):
    """Between two letters, of scripts that put no signs there by custom."""
    if at + 1 >= n or not kinds[at - 1] & ALPHA or not kinds[at + 1] & ALPHA:
        return False
    return symbols[at - 1] < _FIRST_EAST and symbols[at + 1] < _FIRST_EAST


@kernel
def _count_character(symbols, kinds, at, n, counts):
    """What a character and its neighbours add."""
    flags, point = kinds[at], symbols[at]
    if flags & ALPHA:
        counts[LETTERS] += 1
        counts[UPPERS] += (flags & UPPER) != 0
        unspaced = (flags & CJK) != 0 or _is_unspaced(point)
        counts[UNSPACED] += unspaced
        counts[CASELESS] += not unspaced and _is_caseless(point)
        counts[HUMPS] += (flags & UPPER) != 0 and (kinds[at - 1] & (ALPHA | UPPER)) == ALPHA
        counts[DIGIT_INSIDE] += (kinds[at - 1] & NUMBER) != 0 and point < _FIRST_EAST
    elif flags & NUMBER:
        counts[DIGITS] += 1
        counts[DIGIT_INSIDE] += (kinds[at - 1] & ALPHA) != 0 and symbols[at - 1] < _FIRST_EAST
    elif flags & PUNCT:
        counts[PUNCTS] += 1
        counts[INSIDE] += _is_inside(symbols, kinds, at, n) and point not in (0x27, 0x2D, 0x2019)
    elif flags & SYMBOL:
        counts[SYMBOLS] += 1
        counts[INSIDE] += _is_inside(symbols, kinds, at, n)
    elif not flags & (SPACE | MARK):
        counts[CONTROLS] += 1


@leaf
def _is_smiley(symbols, at, n, turn, depth):
    """A bracket behind : ; = or such a sign and a nose is a face where it has nothing to close, or to open."""
    if (depth > 0) if turn < 0 else (at + 1 < n and symbols[at + 1] != BLANK):
        return False
    before = symbols[at - 1]
    return before in (0x3A, 0x3B, 0x3D) or (before == 0x2D and at > 1 and symbols[at - 2] in (0x3A, 0x3B, 0x3D))


@kernel
def _count_brackets(symbols, n, counts):
    """Brackets that close what is not open, or stay open over two lines or 300 characters; smileys are none."""
    depth, since = 0, 0
    for at in range(n):
        turn = _bracket(symbols[at])
        if turn == 0 or _is_smiley(symbols, at, n, turn, depth):
            continue
        counts[BRACKETS] += 1
        if turn > 0:
            if depth > 0 and at - since > 300:
                counts[BAD_BRACKETS] += depth
                depth = 0
            depth += 1
            since = at
        elif depth == 0:
            counts[BAD_BRACKETS] += 1
        else:
            depth -= 1
    counts[BAD_BRACKETS] += depth


@kernel
def count_layout(symbols, kinds, n, counts):
    """Counts int64[N_COUNTS] of symbols[1:n]."""
    counts[:] = 0
    counts[CHARS] = n - 1
    word, before, after_end, line_start = 0, np.int64(0), True, 1
    for at in range(1, n):
        _count_character(symbols, kinds, at, n, counts)
        if symbols[at] == BLANK or at == n - 1:
            last = at - 1 if symbols[at] == BLANK else at
            size = last - word
            if size > 0:
                counts[WORDS] += 1
                counts[SQUARES] += min(size, 40) * min(size, 40)
                counts[SINGLES] += size == 1
                counts[LONG_CHARS] += size if size > LONG_WORD else 0
                first = np.int64(symbols[word + 1])
                counts[ASCENDING] += first >= before
                before = first
                capital = (kinds[word + 1] & UPPER) != 0
                counts[CAPITALS] += capital
                if after_end:
                    counts[END_CAPITALS] += capital
                end = _is_end(symbols[last]) or (last > word + 1 and _is_end(symbols[last - 1]))
                counts[ENDS] += end
                after_end = end
                if kinds[at] & LINE and symbols[at] == BLANK:
                    counts[LINES] += 1
                    if at - line_start >= LONG_LINE:
                        counts[LONG_LINES] += 1
                        counts[LINE_ENDS] += end
                    line_start = at
            word = at
    _count_brackets(symbols, n, counts)
