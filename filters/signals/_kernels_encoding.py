"""Characters that stand for text read in a wrong character set.

Found by their form, without a dictionary: UTF-8 read as cp1252 or Latin-1 (a lead byte's character and as many behind it
that continue it), UTF-8 read as cp1251 (two or more such pairs), a single-byte Cyrillic or Greek set read as Latin-1
(four or more letters of its upper half in a row), C1 controls, and U+FFFD. Of 68,000 clean documents in 300 languages
5 hold more than 1 in 100.
"""

import numpy as np

from gristmill.corpus.text._kernels import below, count_chars, ctz, decode, high_mask
from gristmill.corpus.text._kernels_jit import kernel, leaf

_LATIN, _CYRILLIC = 1, 2  # a character is what a continuation byte becomes in cp1252 or Latin-1, in cp1251
_TOP = 0x2200  # beyond all characters of both sets but U+FFFD
_REPLACEMENT, _NEXT_LINE = 0xFFFD, 0x85
_ER, _ES = 0x420, 0x421  # Р and С: the lead bytes D0 and D1 in cp1251
_LONG_RUN = 4


def _continued() -> np.ndarray:
    """uint8[_TOP]: which sets make a character of a byte 80 to BF."""
    flags = np.zeros(_TOP, np.uint8)
    for byte in range(0x80, 0xC0):
        flags[byte] |= _LATIN
        for charset, flag in (("cp1252", _LATIN), ("cp1251", _CYRILLIC)):
            point = ord(bytes([byte]).decode(charset, "replace"))
            if point < _TOP:
                flags[point] |= flag
    flags[0x98] |= _CYRILLIC  # cp1251 has no such byte; readers leave it as it is
    return flags


_CONTINUED = _continued()


@leaf
def _continues(point, flag):
    """Whether a continuation byte becomes this character in the set of ``flag``."""
    if point < _TOP:
        return (_CONTINUED[point] & flag) != 0
    return point == _REPLACEMENT and flag == _LATIN


@leaf
def _behind_lead(point):
    """How many characters follow the one that a lead byte becomes; 0 for others."""
    if point < 0xC2 or point > 0xF4:
        return 0
    return 1 + (point >= 0xE0) + (point >= 0xF0)


@kernel
def _follow(data, at, stop, n, flag):
    """Where n characters end that continue a sequence; -1 where fewer stand there."""
    for _ in range(n):
        if at >= stop:
            return -1
        point, n_bytes = decode(data, at)
        if not _continues(point, flag):
            return -1
        at += n_bytes
    return at


@kernel
def _run_end(data, at, stop):
    """(end, characters) of the run of U+00C0 to U+00FF that begins here: bytes C3 80 to C3 BF."""
    begin = at
    while at + 1 < stop and data[at] == 0xC3:
        at += 2
    return at, (at - begin) // 2


@kernel
def _pairs_end(data, at, stop):
    """(end, pairs) of the run of pairs of Р or С and what continues it in cp1251."""
    n = 0
    while at < stop:
        point, n_bytes = decode(data, at)
        end = _follow(data, at + n_bytes, stop, 1, _CYRILLIC) if _ER <= point <= _ES else -1
        if end < 0:
            break
        at, n = end, n + 1
    return at, n


@kernel
def _misread_at(data, at, stop):
    """(end, misread characters) of what begins with the character at ``at``, which is not ASCII."""
    point, n_bytes = decode(data, at)
    n = _behind_lead(point)
    if n:
        end = _follow(data, at + n_bytes, stop, n, _LATIN)
        if end >= 0:
            return end, n + 1
    end, n_pairs = _pairs_end(data, at, stop)
    if n_pairs >= 2:  # one may stand in a text: Ukrainian words begin with Рі and Сі
        return end, 2 * n_pairs
    end, n_run = _run_end(data, at, stop)
    if n_run >= _LONG_RUN:
        return end, n_run
    is_lost = (point < 0xA0 and point != _NEXT_LINE) or point == _REPLACEMENT
    return at + n_bytes, np.int64(is_lost)


@kernel
def _misread(data, start, stop):
    """Misread characters of one document."""
    n, at = 0, start
    while at < stop:
        high = high_mask(data, at) & below(min(stop - at, 64))
        if not high:
            at += 64
            continue
        at, found = _misread_at(data, at + ctz(high), stop)
        n += found
    return n


@kernel
def misread_shares(offsets, data, out):
    """out[d] = characters of document d that stand for text read in a wrong character set, as a share of all."""
    for doc in range(offsets.size - 1):
        start, stop = offsets[doc], offsets[doc + 1]
        out[doc] = _misread(data, start, stop) / count_chars(data, start, stop) if stop > start else 0.0
