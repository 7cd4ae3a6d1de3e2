"""Bytes that the scanners of ``pii`` ask for, and short words in padded tables."""

import numpy as np

from gristmill.corpus.text._kernels_jit import kernel, leaf

DASH, DOT, SLASH, COLON, AT, UNDERSCORE = 45, 46, 47, 58, 64, 95
SPACE, OPEN, CLOSE, PLUS = 32, 40, 41, 43


def padded(words):
    """Rows of bytes with their length in front."""
    table = np.zeros((len(words), 16), np.uint8)
    for row, word in enumerate(words):
        table[row, 0], table[row, 1 : len(word) + 1] = len(word), list(word)
    return table


@leaf
def is_digit(byte):
    """0 to 9."""
    return 48 <= byte <= 57


@leaf
def is_letter(byte):
    """ASCII letters."""
    return 97 <= (byte | 32) <= 122


@leaf
def is_word(byte):
    """ASCII letters, digits and _."""
    return is_letter(byte) or is_digit(byte) or byte == UNDERSCORE


@leaf
def is_token(byte):
    """ASCII letters, digits, - and _."""
    return is_word(byte) or byte == DASH


@leaf
def is_hex(byte):
    """Hexadecimal digits."""
    return is_digit(byte) or 97 <= (byte | 32) <= 102


@kernel
def stands(data, at, stop, table, row, fold):
    """Whether row ``row`` of a padded table stands at ``at``, before ``stop``."""
    length = np.int64(table[row, 0])
    if at + length > stop:
        return False
    for k in range(length):
        byte = data[at + k]
        if byte != table[row, 1 + k] and not (fold and is_letter(byte) and (byte | 32) == table[row, 1 + k]):
            return False
    return True


@leaf
def digits_end(data, at, stop):
    """End of the run of digits at ``at``."""
    while at < stop and is_digit(data[at]):
        at += 1
    return at


@leaf
def number(data, start, stop):
    """The digits of data[start:stop] as an integer; other bytes are passed over."""
    value = 0
    for at in range(start, stop):
        if is_digit(data[at]):
            value = value * 10 + np.int64(data[at]) - 48
    return value


@leaf
def begins(data, floor, at):
    """Whether a number may begin at ``at``: no word, sign or longer number in front of it."""
    if at == floor:
        return True
    before = data[at - 1]
    if is_word(before) or before in (PLUS, AT):
        return False
    joins = before in (DOT, DASH, SPACE, SLASH)
    return not (joins and at - 1 > floor and is_digit(data[at - 2]))


@leaf
def ends(data, at, stop):
    """Whether a number may end at ``at``: no word behind it, and no more digits behind a point, hyphen or slash."""
    if at == stop:
        return True
    joins = data[at] == DOT or data[at] == DASH or data[at] == SLASH
    return not is_word(data[at]) and not (joins and at + 1 < stop and is_digit(data[at + 1]))
