"""Kernels on spans of all documents at once: on one number line, where document d begins at d << 32."""

from numba import njit


@njit(cache=True, nogil=True)
def unite(starts, stops, reasons, out_starts, out_stops, out_reasons):
    """Disjoint spans that cover the same places -> their number. Input by start; out arrays as long as the input.

    Of overlapping spans of one reason one is made; of two reasons, the earlier in the input keeps its places.
    """
    n = 0
    for i in range(starts.size):
        start = starts[i]
        if n and start < out_stops[n - 1]:
            if stops[i] <= out_stops[n - 1]:
                continue
            start = out_stops[n - 1]
            if reasons[i] == out_reasons[n - 1]:
                out_stops[n - 1] = stops[i]
                continue
        out_starts[n], out_stops[n], out_reasons[n] = start, stops[i], reasons[i]
        n += 1
    return n


@njit(cache=True, nogil=True)
def subtract(starts, stops, reasons, cut_starts, cut_stops, out_starts, out_stops, out_reasons):
    """What the cuts leave of disjoint spans, piece by piece -> the number of pieces. All input ascending, disjoint.

    The out arrays have room for spans and cuts together.
    """
    n, cut = 0, 0
    for i in range(starts.size):
        at = starts[i]
        while cut < cut_starts.size and cut_stops[cut] <= at:
            cut += 1
        following = cut
        while at < stops[i]:
            stop = stops[i] if following == cut_starts.size else min(stops[i], cut_starts[following])
            if at < stop:
                out_starts[n], out_stops[n], out_reasons[n] = at, stop, reasons[i]
                n += 1
            at = stop if stop == stops[i] else cut_stops[following]
            following += 1
    return n
