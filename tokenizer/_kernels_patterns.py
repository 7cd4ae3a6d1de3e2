"""Texts to words: the split patterns of ``tokenizer.patterns``, each written out as a scanner.

A scanner gives the end of the word that begins at ``at`` < ``stop``: the first alternative of its regular expression that
matches, with the lengths that backtracking would come to. Runs of ASCII letters, most of every text, are 64 bytes a step.
"""

import numpy as np
from numba import njit

from gristmill.corpus.text._kernels import alpha_mask, ctz, decode, range_mask

OTHER, LETTER, NUMBER, SPACE, NEWLINE, NOTHING = 0, 1, 2, 3, 4, 5  # character classes; NOTHING = end of the document
UPPER, LOWER, MARK = 6, 7, 8  # in o200k's table alone, where LETTER is a letter without case
MAX_RUN = 64  # characters of one class in a word of ours
FOREVER = 1 << 62
OURS, GPT2, CL100K, QWEN2, O200K = 0, 1, 2, 3, 4
_BLANK, _APOSTROPHE, _SLASH = 32, 39, 47
_LONG_S = (0xC5, 0xBF)  # U+017F, which is an s where case does not count


@njit(cache=True, nogil=True, inline="always")
def _class_at(data, at, stop, classes):
    """(class, bytes) of the character at ``at``."""
    if at >= stop:
        return NOTHING, 0
    if data[at] < 0x80:
        return np.int64(classes[data[at]]), 1
    point, n_bytes = decode(data, at)
    return np.int64(classes[point]), n_bytes


@njit(cache=True, nogil=True)
def _run_end(data, at, stop, wanted, limit, classes):
    """End of the run of at most ``limit`` characters of class ``wanted`` that begins at ``at``."""
    while limit > 0:
        found, n_bytes = _class_at(data, at, stop, classes)
        if found != wanted:
            break
        at += n_bytes
        limit -= 1
    return at


@njit(cache=True, nogil=True, inline="always")
def _letters_end(data, at, stop, limit, classes):
    """``_run_end`` of letters, ``limit`` >= 64: their first 64 ASCII bytes in one step."""
    n = ctz(~alpha_mask(data, at))
    end = min(at + n, stop)
    if end == stop or (n < 64 and data[end] < 0x80):
        return end
    return _run_end(data, end, stop, LETTER, limit - n, classes)


@njit(cache=True, nogil=True)
def _space_end(data, start, stop, limit, lines, classes):
    r"""``\s*[\r\n]+ | \s+(?!\S) | \s``: to the last line end (if ``lines``), or all but the space before a word."""
    at, before, line_end = start, start, -1
    found, n_bytes = _class_at(data, at, stop, classes)
    while limit > 0 and (found in (SPACE, NEWLINE)):
        before = at
        at += n_bytes
        limit -= 1
        if found == NEWLINE:
            line_end = at
        found, n_bytes = _class_at(data, at, stop, classes)
    if lines and line_end >= 0:
        return line_end
    follows_text = found != SPACE and found != NEWLINE and found != NOTHING
    return before if follows_text and before > start else at


@njit(cache=True, nogil=True)
def _ours(data, at, stop, classes):
    """See ``tokenizer.vocabulary.PATTERN``."""
    first, n_bytes = _class_at(data, at, stop, classes)
    if first == LETTER:
        return _letters_end(data, at, stop, MAX_RUN, classes)
    if first == NUMBER:
        return at + n_bytes
    second, _ = _class_at(data, at + n_bytes, stop, classes)
    if second == LETTER and first != NEWLINE:
        return _letters_end(data, at + n_bytes, stop, MAX_RUN, classes)
    if first == OTHER or (second == OTHER and data[at] == _BLANK):
        end = _run_end(data, at + (first != OTHER), stop, OTHER, MAX_RUN, classes)
        return _run_end(data, end, stop, NEWLINE, MAX_RUN, classes)
    return _space_end(data, at, stop, MAX_RUN, True, classes)


@njit(cache=True, nogil=True)
def _contraction_end(data, at, stop, fold):
    """End of an English contraction after the apostrophe at ``at``, else ``at``; ``fold``: in either case."""
    left = stop - at
    if left < 2:
        return at
    case = np.uint8(32) if fold else np.uint8(0)
    first = data[at + 1] | case
    if first == 115 or first == 116 or first == 109 or first == 100:  # s t m d
        return at + 2
    if left < 3:
        return at
    second = data[at + 2] | case
    if (first == 114 or first == 118) and second == 101:  # re ve
        return at + 3
    long_s = fold and data[at + 1] == _LONG_S[0] and data[at + 2] == _LONG_S[1]
    return at + 3 if long_s or (first == 108 and second == 108) else at  # ll


@njit(cache=True, nogil=True)
def _gpt2(data, at, stop, classes):
    """Contractions; letters, numbers or others with a blank before them; space."""
    if data[at] == _APOSTROPHE:
        end = _contraction_end(data, at, stop, False)
        if end > at:
            return end
    begin = at + (data[at] == _BLANK)
    wanted, _ = _class_at(data, begin, stop, classes)
    if wanted == LETTER:
        return _letters_end(data, begin, stop, FOREVER, classes)
    if wanted in (NUMBER, OTHER):
        return _run_end(data, begin, stop, wanted, FOREVER, classes)
    return _space_end(data, at, stop, FOREVER, False, classes)


@njit(cache=True, nogil=True)
def _cl100k(data, at, stop, digits, classes):
    """Contractions; letters with any one character before them; at most ``digits`` numbers; others; space."""
    if data[at] == _APOSTROPHE:
        end = _contraction_end(data, at, stop, True)
        if end > at:
            return end
    first, n_bytes = _class_at(data, at, stop, classes)
    if first == LETTER:
        return _letters_end(data, at, stop, FOREVER, classes)
    if first == NUMBER:
        return _run_end(data, at, stop, NUMBER, digits, classes)
    second, _ = _class_at(data, at + n_bytes, stop, classes)
    if second == LETTER and first != NEWLINE:
        return _letters_end(data, at + n_bytes, stop, FOREVER, classes)
    if first == OTHER or (second == OTHER and data[at] == _BLANK):
        end = _run_end(data, at + (first != OTHER), stop, OTHER, FOREVER, classes)
        return _run_end(data, end, stop, NEWLINE, FOREVER, classes)
    return _space_end(data, at, stop, FOREVER, True, classes)


@njit(cache=True, nogil=True)
def _cased_end(data, at, stop, classes):
    """Ends of ``[Lu Lt Lm Lo M]*[Ll Lm Lo M]+`` and of ``[Lu Lt Lm Lo M]+`` at ``at``; ``at`` where one does not match.

    Without a small letter behind the first run, its last caseless character is the match's.
    """
    caseless = at
    if at < stop:
        at += min(ctz(~range_mask(data, at, 65, 90)), stop - at)
    found, n_bytes = _class_at(data, at, stop, classes)
    while found in (UPPER, LETTER, MARK):
        at += n_bytes
        if found != UPPER:
            caseless = at
        found, n_bytes = _class_at(data, at, stop, classes)
    capitals = at
    if found != LOWER:
        return caseless, capitals
    at += min(ctz(~range_mask(data, at, 97, 122)), stop - at)
    found, n_bytes = _class_at(data, at, stop, classes)
    while found in (LOWER, LETTER, MARK):
        at += n_bytes
        found, n_bytes = _class_at(data, at, stop, classes)
    return at, capitals


@njit(cache=True, nogil=True)
def _others_end(data, at, stop, classes):
    r"""``[^\s\p{L}\p{N}]+[\r\n/]*``, in which marks are others."""
    found, n_bytes = _class_at(data, at, stop, classes)
    while found in (OTHER, MARK):
        at += n_bytes
        found, n_bytes = _class_at(data, at, stop, classes)
    while at < stop and (data[at] == _SLASH or (data[at] < 0x80 and classes[data[at]] == NEWLINE)):
        at += 1
    return at


@njit(cache=True, nogil=True)
def _o200k(data, at, stop, classes):
    """Capitals, then small letters, then a contraction, any one character before them; numbers; others; space."""
    first, n_bytes = _class_at(data, at, stop, classes)
    if first == NUMBER:
        return _run_end(data, at, stop, NUMBER, 3, classes)
    begin = at + n_bytes if first in (OTHER, SPACE, MARK) else at
    if first != NEWLINE:
        end, capitals = _cased_end(data, begin, stop, classes)
        if end == begin and first == MARK:
            end, capitals = _cased_end(data, at, stop, classes)
        elif end == begin:
            end = capitals
        if end > begin or (end > at and first == MARK):
            return _contraction_end(data, end, stop, True) if end < stop and data[end] == _APOSTROPHE else end
    second, _ = _class_at(data, at + n_bytes, stop, classes)
    if first == OTHER or (data[at] == _BLANK and second in (OTHER, MARK)):
        return _others_end(data, at + (first != OTHER), stop, classes)
    return _space_end(data, at, stop, FOREVER, True, classes)


@njit(cache=True, nogil=True)
def split(data, at, stop, pattern, classes, lengths):
    """Lengths of the words of data[at:stop] -> lengths uint32[stop - at]. Returns their number."""
    n = 0
    while at < stop:
        if pattern == OURS:
            end = _ours(data, at, stop, classes)
        elif pattern == GPT2:
            end = _gpt2(data, at, stop, classes)
        elif pattern == O200K:
            end = _o200k(data, at, stop, classes)
        else:
            end = _cl100k(data, at, stop, 3 if pattern == CL100K else 1, classes)
        lengths[n] = end - at
        n += 1
        at = end
    return n
