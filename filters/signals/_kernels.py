"""All signals of a batch in one pass over its text: the sub-kernels in order, and where their numbers go.

``out float64[n_docs, n_signals]``; a row holds the groups below one after the other, in this order. A share
or ratio whose denominator is 0 is 0.
"""

import gristmill.filters.signals._kernels_lines as lines
from gristmill.corpus.text._kernels import popc, tokenise
from gristmill.corpus.text._kernels_jit import kernel, leaf
from gristmill.filters.signals._kernels_chars import measure_chars
from gristmill.filters.signals._kernels_entropy import entropy, step_of
from gristmill.filters.signals._kernels_layout import (
    CHARS_END,
    DUPLICATES_END,
    ENTROPY_END,
    LINES_END,
    SIZE_END,
    STOPS_END,
    WORDS_END,
)
from gristmill.filters.signals._kernels_lines import count_ellipses, measure_lines, measure_paragraphs
from gristmill.filters.signals._kernels_repetition import climb, count_duplicates
from gristmill.filters.signals._kernels_words import count_symbol_words, measure_words, median_length


@kernel
def measure(offsets, data, stop_words, s, out):
    """out[d] = all signals of document d."""
    for doc in range(offsets.size - 1):
        out[doc, :] = 0.0
        if offsets[doc + 1] > offsets[doc]:
            _measure_document(data, offsets[doc], offsets[doc + 1], stop_words, s, out[doc])


@leaf
def _measure_document(data, start, stop, stop_words, s, out):
    """All signals of one document -> out float64[n_signals]."""
    chars, ellipses, byte_bits, char_bits = measure_chars(
        data, start, stop, s.counts, s.of_point, s.classes, s.points, s.class_counts
    )
    n = tokenise(data, start, stop, s.starts, s.ends)
    described = measure_words(data, s.starts, s.ends, n, stop_words, s.hashes, s.polynomial, s.char_sums, s.lengths)
    climb(n, s.hashes, s.polynomial, s.char_sums, chars, s.places, s.slots, s.table, s.top, s.dup, s.facts)
    paragraphs = _measure_lines(data, start, stop, n, s)
    for k in range(CHARS_END - SIZE_END):
        out[SIZE_END + k] = s.class_counts[k] / chars
    out[CHARS_END], out[CHARS_END + 1] = byte_bits, char_bits
    _put_word_entropies(n, s.facts, out[CHARS_END:ENTROPY_END])
    _put_sizes(stop - start, chars, n, described, paragraphs, s, out[:SIZE_END])
    _put_words(data, n, described, ellipses, start, stop, s, out[ENTROPY_END:WORDS_END])
    _put_stops(described, stop_words.languages, out[WORDS_END:STOPS_END])
    _put_lines(s.found, s.counts[0, 123], out[STOPS_END:LINES_END])
    _put_duplicates(chars, s.char_sums[n], data[start], data[stop - 1], paragraphs, s, out[LINES_END:DUPLICATES_END])
    _put_grams(s.top, s.dup, out[DUPLICATES_END:])


@leaf
def _measure_lines(data, start, stop, n, s):
    """Lines and paragraphs; copies[0] of text lines, [1] of lines of white space, [2] of paragraphs."""
    measure_lines(data, start, stop, s.starts, s.ends, n, s.phrases, s.points, s.keys, s.key_chars, s.found)
    blank = s.keys.size - s.found[lines.SPACE_LINES]
    count_duplicates(s.keys, s.key_chars, s.found[lines.TEXT_LINES], s.table, s.copies[0])
    count_duplicates(s.keys[blank:], s.key_chars[blank:], s.found[lines.SPACE_LINES], s.table, s.copies[1])
    paragraphs = 0
    if n > 0:
        paragraphs = measure_paragraphs(data, s.starts[0], s.ends[n - 1], s.keys, s.key_chars)
    count_duplicates(s.keys, s.key_chars, paragraphs, s.table, s.copies[2])
    return paragraphs


@leaf
def _over(part, whole):
    """Part / whole, 0 where there is no whole."""
    return part / whole if whole else 0.0


@kernel
def _put_sizes(n_bytes, chars, n, described, paragraphs, s, out):
    """The group "size"."""
    out[0], out[1], out[2] = n_bytes, chars, n
    out[3], out[4] = described[1], s.facts[0]
    out[5], out[6], out[7] = s.found[lines.SENTENCES], s.found[lines.LINES], s.found[lines.TEXT_LINES]
    out[8] = paragraphs


@kernel
def _put_word_entropies(n, facts, out):
    """Of the group "entropy" the two of words."""
    out[2] = entropy(facts[1], n)
    if n > 1:  # H(word | the one before) = H(pair) - H(first of the pair); the last word is first of none
        out[3] = max(0.0, entropy(facts[2], n - 1) - entropy(facts[1] - step_of(facts[3]), n - 1))


@kernel
def _put_words(data, n, described, ellipses, start, stop, s, out):
    """The group "words"."""
    alpha_words, content_words, content_chars, english, _, _ = described
    hashes, dots, newlines = s.counts[0, 35], s.counts[0, 46], s.counts[0, 10]
    out[0] = _over(content_chars, content_words)
    out[1] = median_length(s.lengths, n)
    out[2] = _over(alpha_words, n)
    out[3] = _over(hashes, n)
    out[4] = _over(ellipses + (count_ellipses(data, start, stop) if dots >= 3 else 0), n)
    out[5] = _over(newlines, n)
    if hashes or ellipses:
        out[6] = _over(count_symbol_words(data, start, stop, s.ends), n)
    out[7] = english


@kernel
def _put_stops(described, languages, out):
    """The group "stops": different stop words of each language; languages uint64[n_languages, 2] as the bits seen."""
    for language in range(languages.shape[0]):
        out[language] = popc(described[4] & languages[language, 0]) + popc(described[5] & languages[language, 1])


@kernel
def _put_lines(found, curly_brackets, out):
    """The group "lines"."""
    for k in range(6):
        out[k] = _over(found[lines.BULLETS + k], found[lines.LINES])
    text_lines = found[lines.TEXT_LINES]
    out[6] = _over(found[lines.PUNCT_ENDS], text_lines)
    out[7] = _over(found[lines.SENTENCE_ENDS], text_lines)
    out[8] = _over(found[lines.SHORT], text_lines)
    out[9] = _over(found[lines.C4_LINES], text_lines)
    for k in range(4):
        out[10 + k] = found[lines.C4_SENTENCES + k]
    out[14] = curly_brackets


@kernel
def _put_duplicates(chars, word_chars, first_byte, last_byte, paragraphs, s, out):
    """The group "duplicates"."""
    text, blank, paragraph = s.copies[0], s.copies[1], s.copies[2]
    text_lines, newlines = s.found[lines.TEXT_LINES], s.counts[0, 10]
    filled = text_lines + s.found[lines.SPACE_LINES]
    leading, trailing = first_byte == 10, last_byte == 10  # re.split leaves an empty string there
    out[0] = _over(text[0] + blank[0] + (leading and trailing), filled + leading + trailing)
    out[1] = _over(text[1] + blank[1], chars)
    out[2] = _over(paragraph[0], paragraphs)
    out[3] = _over(paragraph[1], chars)
    out[4] = _over(text[1], chars - newlines)
    empty = newlines + 1 - filled
    out[5] = _over(text[2] + blank[2] + (empty if empty > 1 else 0), newlines + 1)
    out[6] = _over(text[3] + blank[3], word_chars)
    out[7] = _over(text[2], text_lines)
    out[8] = _over(text[3], s.found[lines.TEXT_CHARS])
    out[9] = _over(paragraph[2], paragraphs)
    paragraph_chars = 0
    for k in range(paragraphs):
        paragraph_chars += s.key_chars[k]
    out[10] = _over(paragraph[3], paragraph_chars)


@kernel
def _put_grams(top, dup, out):
    """The group "grams": readings A, B, C one after the other."""
    for reading in range(3):
        for k in range(3):
            out[9 * reading + k] = top[reading, k]
        for k in range(6):
            out[9 * reading + 3 + k] = dup[reading, k]
