r"""Lines and paragraphs of a document: how they begin and end, sentences, C4's line rules.

A line ends at a line feed; text behind the last feed is a line when it is not empty (str.splitlines at \n only).
A text line has more than white space. "Stripped" is without white space at both ends, as by str.strip.
"""

# ruff: noqa: SIM109 - numba compares faster than it searches a tuple

from gristmill.corpus.text._kernels import (
    K0,
    K1,
    K2,
    ONE,
    U64,
    below,
    continuations,
    count_chars,
    ctz,
    equal_mask,
    high_mask,
    load64,
    load_upto8,
    mum,
)
from gristmill.corpus.text._kernels_jit import kernel, leaf
from gristmill.filters.signals._kernels_phrases import JAVASCRIPT, LOREM, POLICY, find_phrases

# places in ``found``
LINES, TEXT_LINES, TEXT_CHARS, SPACE_LINES, SENTENCES, SHORT = range(6)
BULLETS, DOLMA_BULLETS, DCLM_BULLETS, ELLIPSES, DOLMA_ELLIPSES, DCLM_ELLIPSES = range(6, 12)
PUNCT_ENDS, SENTENCE_ENDS, C4_LINES, C4_SENTENCES, JAVASCRIPT_LINES, POLICY_LINES, LOREM_LINES = range(12, 19)
N_FOUND = 19

SHORT_CHARS = 30  # FineWeb
LONG_WORD_CHARS = 1000  # C4
MIN_LINE_WORDS = 3  # C4
_STEP = 62  # of 64: the last two bytes are left to the next block, so that sequences of three are seen whole
# three bytes of a character as one number
_IDEOGRAPHIC_STOP, _HALF_STOP, _WIDE_BANG, _WIDE_QUESTION = 0xE38082, 0xEFBDA1, 0xEFBC81, 0xEFBC9F
_ELLIPSIS, _BULLET, _DISC = 0xE280A6, 0xE280A2, 0xE2978F
_CLOSE_QUOTE, _CLOSE_QUOTES, _CLOSE_CORNER, _CLOSE_CORNERS = 0xE28099, 0xE2809D, 0xE3808D, 0xE3808F
_DANDA, _DANDAS = 0xE0A5A4, 0xE0A5A5
_ARABIC_QUESTION, _ARABIC_STOP = 0xD89F, 0xDB94


@leaf
def is_ascii_space(byte):
    """str.isspace below 128."""
    return 9 <= byte <= 13 or 28 <= byte <= 32


@leaf
def find_newline(data, at, stop):
    """Place of the next line feed, ``stop`` when there is none."""
    while at < stop:
        bits = equal_mask(data, at, 10)
        if bits:
            return min(at + ctz(bits), stop)
        at += 64
    return stop


@leaf
def _three(data, at):
    """Three bytes at ``at`` as one number."""
    return (U64(data[at]) << U64(16)) | (U64(data[at + 1]) << U64(8)) | U64(data[at + 2])


@leaf
def _is_wide_end(three):
    """A full-width . ! or ?, or the half-width ideographic one."""
    return three == _IDEOGRAPHIC_STOP or three == _WIDE_BANG or three == _WIDE_QUESTION or three == _HALF_STOP


@leaf
def _wide_end_bits(data, at):
    """Bits where a full-width sentence end begins."""
    second, third = equal_mask(data, at, 0x80) >> ONE, equal_mask(data, at, 0x82) >> U64(2)
    ideographic = equal_mask(data, at, 0xE3) & second & third
    wide, half = equal_mask(data, at, 0xBC) >> ONE, equal_mask(data, at, 0xBD) >> ONE
    marks = (equal_mask(data, at, 0x81) | equal_mask(data, at, 0x9F)) >> U64(2)
    half_stop = half & equal_mask(data, at, 0xA1) >> U64(2)
    return ideographic | equal_mask(data, at, 0xEF) & (wide & marks | half_stop)


@leaf
def _sentence_end(data, at, stop):
    """Place behind a sentence end at ``at``, or -1.

    . ! ? count before white space or the line's end, one closing quote or bracket between; full-width ones
    count unless another follows.
    """
    if data[at] >= 0x80:
        return -1 if at + 6 <= stop and _is_wide_end(_three(data, at + 3)) else at + 3
    at += 1
    if at < stop and (data[at] == 34 or data[at] == 39 or data[at] == 41 or data[at] == 93):
        at += 1
    return at if at >= stop or is_ascii_space(data[at]) else -1


@kernel
def hash_and_count(data, start, stop):
    """(64-bit hash, characters) of data[start:stop], 16 bytes a step."""
    at, state, chars = start, K0, stop - start
    while stop - at > 16:
        first, second = load64(data, at), load64(data, at + 8)
        state = mum(first ^ state, second ^ K2)
        chars -= continuations(first) + continuations(second)
        at += 16
    left = stop - at
    first, second = load_upto8(data, at, left), load64(data, at + 8) & below(8 * min(max(left - 8, 0), 8))
    chars -= continuations(first) + continuations(second)
    return mum(mum(first ^ state, second ^ K2) ^ U64(stop - start), K1), chars


@kernel
def count_sentences(data, start, stop):
    """Sentences of a stripped line; text behind the last sentence end is one."""
    sentences, behind = 0, start
    for at in range(start, stop, _STEP):
        inside = below(min(stop - at, _STEP))
        ends = equal_mask(data, at, 46) | equal_mask(data, at, 33) | equal_mask(data, at, 63)
        if high_mask(data, at) & inside:
            ends |= _wide_end_bits(data, at)
        ends &= inside
        while ends:
            end = _sentence_end(data, at + ctz(ends), stop)
            ends &= ends - ONE
            if end >= 0:
                sentences += 1
                behind = end
    return sentences + (behind < stop)


@leaf
def _count_bullets(data, line, start, found):
    """How the line begins, in three readings."""
    first, three = data[start], _three(data, start)
    found[BULLETS] += first == 45 or three == _BULLET
    found[DOLMA_BULLETS] += data[line] == 45 or data[line] == 42
    found[DCLM_BULLETS] += first == 45 or first == 42 or three == _BULLET or three == _DISC


@leaf
def _last_bytes(data, start, stop):
    """The last three bytes of data[start:stop] as one number, fewer when there are fewer."""
    number = U64(0)
    for at in range(max(start, stop - 3), stop):
        number = number << U64(8) | U64(data[at])
    return number


@leaf
def _ends_with_dots(data, start, stop):
    """Whether data[start:stop] ends with three dots."""
    return stop - start >= 3 and data[stop - 1] == 46 and data[stop - 2] == 46 and data[stop - 3] == 46


@leaf
def _count_ends(data, start, stop, line_stop, found):
    """How the line ends: ellipses in three readings, punctuation in two."""
    three = _last_bytes(data, start, stop)
    dots, character = _ends_with_dots(data, start, stop), three == _ELLIPSIS
    spaced = stop - start >= 5 and data[stop - 2] == 32 and data[stop - 4] == 32
    spaced = spaced and data[stop - 1] == 46 and data[stop - 3] == 46 and data[stop - 5] == 46
    found[ELLIPSES] += dots or character
    found[DOLMA_ELLIPSES] += character and stop == line_stop
    found[DCLM_ELLIPSES] += dots or character or spaced
    found[PUNCT_ENDS] += _is_punct_end(data[line_stop - 1])
    found[SENTENCE_ENDS] += _is_punct_end(data[stop - 1]) or _ends_sentence(three)


@leaf
def _is_punct_end(byte):
    """. ! ? or an ASCII quote."""
    return byte == 46 or byte == 33 or byte == 63 or byte == 34 or byte == 39


@leaf
def _ends_sentence(three):
    """Sentence ends and closing quotes beyond ASCII, given the last three bytes."""
    two = three & U64(0xFFFF)
    quote = three == _CLOSE_QUOTE or three == _CLOSE_QUOTES or three == _CLOSE_CORNER or three == _CLOSE_CORNERS
    stop = _is_wide_end(three) or three == _DANDA or three == _DANDAS or two == _ARABIC_QUESTION or two == _ARABIC_STOP
    return quote or stop or three == _ELLIPSIS


@leaf
def _c4_keeps(data, start, stop, starts, ends, word, last_word):
    """C4's line rule: ends in . ? ! or a quote but not in three dots, three words, none over 1000 characters."""
    if last_word - word < MIN_LINE_WORDS or not _is_punct_end(data[stop - 1]) or _ends_with_dots(data, start, stop):
        return False
    if stop - start <= LONG_WORD_CHARS:
        return True
    for t in range(word, last_word):
        if ends[t] - starts[t] > LONG_WORD_CHARS and count_chars(data, starts[t], ends[t]) > LONG_WORD_CHARS:
            return False
    return True


@kernel
def measure_lines(data, start, stop, starts, ends, n_words, places, kinds, keys, key_chars, found):
    """Count lines into ``found``; hash and characters of text lines from the front of keys, of blank ones from its back.

    places, kinds: scratch for the phrases of the document.
    """
    found[:] = 0
    n_phrases = find_phrases(data, start, stop, places, kinds)
    word, line, phrase = 0, start, 0
    while line < stop:
        line_stop = find_newline(data, line, stop)
        found[LINES] += 1
        first_word = word
        while word < n_words and starts[word] < line_stop:
            word += 1
        if line_stop > line:
            key, chars = hash_and_count(data, line, line_stop)
            blank = word == first_word
            at = keys.size - 1 - found[SPACE_LINES] if blank else found[TEXT_LINES]
            keys[at], key_chars[at] = key, chars
            if blank:
                found[SPACE_LINES] += 1
            else:
                phrases_of = 0
                while phrase < n_phrases and places[phrase] < line_stop:
                    phrases_of |= kinds[phrase]
                    phrase += 1
                _measure_text_line(data, line, line_stop, chars, phrases_of, starts, ends, first_word, word, found)
        line = line_stop + 1


@leaf
def _measure_text_line(data, line, line_stop, chars, phrases_of, starts, ends, word, last_word, found):
    """Count one line with text, whose words are word .. last_word - 1 and which says phrases of the kinds ``phrases_of``."""
    start, stop = starts[word], ends[last_word - 1]  # stripped: from its first word to its last
    sentences = count_sentences(data, start, stop)
    found[TEXT_LINES] += 1
    found[TEXT_CHARS] += chars
    found[SHORT] += chars <= SHORT_CHARS
    found[SENTENCES] += sentences
    _count_bullets(data, line, start, found)
    _count_ends(data, start, stop, line_stop, found)
    found[JAVASCRIPT_LINES] += phrases_of & JAVASCRIPT != 0
    found[POLICY_LINES] += phrases_of & POLICY != 0
    found[LOREM_LINES] += phrases_of & LOREM != 0
    if not phrases_of & (JAVASCRIPT | POLICY) and _c4_keeps(data, start, stop, starts, ends, word, last_word):
        found[C4_LINES] += 1
        found[C4_SENTENCES] += sentences


@kernel
def measure_paragraphs(data, start, stop, keys, key_chars):
    """Hash and characters of the paragraphs of a stripped document: what two or more line feeds separate."""
    n, first, at = 0, start, start
    while first < stop:
        end = find_newline(data, at, stop)
        at = end
        while at < stop and data[at] == 10:
            at += 1
        if at - end >= 2 or end >= stop:
            keys[n], key_chars[n] = hash_and_count(data, first, end)
            n += 1
            first = at
    return n


@kernel
def count_ellipses(data, start, stop):
    """How often "..." occurs, without overlaps: a run of n dots holds n // 3."""
    found, at = 0, start
    while at < stop:
        dots = equal_mask(data, at, 46) & below(min(stop - at, 64))
        runs = dots & dots >> ONE & dots >> U64(2)
        if not runs:
            at += _STEP
            continue
        first = at + ctz(runs)
        at = first
        while at < stop and data[at] == 46:
            at += 1
        found += (at - first) // 3
    return found
