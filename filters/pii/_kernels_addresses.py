"""Mail and network addresses, each parsed from the byte that gives it away. See ``pii`` for the rules.

Every parser returns (start, end) in bytes, (0, 0) when there is nothing, and looks no further than its form is long.
"""

import numpy as np

from gristmill.corpus.text._kernels_bytes import (
    COLON,
    DASH,
    DOT,
    PLUS,
    SLASH,
    SPACE,
    UNDERSCORE,
    begins,
    digits_end,
    ends,
    is_digit,
    is_hex,
    is_letter,
    is_token,
    is_word,
    number,
    padded,
    stands,
)
from gristmill.corpus.text._kernels_jit import kernel, leaf

_NO_SECTION = 32  # a section or version number has smaller parts; of all addresses 1 in 4,000 has
_NO_VERSION = 100  # a version has smaller parts too, but for few; of all addresses 1 in 40 has
_PERCENT = 37
_EQUALS = 61
_NUMBERED = padded(  # what is numbered like an address
    (b"version", b"versions", b"ver", b"release", b"build", b"revision", b"rev", b"section", b"sections", b"sec", b"chapter",
     b"clause", b"oid", b"v")
)  # fmt: skip
_ADDRESSES = padded(
    (b"ip", b"ips", b"ipv4", b"address", b"addresses", b"addr", b"host", b"server", b"client", b"gateway", b"dns", b"inet",
     b"peer", b"ping", b"router")
)  # fmt: skip


@leaf
def _is_local(byte):
    """What the part before the @ is made of."""
    return is_token(byte) or byte in (DOT, _PERCENT, PLUS)


@leaf
def _is_apostrophe(data, floor, at):
    """An apostrophe between two letters: O'Brien. One that opens a quotation has no letter before it."""
    return data[at] == 39 and at > floor and is_letter(data[at - 1]) and is_letter(data[at + 1])


@kernel
def _host_end(data, at, stop):
    """End of the longest host name at ``at`` whose last label is two letters or more; -1 when none is."""
    end, labels = -1, 0
    while at < stop:
        begin, letters = at, True
        while at < stop and is_token(data[at]) and data[at] != UNDERSCORE:
            letters &= is_letter(data[at])
            at += 1
        if at == begin:
            break
        if labels and letters and at - begin >= 2:
            end = at
        labels += 1
        if at == stop or data[at] != DOT:
            break
        at += 1
    return end


@kernel
def mail_address(data, floor, stop, at):
    """The address around the @ at ``at``, not reaching back beyond ``floor``."""
    start = at
    while start > floor and (_is_local(data[start - 1]) or _is_apostrophe(data, floor, start - 1)):
        start -= 1
    while start < at and not (is_letter(data[start]) or is_digit(data[start])):
        start += 1
    end = _host_end(data, at + 1, stop)
    return (start, end) if start < at and end > 0 else (0, 0)


# ------------------------------------------------------------------------------------------------ IPv4


@leaf
def _ipv4_is_public(a, b, c):
    """Whether a.b.c.x is none of the special blocks of RFC 6890: those are the same in every house."""
    if a == 0 or a == 10 or a == 127 or a >= 224:
        return False
    if (a == 100 and 64 <= b < 128) or (a == 169 and b == 254) or (a == 172 and 16 <= b < 32):
        return False
    if a == 192 and (b == 168 or (b == 0 and c in (0, 2))):
        return False
    return not ((a == 198 and (b in (18, 19) or (b == 51 and c == 100))) or (a == 203 and b == 0 and c == 113))


@kernel
def _follows(data, floor, at, words):
    """Whether a word of a table stands before ``at``: two blanks at most, and one of : = . between."""
    for _ in range(2):
        at -= at > floor and data[at - 1] == SPACE
    at -= at > floor and data[at - 1] in (COLON, _EQUALS, DOT)
    for row in range(words.shape[0]):
        begin = at - np.int64(words[row, 0])
        whole = begin == floor or (begin > floor and not is_word(data[begin - 1]))
        if whole and stands(data, begin, at, words, row, True):
            return True
    return False


@kernel
def _is_version(data, floor, stop, at, end, largest):
    """Whether a dotted quad rather numbers a version, a section or an object than a host."""
    if at > floor + 1 and data[at - 1] == SLASH and is_word(data[at - 2]):
        return True  # nginx/1.25.3.40
    if _follows(data, floor, at, _NUMBERED):
        return True
    address = at > floor + 1 and data[at - 1] == SLASH and data[at - 2] == SLASH
    address |= end + 1 < stop and data[end] == COLON and is_digit(data[end + 1])
    return largest < _NO_VERSION and not address and not _follows(data, floor, at, _ADDRESSES)


@kernel
def ipv4_address(data, floor, stop, at):
    """A public dotted quad without leading zeros, with a part of 32 or more; of 100 or more where nothing announces it."""
    if not begins(data, floor, at) or (at > floor and data[at - 1] in (DOT, DASH)):
        return 0, 0
    parts, largest, end = 0, 0, at
    for part in range(4):
        begin = end
        end = digits_end(data, begin, min(stop, begin + 4))
        value = number(data, begin, end)
        if not 0 < end - begin < 4 or value > 255 or (data[begin] == 48 and end - begin > 1):
            return 0, 0
        parts, largest = parts << 8 | value, max(largest, value)
        if part < 3:
            if end >= stop or data[end] != DOT:
                return 0, 0
            end += 1
    joined = end + 1 < stop and data[end] in (DOT, DASH) and is_word(data[end + 1])
    if (
        joined
        or largest < _NO_SECTION
        or not ends(data, end, stop)
        or not _ipv4_is_public(parts >> 24, parts >> 16 & 255, parts >> 8 & 255)
        or _is_version(data, floor, stop, at, end, largest)
    ):
        return 0, 0
    return at, end


# ------------------------------------------------------------------------------------------------ IPv6


@kernel
def _ipv6_is_public(first, second, groups, gap, widest):
    """Whether the address names one machine on the internet, and cannot be a MAC or a clock."""
    if (first == 0x2001 and second == 0xDB8) or first >= 0xFC00:
        return False  # documentation; unique local, link local, multicast
    if gap:
        return groups <= 7 and 0x2000 <= first <= 0x3FFF
    return groups == 8 and widest > 2 and first > 0


@kernel
def ipv6_address(data, floor, stop, at):
    """The address whose first colon stands at ``at``."""
    start = at
    while start > floor and at - start < 5 and is_hex(data[start - 1]):
        start -= 1
    if not 0 < at - start < 5 or (start > floor and (is_word(data[start - 1]) or data[start - 1] in (COLON, DOT))):
        return 0, 0
    end, groups, gaps, widest, first, second, edge = start, 0, 0, 0, 0, 0, 0
    while end < stop and groups < 9:
        begin, value = end, 0
        while end < stop and end - begin < 5 and is_hex(data[end]):
            digit = np.int64(data[end])
            value = value << 4 | (digit - 48 if digit < 58 else (digit | 32) - 87)
            end += 1
        if end - begin > 4:
            return 0, 0
        if end > begin:
            widest = max(widest, end - begin)
            first, second = value if groups == 0 else first, value if groups == 1 and not gaps else second
            groups += 1
        if end == stop or data[end] != COLON:
            break
        follows = data[end + 1] if end + 1 < stop else 0
        if follows == COLON:
            gaps += 1
            end += 1
            if gaps > 1 or (end + 1 < stop and data[end + 1] == COLON):
                return 0, 0
        elif not is_hex(follows):
            edge = 1  # the colon belongs to the sentence
            break
        end += 1
    edge += end
    behind = data[edge] if edge < stop else 0
    dotted = behind == DOT and edge + 1 < stop and is_digit(data[edge + 1])
    if is_word(behind) or dotted or not _ipv6_is_public(first, second, groups, gaps, widest):
        return 0, 0
    return start, end
