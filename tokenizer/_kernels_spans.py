"""Cutting byte spans out of texts: checks, and one copying pass."""

from numba import njit


@njit(cache=True, nogil=True, inline="always")
def _on_character(data, at, stop):
    """True when ``at`` is no continuation byte."""
    return at == stop or (data[at] & 0xC0) != 0x80


@njit(cache=True, nogil=True)
def first_bad_span(offsets, data, span_offsets, starts, ends):
    """Index of the first span that leaves its document, overlaps the one before or splits a character; -1 if none."""
    for doc in range(offsets.size - 1):
        begin, stop = offsets[doc], offsets[doc + 1]
        at = begin
        for span in range(span_offsets[doc], span_offsets[doc + 1]):
            start, end = begin + starts[span], begin + ends[span]
            if start < at or end < start or end > stop:
                return span
            if not (_on_character(data, start, stop) and _on_character(data, end, stop)):
                return span
            at = end
    return -1


@njit(cache=True, nogil=True)
def cut(offsets, data, span_offsets, starts, ends, markers, marker_offsets, marker_data, out_offsets, out):
    """Copy texts to ``out`` with marker ``markers[s]`` in place of each span s (an empty one where it is removed)."""
    n = 0
    out_offsets[0] = 0
    for doc in range(offsets.size - 1):
        at = offsets[doc]
        for span in range(span_offsets[doc], span_offsets[doc + 1]):
            start = offsets[doc] + starts[span]
            out[n : n + start - at] = data[at:start]
            n += start - at
            first, last = marker_offsets[markers[span]], marker_offsets[markers[span] + 1]
            out[n : n + last - first] = marker_data[first:last]
            n += last - first
            at = offsets[doc] + ends[span]
        out[n : n + offsets[doc + 1] - at] = data[at : offsets[doc + 1]]
        n += offsets[doc + 1] - at
        out_offsets[doc + 1] = n
