"""What the entropy score weighs, from counts: some thirty features of a document, in six groups.

Features that depend on the language are measured against clean text of the language that the reference takes the text
for, in robust standard deviations of its class. A class is a kind of script (with capitals, without, without spaces)
and whether the reference holds much of the language.
"""

from collections.abc import Mapping

import numpy as np

from gristmill.filters.models import _kernels_known as known
from gristmill.filters.models import _kernels_marks as marks
from gristmill.filters.models._kernels_evidence import LOOKED, REPEATED
from gristmill.filters.signals._kernels_entropy import log2_all

GROUPS = {
    "characters": ("bits", "rare", "known", "first", "first_rel", "votes", "freq", "mutual"),
    "order": ("pair", "neg", "paired", "capdiff", "linediff", "badbr", "badbrw", "asc"),
    "languages": ("top", "second", "agree"),
    "noise": ("inside", "digin", "humps", "controls", "symbols", "long", "letters", "upper", "digits", "punct"),
    "words": ("wordlen", "words_sd", "singles", "ends", "caps"),
    "repetition": ("repeat",),
}
FEATURES = tuple(name for names in GROUPS.values() for name in names)
RISING = (
    "bits",
    "rare",
    "neg",
    "inside",
    "digin",
    "humps",
    "controls",
    "badbr",
    "badbrw",
    "repeat",
    "symbols",
    "long",
    "digits",
)
FALLING = ("known", "pair", "capdiff", "linediff", "agree", "top", "second", "paired")
BY_LANGUAGE = (
    "bits", "rare", "known", "first", "first_rel", "votes", "top", "agree", "pair", "neg", "paired", "freq", "mutual",
    "wordlen", "words_sd", "letters", "singles", "caps", "asc", "ends", "punct", "capdiff",
)  # fmt: skip
CLASSES = 6
LONGEST_MEAN = 12  # characters of a word and the space behind it
WELL_KNOWN_UNITS = 978  # log2(40,000) tokens, in 1/64: from here the reference knows a language well


def features_of(evidence: np.ndarray, mutual: np.ndarray) -> dict[str, np.ndarray]:
    """Each feature, double[n_docs], from ``gather``'s counts."""

    def mark(column: int) -> np.ndarray:
        return evidence[:, column].astype(np.float64)

    def count(column: int) -> np.ndarray:
        return evidence[:, marks.N_COUNTS + column].astype(np.float64)

    chars, letters = np.maximum(mark(marks.CHARS), 1), np.maximum(mark(marks.LETTERS), 1)
    words = np.maximum(mark(marks.WORDS), chars / LONGEST_MEAN)  # where words are not separated, as many as elsewhere
    tokens = np.maximum(count(known.TOKENS), 1)
    votes, pairs = count(known.VOTES), count(known.PAIRS)
    found = {
        "bits": count(known.BITS) / known.COST_UNITS / chars,
        "rare": np.minimum(count(known.RARE) / letters, 1.5),
        "known": np.minimum(count(known.KNOWN) / letters, 1.5),
        "first": count(known.FIRST_BITS) / known.COST_UNITS / np.maximum(count(known.FIRSTS), 1),
        "votes": votes / chars,
        "top": (count(known.TOP) + 1) / (votes + 2),
        "second": (count(known.SECOND) + 1) / (votes + 2),
        "agree": (count(known.AGREE) + 1) / (votes + 2),
        "pair": count(known.PAIR_GAIN) / known.LOG_UNITS / (pairs + 5),
        "neg": count(known.NEGATIVE) / (pairs + 5),
        "paired": pairs / tokens,
        "freq": count(known.FREQUENT) / tokens,
        "letters": mark(marks.LETTERS) / chars,
        "upper": mark(marks.UPPERS) / letters,
        "digits": mark(marks.DIGITS) / chars,
        "punct": mark(marks.PUNCTS) / chars,
        "symbols": mark(marks.SYMBOLS) / chars,
        "controls": mark(marks.CONTROLS) / chars,
        "wordlen": log2_all(chars / words),
        "words_sd": log2_all(1 + np.maximum(mark(marks.SQUARES) / words - ((chars - words) / words) ** 2, 0)),
        "long": mark(marks.LONG_CHARS) / chars,
        "inside": mark(marks.INSIDE) / words,
        "digin": mark(marks.DIGIT_INSIDE) / words,
        "humps": mark(marks.HUMPS) / words,
        "ends": mark(marks.ENDS) / words,
        "caps": mark(marks.CAPITALS) / words,
        "badbr": mark(marks.BAD_BRACKETS) / (mark(marks.BRACKETS) + 4),
        "badbrw": mark(marks.BAD_BRACKETS) / words,
        "asc": mark(marks.ASCENDING) / words,
        "singles": mark(marks.SINGLES) / words,
        "repeat": evidence[:, REPEATED] / np.maximum(evidence[:, LOOKED], 1),
        "mutual": mutual,
    }
    found["first_rel"] = found["first"] - found["bits"]
    return found | _order(mark, words)


def _order(mark, words: np.ndarray) -> dict[str, np.ndarray]:  # noqa: ANN001
    """Capitals behind sentence ends, and sentence ends at line ends, beyond those elsewhere; 0 where none can be."""
    ends, capitals, lines = mark(marks.ENDS), mark(marks.END_CAPITALS), mark(marks.LONG_LINES)
    behind = (capitals + 1) / (ends + 2)
    elsewhere = (mark(marks.CAPITALS) - capitals + 1) / (np.maximum(words - ends, 0) + 2)
    at_lines = (mark(marks.LINE_ENDS) + 0.5) / (lines + 1)
    inside = (ends - mark(marks.LINE_ENDS) + 0.5) / (np.maximum(words - lines, 0) + 1)
    has_capitals = mark(marks.UPPERS) > 0.01 * mark(marks.LETTERS)
    return {
        "capdiff": np.where(has_capitals, (behind - elsewhere) * np.minimum(ends, 6) / 6, 0),
        "linediff": np.where(lines > 0, (at_lines - inside) * np.minimum(lines, 4) / 4, 0),
    }


def class_of(evidence: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """int64[n_docs]: 0, 1 with capitals; 2, 3 without; 4, 5 without spaces; odd where the reference holds much."""
    letters = np.maximum(evidence[:, marks.LETTERS], 1)
    unspaced, caseless = 2 * evidence[:, marks.UNSPACED] > letters, 2 * evidence[:, marks.CASELESS] > letters
    language = evidence[:, marks.N_COUNTS + known.LANGUAGE]
    return np.where(unspaced, 4, np.where(caseless, 2, 0)) + (totals[language] >= WELL_KNOWN_UNITS)


def against_language(
    found: Mapping[str, np.ndarray], classes: np.ndarray, languages: np.ndarray, centres: np.ndarray, scales: np.ndarray
) -> dict[str, np.ndarray]:
    """The same features, those of ``BY_LANGUAGE`` against clean text.

    Parameters
    ----------
    centres : double[classes, languages, features]
    scales : double[classes, features]
    """
    out = dict(found)
    for at, name in enumerate(BY_LANGUAGE):
        values = (found[name] - centres[classes, languages, at]) / scales[classes, at]
        out[name] = np.clip(values, -8, 8)
    return out
