"""What stands around a mention: does a longer name go on beside it? Arrays in, arrays out; nothing raised."""

from numba import njit

from gristmill.corpus.text._kernels import ALPHA, NUMBER, UPPER, char_class, decode

LED_BYTES = 6
LOOK_BACK = 48  # bytes: 99.9 % of the words of the samples are shorter
RAISED, LEFT, RIGHT, GLUED_LEFT, GLUED_RIGHT, DATED, LED, CLOSED = 0, 1, 2, 3, 4, 5, 6, 7  # places in ``around``


@njit(cache=True, nogil=True, inline="always")
def _is_joint(byte):
    """- & / _ @ # ' : what joins a name with more of a name."""
    return byte == 45 or byte == 38 or byte == 47 or byte == 95 or byte == 64 or byte == 35 or byte == 39


@njit(cache=True, nogil=True, inline="always")
def _ends_sentence(byte):
    """. ! ? : " or the end of a line."""
    return byte == 46 or byte == 33 or byte == 63 or byte == 58 or byte == 34 or byte == 10


@njit(cache=True, nogil=True, inline="always")
def _is_stop(byte):
    """, . ; ) or the end of a line."""
    return byte == 44 or byte == 46 or byte == 59 or byte == 41 or byte == 10


@njit(cache=True, nogil=True)
def _class_at(data, at):
    """Class of the character at ``at``."""
    return char_class(decode(data, at)[0])


@njit(cache=True, nogil=True)
def _name_before(data, begin, start):
    """Does a word with a capital stand before ``start``, one space away, that does not begin a sentence?"""
    at = start - 2
    if at < begin or data[start - 1] != 32 or data[at] < 48:
        return 0.0
    floor = max(begin, start - LOOK_BACK)
    while at > floor and data[at - 1] > 32:
        at -= 1
    if not _class_at(data, at) & UPPER:
        return 0.0
    before = at - 1
    while before > begin and data[before] == 32:
        before -= 1
    return 0.0 if before <= begin or _ends_sentence(data[before]) else 1.0


@njit(cache=True, nogil=True, inline="always")
def _is_digit(byte):
    """0 to 9."""
    return 48 <= byte <= 57


@njit(cache=True, nogil=True)
def _is_dated(data, begin, stop, start, end):
    """Does a number stand beside, a space or full stop between at most: 4 June, June 4, 4. Juni?"""
    before, after = start - 1, end
    while before > begin and start - before < 4 and (data[before] == 32 or data[before] == 46):
        before -= 1
    while after + 1 < stop and after - end < 2 and (data[after] == 32 or data[after] == 46):
        after += 1
    is_before = begin <= before < start - 1 and _is_digit(data[before])
    return 1.0 if is_before or (end < after < stop and _is_digit(data[after])) else 0.0


@njit(cache=True, nogil=True)
def _is_led(data, begin, start):
    """Is the word before a short one in small letters: in, of, to, von, aus, à, de, till?"""
    at = start - 2
    if at < begin or data[start - 1] != 32:
        return 0.0
    floor = max(begin, start - 1 - LED_BYTES)
    while at >= floor and (97 <= data[at] <= 122 or data[at] >= 128):
        at -= 1
    ended = at < begin or data[at] == 32 or data[at] == 10
    return 1.0 if ended and at < start - 2 and not _class_at(data, at + 1) & UPPER else 0.0


@njit(cache=True, nogil=True)
def read_around(data, begin, stop, start, end, around):
    """Around float64[8], see the places above: in capitals, a capital before and after, joined before and after, a number,
    a short small word before, a stop after.
    """
    around[:] = 0.0
    around[DATED] = _is_dated(data, begin, stop, start, end)
    n_capitals, n_small = 0, 0
    for at in range(start, end):
        n_capitals += 65 <= data[at] <= 90
        n_small += 97 <= data[at] <= 122 or data[at] >= 128
    around[RAISED] = 1.0 if n_capitals > 1 and not n_small else 0.0
    around[LED] = _is_led(data, begin, start)
    around[LEFT] = _name_before(data, begin, start)
    if start > begin and _is_joint(data[start - 1]):
        around[GLUED_LEFT] = 1.0
    around[CLOSED] = 1.0 if end >= stop or _is_stop(data[end]) else 0.0
    if end >= stop:
        return
    if data[end] == 32 and end + 1 < stop and _class_at(data, end + 1) & UPPER:
        around[RIGHT] = 1.0
    possessive = data[end] == 39 and end + 1 < stop and (data[end + 1] | 32) == 115
    if _is_joint(data[end]) and end + 1 < stop and not possessive:
        around[GLUED_RIGHT] = 1.0 if _class_at(data, end + 1) & (ALPHA | NUMBER) else 0.0
