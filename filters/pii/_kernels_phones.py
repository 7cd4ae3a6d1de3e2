"""Telephone numbers: groups of digits, and what makes them one. See ``pii`` for the rules."""

import numpy as np

from gristmill.corpus.text._kernels_bytes import (
    CLOSE,
    DASH,
    DOT,
    OPEN,
    PLUS,
    SPACE,
    begins,
    digits_end,
    ends,
    is_digit,
    is_word,
    number,
    padded,
    stands,
)
from gristmill.corpus.text._kernels_jit import kernel, leaf
from gristmill.filters.pii._kernels_labels import is_announced

_MAX_GROUPS = 5
_PHONE_MIN, _PHONE_MAX = 7, 15  # digits of a number that a label announces; E.164 ends at 15
_INTERNATIONAL_MIN = 8
_SOCIAL_SECURITY = 3 | 2 << 6 | 4 << 12  # sizes of the groups of 012-34-5678: no telephone

# Country codes of E.164 by the first three digits of a number.
_CODES = np.zeros(1000, np.bool_)
_COUNTRY_CODES = (
    "1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 "
    "86 90 91 92 93 94 95 98 211 212 213 216 218 22 23 24 25 26 290 291 297 298 299 35 37 38 42 50 59 67 68 690 691 "
    "692 80 85 87 88 96 97 99"
)
for _code in _COUNTRY_CODES.split():
    _width = 10 ** (3 - len(_code))
    _CODES[int(_code) * _width : (int(_code) + 1) * _width] = True

_NAMES = padded((b"office", b"fax", b"mobile", b"cell", b"home", b"phone", b"tel"))
_UNITS = padded(  # behind a count, which no telephone number has
    (b"bytes", b"byte", b"bits", b"kb", b"mb", b"gb", b"ms", b"seconds", b"people", b"persons", b"users", b"times", b"items",
     b"words", b"tokens", b"lines", b"rows", b"documents", b"records", b"dollars", b"euros", b"miles", b"km", b"years")
)  # fmt: skip
_ISBN_DIGITS = 13
_EXTENSION = padded((b" ext",))


# The same by their own length: 49 and 351, not 4 or 35.
_TENS = " 22 23 24 25 26 35 37 38 42 50 59 67 68 80 85 87 88 96 97 99 "  # of ten codes of three digits each
_WHOLE_CODES = np.zeros(1000, np.bool_)
for _code in _COUNTRY_CODES.split():
    _tens = f" {_code} " in _TENS
    for _whole in range(int(_code) * 10, int(_code) * 10 + 10) if _tens else (int(_code),):
        _WHOLE_CODES[_whole] = True


@kernel
def _join(data, at, stop):
    """First byte of the next group of digits behind ``at``: one of `` .-``, ``(`` or ``)`` alone or with a blank; 0."""
    if at + 1 >= stop:
        return 0
    mark, after = data[at], data[at + 1]
    single = mark in (SPACE, DOT, DASH, OPEN, CLOSE)
    if single and is_digit(after):
        return at + 1
    pair = (mark == SPACE and after == OPEN) or (mark == CLOSE and (after in (SPACE, DASH)))
    return at + 2 if pair and at + 2 < stop and is_digit(data[at + 2]) else 0


@kernel
def _groups(data, at, stop):
    """Groups of digits from ``at``: (end, number of groups, digits in all, sizes packed by 6 bits, mark).

    ``mark`` is the byte between all of them where that is one and the same of `` .-``, else -1.
    """
    end, groups, digits, packed, mark = at, 0, 0, 0, 0
    while digits <= _PHONE_MAX:
        begin = end
        end = digits_end(data, begin, min(stop, begin + 17))
        digits += end - begin
        packed |= (end - begin) << (6 * min(groups, _MAX_GROUPS))
        groups += 1
        following = _join(data, end, stop)
        if following == 0:
            break
        this = data[end] if following == end + 1 and data[end] not in (OPEN, CLOSE) else -1
        mark = this if mark == 0 or mark == this else -1
        end = following
    return end, groups, digits, packed, mark


@kernel
def _with_extension(data, end, stop):
    """``end``, or the end of ``x123``, `` x123`` or `` ext. 123`` behind it."""
    at = end
    if stands(data, at, stop, _EXTENSION, 0, True):
        at += 4
        at += at < stop and data[at] == DOT
        at += at < stop and data[at] == SPACE
    else:
        at += at < stop and data[at] == SPACE
        if at >= stop or data[at] != 120:
            return end
        at += 1
    return digits_end(data, at, min(stop, at + 5)) if at < stop and is_digit(data[at]) else end


@leaf
def _size(packed, group):
    """Digits of a group."""
    return packed >> (6 * group) & 63


@kernel
def _is_north_american(data, at, groups, packed, mark, in_brackets):
    """NPA NXX XXXX with one mark throughout, or (NPA) NXX-XXXX; 1 or 001 may stand before."""
    first, ones = at, 0
    one = _size(packed, 0) == 1 or (_size(packed, 0) == 3 and data[at] == 48 and data[at + 1] == 48)
    if groups == 4 and not in_brackets and one and data[at + _size(packed, 0) - 1] == 49:
        first, ones = at + _size(packed, 0) + 1, 1
    if groups - ones != 3 or not (_size(packed, ones) == _size(packed, ones + 1) == 3 and _size(packed, ones + 2) == 4):
        return False
    return 50 <= data[first] <= 57 and (in_brackets or mark > 0)


@kernel
def _has_trunk_zero(data, at, groups, digits, packed, mark):
    """0 and an area code, then groups: two to four of two to four digits, or one of six to eight."""
    if data[at] != 48 or data[at + 1] == 48 or mark <= 0 or not 2 <= _size(packed, 0) <= 5:
        return False
    if groups == 2:
        return _size(packed, 0) >= 3 and 6 <= _size(packed, 1) <= 8 and 10 <= digits <= 11 and mark != DOT
    for group in range(1, min(groups, _MAX_GROUPS)):
        if not 2 <= _size(packed, group) <= 4:
            return False
    social_security = mark == DASH and packed == _SOCIAL_SECURITY
    return 3 <= groups <= _MAX_GROUPS and 9 <= digits <= 11 and not social_security


@kernel
def _has_trunk_in_brackets(data, at, groups, digits, packed):
    """(02) 1234 5678: 0 and an area code in brackets, then one group of two to eight digits, one or two of up to four."""
    if data[at] != 48 or data[at + 1] == 48 or not 2 <= _size(packed, 0) <= 5 or not 9 <= digits <= 11 or groups > 4:
        return False
    fits = 2 <= _size(packed, 1) <= 8
    for group in range(2, groups):
        fits &= 2 <= _size(packed, group) <= 4
    return fits


@kernel
def _is_named_behind(data, end, stop):
    """-Fax, (mobile) or office behind a number, at the end of a line or item."""
    if end + 1 >= stop or (data[end] != DASH and data[end] != SPACE):
        return False
    at = end + 1
    at += data[end] == SPACE and data[at] == OPEN
    for row in range(_NAMES.shape[0]):
        if stands(data, at, stop, _NAMES, row, True):
            at += np.int64(_NAMES[row, 0])
            at += at < stop and data[at] == CLOSE
            return at >= stop or data[at] in (10, 44, 59, 92)  # line feed , ; and the backslash of vCard
    return False


@kernel
def _is_year(data, at):
    """19xx or 20xx."""
    return (data[at] == 49 and data[at + 1] == 57) or (data[at] == 50 and data[at + 1] == 48)


@kernel
def _is_isbn(data, at, end):
    """978 or 979, thirteen digits in all, and their check digit: weights 1 and 3, a sum that 10 divides."""
    total, digits = 0, 0
    for place in range(at, end):
        if is_digit(data[place]):
            value = np.int64(data[place]) - 48
            total += value * (3 if digits & 1 else 1)
            digits += 1
    prefix = _first_three(data, at, end)
    return digits == _ISBN_DIGITS and (prefix == 978 or prefix == 979) and total % 10 == 0


@kernel
def _has_unit_behind(data, end, stop):
    """A blank and what is counted."""
    if end >= stop or data[end] != SPACE:
        return False
    for row in range(_UNITS.shape[0]):
        after = end + 1 + np.int64(_UNITS[row, 0])
        if stands(data, end + 1, stop, _UNITS, row, True) and (after >= stop or not is_word(data[after])):
            return True
    return False


@kernel
def _is_count(data, at, end, groups, packed):
    """What a word may stand before and is no number to call: a range of years, or an ISBN."""
    years = (
        groups == 2 and packed == 4 | 4 << 6 and data[at + 4] == DASH and _is_year(data, at) and _is_year(data, at + 5)
    )
    return years or _is_isbn(data, at, end)


@kernel
def _is_round(data, at, stop, groups, packed):
    """+20 000 000: the second group begins with 000, as no area code does."""
    if groups < 2 or _size(packed, 1) < 3:
        return False
    second = _join(data, at + _size(packed, 0), stop)
    return data[second] == 48 and data[second + 1] == 48 and data[second + 2] == 48


@kernel
def _is_dialled_abroad(data, at, groups, digits, packed):
    """00 and a country code in one group or in two, then others: 0049 30 1234567."""
    if groups < 2 or data[at] != 48 or data[at + 1] != 48 or digits < _INTERNATIONAL_MIN + 2:
        return False
    begin, size = at + 2, _size(packed, 0) - 2
    if size == 0 and (is_digit(data[at + 3])):
        begin, size = at + 3, _size(packed, 1)
    return 1 <= size <= 3 and data[begin] != 48 and _WHOLE_CODES[number(data, begin, begin + size)]


@kernel
def _is_second_closed(data, at, stop, groups, packed):
    """(06 1) 234 5678: the bracket ends behind the second group, as in Hungary."""
    second = _join(data, at + _size(packed, 0), stop)
    end = second + _size(packed, 1)
    return groups > 2 and data[second - 1] in (SPACE, DOT, DASH) and end < stop and data[end] == CLOSE


@kernel
def phone_number(data, floor, stop, at):
    """A telephone number: international with +, North American, with a trunk 0, or any that a word announces or names."""
    bracket = at > floor and data[at - 1] == OPEN
    start = at - 1 if bracket else at
    international = not bracket and start > floor and data[start - 1] == PLUS
    start -= international
    if not begins(data, floor, start):
        return 0, 0
    end, groups, digits, packed, mark = _groups(data, at, stop)
    if not _PHONE_MIN <= digits <= _PHONE_MAX:
        return 0, 0
    closed = data[at + _size(packed, 0)] == CLOSE if at + _size(packed, 0) < stop else False
    closed &= groups > 1
    if bracket and not closed and not _is_second_closed(data, at, stop, groups, packed):
        return 0, 0
    last = end
    end = _with_extension(data, end, stop)
    if not ends(data, end, stop):
        return 0, 0
    if international:
        known = digits >= _INTERNATIONAL_MIN and _CODES[_first_three(data, at, stop)]
        counted = _is_round(data, at, stop, groups, packed) or _has_unit_behind(data, end, stop)
        return (start, end) if known and not counted else (0, 0)
    if (
        ((closed or not bracket) and _is_north_american(data, at, groups, packed, mark, bracket))
        or (not bracket and _has_trunk_zero(data, at, groups, digits, packed, mark))
        or (closed and bracket and _has_trunk_in_brackets(data, at, groups, digits, packed))
        or (
            not bracket
            and _is_dialled_abroad(data, at, groups, digits, packed)
            and not _has_unit_behind(data, end, stop)
        )
        or (
            (is_announced(data, floor, start) or _is_named_behind(data, end, stop))
            and not _is_count(data, at, last, groups, packed)
            and not _has_unit_behind(data, end, stop)
        )
    ):
        return start, end
    return 0, 0


@kernel
def _first_three(data, at, stop):
    """The first three digits from ``at`` as an integer, whatever stands between."""
    value, digits = 0, 0
    while digits < 3 and at < stop:
        if is_digit(data[at]):
            value, digits = value * 10 + np.int64(data[at]) - 48, digits + 1
        at += 1
    return value
