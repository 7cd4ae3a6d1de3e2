"""Line rules over all lines of a batch, in one of two readings: spans to cut, and counts of each document."""

from collections import namedtuple

import numpy as np

from gristmill.corpus.text._kernels import count_chars, tokenise
from gristmill.corpus.text._kernels_jit import kernel
from gristmill.filters.line_edits._kernels_c4 import c4_line
from gristmill.filters.line_edits._kernels_dclm import dclm_line
from gristmill.filters.line_edits._kernels_found import CHARS, WORDS, count_words
from gristmill.filters.signals._kernels_lines import find_newline

C4, DCLM = 0, 1
Scratch = namedtuple("Scratch", "starts ends text places marks")  # of one document, used again by the next


def make_scratch(words, longest):
    """Scratch for documents of up to ``words`` words and ``longest`` bytes; pages are mapped only where one reaches."""
    return Scratch(
        starts=np.empty(words, np.int64),
        ends=np.empty(words, np.int64),
        text=np.empty(longest + 128, np.uint8),  # kernels load blocks of 64 bytes
        places=np.empty(longest, np.int64),
        marks=np.empty(longest, np.int8),
    )


@kernel
def _edit_document(data, start, stop, document, reading, s, found, n, totals):
    """One document. Returns the spans so far."""
    n_words = tokenise(data, start, stop, s.starts, s.ends)
    totals[CHARS] = count_chars(data, start, stop)
    totals[WORDS] = count_words(data, s.starts, 0, n_words)
    word, line = np.int64(0), start  # a literal would have every callee compiled once more
    while line < stop:
        line_stop, first = find_newline(data, line, stop), word
        while word < n_words and s.starts[word] < line_stop:
            word += 1
        if reading == C4:
            n = c4_line(data, document, line, line_stop, stop, first, word, s, found, n, totals)
        else:
            n = dclm_line(data, document, line, line_stop, stop, first, word, s, found, n, totals)
        line = line_stop + 1
    return n


@kernel
def edit_lines(offsets, data, reading, s, found, totals):
    """Spans of every document by place, and totals[d]. Returns their number; call again when it is beyond capacity."""
    n = np.int64(0)
    totals[:] = 0
    for document in range(offsets.size - 1):
        n = _edit_document(
            data, offsets[document], offsets[document + 1], document, reading, s, found, n, totals[document]
        )
    return n
