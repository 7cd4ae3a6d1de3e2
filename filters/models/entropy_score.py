"""The entropy score: how unlike clean text of its language a document is, as one number and its parts.

What characters cost under a reference of many languages, how tokens follow each other, whether one language speaks,
what is noise, how words are made, what repeats: each feature adds points, read from a curve that was fitted on clean
text and on 23 damages of it (bench/fit_entropy_score.py). The sum is about the logarithm of the odds of damage: below 0
for most clean text. It is stored part by part; a part is 0 for the mean of clean text.

The reference holds counts of n-grams by hash, and no text; it is memory-mapped. What it cannot tell: facts, style,
machine translation, words in an order that is grammatical.
"""

import json
from functools import cache, reduce
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from gristmill.corpus.stage import Measured
from gristmill.corpus.text.columns import TextColumn, text_column
from gristmill.filters.models import _kernels_evidence as kernels
from gristmill.filters.models import _kernels_known as known
from gristmill.filters.models import _kernels_marks as marks
from gristmill.filters.models import _kernels_repeats as repeats
from gristmill.filters.models.entropy_features import FEATURES, GROUPS, against_language, class_of, features_of
from gristmill.filters.models.shipped import ENTROPY_TABLES, ENTROPY_WEIGHTS
from gristmill.filters.models.stage import ENTROPY_PARTS, Entropy

NO_LANGUAGE = "none"


class Tables(NamedTuple):
    """N-grams of characters and of tokens, uint32[slots] each, and log2 of the tokens of each language in 1/64 bit."""

    characters: np.ndarray
    tokens: np.ndarray
    totals: np.ndarray


class Weights(NamedTuple):
    """What was fitted: clean text of each language, and the points of each feature."""

    languages: tuple[str, ...]  # by number, from 1 on
    centres: np.ndarray  # double[classes, languages, features by language]
    scales: np.ndarray  # double[classes, features by language]
    knots: dict[str, np.ndarray]  # double[knots]
    points: dict[str, np.ndarray]  # double[classes, knots], 0 for the mean of clean text
    start: np.ndarray  # double[classes]


class Scores(NamedTuple):
    """Of each document: the parts, the language it was compared with."""

    parts: dict[str, np.ndarray]  # double[n_docs] by name; the last is their sum
    languages: list[str]


@cache
def tables() -> Tables:
    """The shipped reference, mapped into memory."""
    return Tables(**{name: np.asarray(np.load(path, mmap_mode="r")) for name, path in ENTROPY_TABLES.items()})


@cache
def weights() -> Weights:
    """The shipped weights."""
    return read_weights(json.loads(ENTROPY_WEIGHTS.read_text(encoding="utf-8")))


def read_weights(stored: dict) -> Weights:
    """Weights from their JSON form: languages without a centre of their own have their class's."""
    n, width = known.LANGUAGES, len(stored["scales"][0])
    centres = np.empty((len(stored["scales"]), n, width))
    for number, row in enumerate(stored["centres"]):
        centres[number] = row["class"]
        for language, values in row["languages"].items():
            centres[number, stored["languages"].index(language) + 1] = values
    knots = {name: np.array(values, np.float64) for name, values in stored["knots"].items()}
    points = {name: np.array(values, np.float64) for name, values in stored["points"].items()}
    return Weights(
        tuple(stored["languages"]), centres, np.array(stored["scales"]), knots, points, np.array(stored["start"])
    )


@cache
def gains() -> np.ndarray:
    """int64: log2(1 + 2^(l / 64)) in 1/64, for l from -2048 to 4095."""
    return np.rint(np.log2(1 + 2.0 ** (np.arange(-2048, 4096) / known.LOG_UNITS)) * known.LOG_UNITS).astype(np.int64)


def gather(text: TextColumn, reference: Tables) -> tuple[np.ndarray, np.ndarray]:
    """All counts, int64[n_docs, N_EVIDENCE], and mutual bits, double[n_docs]."""
    room = marks.WHOLE + 64
    out, mutual = np.zeros((text.n_docs, kernels.N_EVIDENCE), np.int64), np.zeros(text.n_docs)
    shifts = [np.uint64(65 - len(one).bit_length()) for one in (reference.characters, reference.tokens)]
    kernels.gather(
        *text, reference.characters, shifts[0], reference.tokens, shifts[1], reference.totals, gains(),
        np.zeros(room, np.uint32), np.zeros(room, np.uint16),
        np.zeros((known.ORDER, known.BLOCK + 1), np.uint64), np.zeros((known.ORDER, known.BLOCK + 1), np.uint32),
        np.zeros((3, room), np.uint64), np.zeros(room, np.int64), np.zeros(known.LANGUAGES, np.int64),
        np.zeros(repeats.SLOTS, np.uint64), np.zeros(repeats.BUCKETS**2, np.int64),
        np.zeros(2 * repeats.BUCKETS, np.int64),
        out, mutual,
    )  # fmt: skip
    return out, mutual


def score(text: TextColumn, reference: Tables, fitted: Weights) -> Scores:
    """Parts and score of each document; all 0 for an empty one."""
    evidence, mutual = gather(text, reference)
    classes = class_of(evidence, reference.totals)
    numbers = evidence[:, marks.N_COUNTS + known.LANGUAGE]
    parts = points_of(features_of(evidence, mutual), classes, numbers, fitted)
    shown = evidence[:, marks.LETTERS] + evidence[:, marks.DIGITS] + evidence[:, marks.PUNCTS] > 0
    shown |= evidence[:, marks.CONTROLS] + evidence[:, marks.SYMBOLS] > 0
    parts = dict(zip((*GROUPS, "start", "score"), np.where(shown, parts, 0.0), strict=True))
    names = np.array([NO_LANGUAGE, *fitted.languages])
    return Scores(parts, names[numbers].tolist())


def points_of(found: dict[str, np.ndarray], classes: np.ndarray, languages: np.ndarray, fitted: Weights) -> np.ndarray:
    """double[parts, n_docs]: points of each group of features, the start of the class, the sum; four digits.

    Added up one after the other: np.sum groups its terms by the shape of the batch, and the fourth digit with them.
    """
    found = against_language(found, classes, languages, fitted.centres, fitted.scales)
    points = {name: _points(found[name], classes, fitted.knots[name], fitted.points[name]) for name in FEATURES}
    parts = [reduce(np.add, [points[name] for name in names]) for names in GROUPS.values()]
    rounded = np.round([*parts, fitted.start[classes]], 4)
    return np.vstack([rounded, np.round(reduce(np.add, rounded), 4)])


def _points(values: np.ndarray, classes: np.ndarray, knots: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points of a feature, linear between knots and level beyond them."""
    inside = np.clip(values, knots[0], knots[-1])
    at = np.clip(np.searchsorted(knots, inside, "right") - 1, 0, len(knots) - 2)
    share = (inside - knots[at]) / (knots[at + 1] - knots[at])
    return points[classes, at] * (1 - share) + points[classes, at + 1] * share


def prepare(options: Entropy, files: dict) -> tuple[Tables, Weights]:  # noqa: ARG001
    """The shipped reference and weights."""
    return tables(), weights()


def measure(batch: pa.RecordBatch, options: Entropy, state: tuple[Tables, Weights]) -> Measured:  # noqa: ARG001
    """Score, parts and language of each document.

    >>> texts = ["The mill stands by the river, and the wheel turns.", "x9 Q@ ~ zzkq |||| 0O0 vv;k"]
    >>> found = measure(pa.record_batch({"text": texts}), Entropy(), (tables(), weights()))
    >>> good, bad = found.columns["entropy_score"].to_pylist()
    >>> good < bad
    True
    """
    found = score(text_column(batch), *state)
    columns = {signal: pa.array(found.parts[name]) for name, signal in ENTROPY_PARTS.items()}
    return Measured({**columns, "entropy_language": pa.array(found.languages, pa.string())})
