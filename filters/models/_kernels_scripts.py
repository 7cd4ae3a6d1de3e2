"""Scripts of a document's letters, the beginning that a language model sees, and where paragraphs stand."""

import numpy as np

from gristmill.corpus.text._kernels import (
    ALPHA,
    ONE,
    SPACE,
    U64,
    alpha_mask,
    below,
    char_class,
    ctz,
    decode,
    equal_mask,
    high_mask,
    popc,
)
from gristmill.corpus.text._kernels_jit import kernel, leaf
from gristmill.filters.models._unicode_scripts import BASIC_PLANE, HAN, HAN_PLANES, LATIN, OTHER, TABLE

_FIRST_HAN, _LAST_HAN = HAN_PLANES


@leaf
def _script_of(point):
    """Number of the script of a letter."""
    if point < BASIC_PLANE:
        return TABLE[point]
    return HAN if _FIRST_HAN <= point <= _LAST_HAN else OTHER


@kernel
def _count_scripts(data, start, stop, counts):
    """counts[s] += letters of script s; ASCII by the block, others one by one."""
    for at in range(start, stop, 64):
        inside = below(min(stop - at, 64))
        counts[LATIN] += popc(alpha_mask(data, at) & inside)
        high = high_mask(data, at) & inside
        while high:
            bit = ctz(high)
            if data[at + bit] < 0xC0:
                high &= high - ONE
                continue
            point, n_bytes = decode(data, at + bit)
            high &= ~(below(n_bytes) << U64(bit))
            if char_class(point) & ALPHA:
                counts[_script_of(point)] += 1


@kernel
def count_scripts(offsets, data, out):
    """out[d, s] = letters of script s in document d; out int64[n_docs, n_scripts]."""
    out[:] = 0
    for doc in range(offsets.size - 1):
        _count_scripts(data, offsets[doc], offsets[doc + 1], out[doc])


@leaf
def _next_break(data, at, stop):
    """First of two or more line feeds at or behind ``at``, ``stop`` where there is none."""
    while at < stop:
        feeds = equal_mask(data, at, 10) & below(min(stop - at, 64))
        if feeds:
            at += ctz(feeds)
            if at + 1 < stop and data[at + 1] == 10:
                return at
            at += 1
        else:
            at += 64
    return stop


@kernel
def list_paragraphs(offsets, data, min_bytes, docs, starts, ends):
    """Stretches of at least min_bytes between two or more line feeds, with their document. Returns their number.

    docs, starts, ends int64[n_bytes // min_bytes] hold all that can be.
    """
    n = 0
    for doc in range(offsets.size - 1):
        at, stop = offsets[doc], offsets[doc + 1]
        while at < stop:
            end = _next_break(data, at, stop)
            if end - at >= min_bytes:
                docs[n], starts[n], ends[n] = doc, at, end
                n += 1
            at = end
            while at < stop and data[at] == 10:
                at += 1
    return n


@leaf
def _is_white(point):
    """White space and control characters, the byte order mark, the zero-width space."""
    return point <= 0x20 or (char_class(point) & SPACE) != 0 or point == 0xFEFF or point == 0x200B


@kernel
def _skip_white(data, at, stop):
    """The first character at or behind ``at`` that shows; ``stop`` where there is none."""
    while at < stop:
        point, n_bytes = decode(data, at)
        if not _is_white(point):
            return at
        at += n_bytes
    return stop


@kernel
def _skip_to_letter(data, at, stop):
    """The first letter at or behind ``at``; ``stop`` where there is none."""
    while at < stop:
        point, n_bytes = decode(data, at)
        if char_class(point) & ALPHA:
            return at
        at += n_bytes
    return stop


@kernel
def _window(data, start, stop, max_bytes):
    """(end, letters, characters that show) of max_bytes from ``start``: whole characters, a run of white space is one byte."""
    at, left, letters, shown, in_white = start, max_bytes, 0, 0, False
    while at < stop:
        point, n_bytes = decode(data, at)
        is_white = _is_white(point)
        left -= np.int64(not in_white) if is_white else n_bytes
        if left < 0:
            break
        in_white = is_white
        letters += np.int64((char_class(point) & ALPHA) != 0)
        shown += np.int64(not is_white)
        at += n_bytes
    return at, letters, shown


@kernel
def find_windows(offsets, data, max_bytes, starts, ends, letters, shown):
    """The beginning of each document that a model sees: data[starts:ends], with its letters and characters that show.

    It begins behind white space, and with the first letter where the first max_bytes hold none.
    """
    for doc in range(offsets.size - 1):
        stop = offsets[doc + 1]
        start = _skip_white(data, offsets[doc], stop)
        end, n_letters, n_shown = _window(data, start, stop, max_bytes)
        if n_letters == 0 and end < stop:
            start = _skip_to_letter(data, end, stop)
            end, n_letters, n_shown = _window(data, start, stop, max_bytes)
        starts[doc], ends[doc], letters[doc], shown[doc] = start, end, n_letters, n_shown


@kernel
def measure_stretches(data, starts, ends, max_bytes, letters, shown):
    """Cut data[starts:ends] to max_bytes as ``find_windows`` does; counts letters and characters that show."""
    for place in range(starts.size):
        found = _window(data, starts[place], ends[place], max_bytes)
        ends[place], letters[place], shown[place] = found
