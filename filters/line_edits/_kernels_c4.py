"""C4's line rules in datatrove's order: a line goes, or stays without its citations and the white space at its ends."""

# ruff: noqa: SIM110 - a generator would allocate

import numpy as np

from gristmill.corpus.text._kernels import ONE, below, count_chars, ctz, equal_mask
from gristmill.corpus.text._kernels_bytes import is_digit
from gristmill.corpus.text._kernels_jit import kernel
from gristmill.filters.line_edits._kernels_found import CURLY, LINES, LOREM, SENTENCES, STAYS, cut_line, cut_piece
from gristmill.filters.signals._kernels_lines import LONG_WORD_CHARS, MIN_LINE_WORDS, count_sentences
from gristmill.filters.signals._kernels_phrases import JAVASCRIPT, POLICY, phrase_kinds
from gristmill.filters.signals._kernels_phrases import LOREM as LOREM_PHRASE

# int64 and not literals, for which numba would compile every callee once more
BLANK, LONG_WORD, NO_TERMINAL_PUNCT, FEW_WORDS, JAVASCRIPT_LINE, POLICY_LINE, CITATION, SPACES = map(np.int64, range(8))
N_REASONS = 8
_OPEN, _CLOSE, _CURLY = 91, 93, 123
_NOTES = (b"[edit]", b"[citation needed]")  # besides [] and [12]
_NOTE = np.zeros((len(_NOTES), 24), np.uint8)
for _row, _text in enumerate(_NOTES):
    _NOTE[_row, : len(_text)] = list(_text)
_NOTE_BYTES = np.array([len(text) for text in _NOTES])


@kernel
def _citation_end(data, at, stop):
    """End of the citation that begins with the bracket at ``at``, 0 when it is none."""
    end = at + 1
    while end < stop and is_digit(data[end]):
        end += 1
    if end < stop and data[end] == _CLOSE:
        return end + 1
    for row in range(_NOTE_BYTES.size):
        k = 0
        while k < _NOTE_BYTES[row] and at + k < stop and data[at + k] == _NOTE[row, k]:
            k += 1
        if k == _NOTE_BYTES[row]:
            return at + k
    return 0


@kernel
def _next_citation(data, at, stop):
    """(start, end) of the first citation from ``at`` on; (stop, stop) when there is none."""
    while at < stop:
        brackets = equal_mask(data, at, _OPEN) & below(min(stop - at, 64))
        while brackets:
            start = at + ctz(brackets)
            end = _citation_end(data, start, stop)
            if end:
                return start, end
            brackets &= brackets - ONE
        at += 64
    return stop, stop


@kernel
def _copy_without_citations(data, start, stop, text):
    """data[start:stop] without its citations -> text. Returns its bytes."""
    n = 0
    while start < stop:
        end, following = _next_citation(data, start, stop)
        for at in range(start, end):
            text[n] = data[at]
            n += 1
        start = following
    return n


@kernel
def _has_long_word(data, starts, ends, first, last):
    """A word over 1000 characters."""
    if ends[last - 1] - starts[first] <= LONG_WORD_CHARS:
        return False
    for t in range(first, last):
        if ends[t] - starts[t] > LONG_WORD_CHARS and count_chars(data, starts[t], ends[t]) > LONG_WORD_CHARS:
            return True
    return False


@kernel
def _ends_well(data, start, stop):
    """Ends in . ! ? or a quote and not in three dots."""
    if stop <= start:
        return False
    last = data[stop - 1]
    dots = stop - start >= 3 and last == 46 and data[stop - 2] == 46 and data[stop - 3] == 46
    return (last == 46 or last == 33 or last == 63 or last == 34 or last == 39) and not dots


@kernel
def _has_curly(data, start, stop):
    """An opening curly bracket."""
    for at in range(start, stop, 64):
        if equal_mask(data, at, _CURLY) & below(min(stop - at, 64)):
            return True
    return False


@kernel
def _judge(data, start, stop, words, totals):
    """Why the line data[start:stop] goes, or STAYS. What makes datatrove drop the page is counted where it would see it."""
    if not _ends_well(data, start, stop):
        return NO_TERMINAL_PUNCT
    if words < MIN_LINE_WORDS:
        return FEW_WORDS
    kinds = phrase_kinds(data, start, stop)
    totals[LOREM] += kinds & LOREM_PHRASE != 0
    if kinds & JAVASCRIPT:
        return JAVASCRIPT_LINE
    totals[CURLY] += _has_curly(data, start, stop)
    if kinds & POLICY:
        return POLICY_LINE
    totals[SENTENCES] += count_sentences(data, start, stop)
    return STAYS


@kernel
def c4_line(data, document, line, line_stop, stop, first, last, s, found, n, totals):
    """One line, whose words are first to last - 1. Returns the spans so far."""
    behind = min(line_stop + 1, stop)
    if first == last:
        return cut_line(data, document, line, behind, s.starts, first, last, BLANK, found, n, totals)
    totals[LINES] += 1
    begin, end = s.starts[first], s.ends[last - 1]
    citation, _ = _next_citation(data, begin, end)
    if _has_long_word(data, s.starts, s.ends, first, last):
        reason = LONG_WORD
    elif citation < end:
        reason = _judge(s.text, np.int64(0), _copy_without_citations(data, begin, end, s.text), last - first, totals)
    else:
        reason = _judge(data, begin, end, last - first, totals)
    if reason != STAYS:
        return cut_line(data, document, line, behind, s.starts, first, last, reason, found, n, totals)
    n = cut_piece(data, document, line, begin, s.starts, first, first, SPACES, found, n, totals)
    while citation < end:
        citation, following = _next_citation(data, citation, end)
        n = cut_piece(data, document, citation, following, s.starts, first, last, CITATION, found, n, totals)
        citation = following
    return cut_piece(data, document, end, line_stop, s.starts, first, first, SPACES, found, n, totals)
