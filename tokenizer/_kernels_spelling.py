"""Bytes that tokens stand for, against the bytes of a text; words and characters of texts."""

from numba import njit

from gristmill.corpus.text._kernels import decode
from gristmill.tokenizer._kernels_patterns import NEWLINE, SPACE


@njit(cache=True, nogil=True)
def spells(ids, starts, stops, table, table_offsets, data, offsets, out):
    """out[d] = the bytes of tokens ids[starts[d]:stops[d]], in a row, are those of document d.

    Token t stands for table[table_offsets[t]:table_offsets[t + 1]].
    """
    for doc in range(out.size):
        at, stop = offsets[doc], offsets[doc + 1]
        same = True
        for token in range(starts[doc], stops[doc]):
            first, last = table_offsets[ids[token]], table_offsets[ids[token] + 1]
            if at + last - first > stop:
                same = False
                break
            for i in range(first, last):
                if table[i] != data[at]:
                    same = False
                at += 1
        out[doc] = same and at == stop


@njit(cache=True, nogil=True)
def count_words(offsets, data, classes, characters, words):
    """Characters of each document, and its stretches without white space."""
    for doc in range(offsets.size - 1):
        at, stop = offsets[doc], offsets[doc + 1]
        inside = False
        while at < stop:
            point, n_bytes = decode(data, at)
            at += n_bytes
            characters[doc] += 1
            blank = classes[point] == SPACE or classes[point] == NEWLINE
            words[doc] += not blank and not inside
            inside = not blank
