"""Fit the entropy score: filters/models/entropy_{characters,tokens,totals}.npy and entropy_weights.json.

    python bench/fit_entropy_score.py --data DIR [--out filters/models] [--bound]

1. The reference: n-grams counted on the collections of all FOLDS (bench/entropy_texts.py). No test collection is read.
2. Weights: windows of each fold, clean and damaged, are measured under a reference of the other folds, so that no text
   is judged by its own collection. An additive model (piecewise linear in each feature, rising or falling where the
   damage says so) is fitted by logistic regression: one curve for all classes of script, and one of each class that
   is held close to it.
3. --bound: the score again with one fold left out of step 2; 99 of 100 of its clean windows lie below the bound.
"""

import argparse
import json
import random
import sys
import time
import unicodedata
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pyarrow as pa
from scipy.optimize import minimize

from bench.entropy_damages import DAMAGES, Clean, Words, damage, words_of
from bench.entropy_texts import CODE, FOLDS, Window, clean_windows, documents_of
from bench.fit_entropy_reference import fit_tables
from gristmill.corpus.text.columns import text_column
from gristmill.filters.models import _kernels_known as known
from gristmill.filters.models import _kernels_marks as marks
from gristmill.filters.models.entropy_features import (
    BY_LANGUAGE,
    CLASSES,
    FALLING,
    FEATURES,
    RISING,
    against_language,
    class_of,
    features_of,
)
from gristmill.filters.models.entropy_score import Tables, gather, points_of, read_weights
from gristmill.filters.models.shipped import ENTROPY_WEIGHTS

EXTRA = ("ast", "ckb", "haw", "hil", "nds", "nso", "bcl")  # without a code of two letters
TYPED_BARE = ("pl", "cs", "ro", "tr", "hr", "sl", "lt", "hu", "es", "pt", "fr", "it", "ca")
NO_PROSE = ("code", "math", "lists")
WINDOWS_OF_FOLD = ((40, 20, 5), (40, 20, 6), (4, 0, 1))
LEAST_WINDOWS = 15  # of a language, for a centre of its own
WORDS_MOST, WORDS_OF_LARGE = 400_000, 3_000_000
BY_DEVIATION = [-6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6]
KNOTS = {
    "repeat": [0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8],
    "controls": [0, 0.001, 0.005, 0.02, 0.1],
    "symbols": [0, 0.01, 0.02, 0.04, 0.08, 0.16],
    "long": [0, 0.02, 0.05, 0.1, 0.3, 0.8],
    "digits": [0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5],
    "inside": [0, 0.01, 0.02, 0.04, 0.07, 0.12, 0.2, 0.4],
    "digin": [0, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6],
    "humps": [0, 0.01, 0.03, 0.08, 0.2, 1, 2],
    "badbr": [0, 0.1, 0.2, 0.35, 0.5, 0.8],
    "badbrw": [0, 0.005, 0.01, 0.02, 0.05],
    "upper": [0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6],
    "linediff": [-0.3, 0, 0.1, 0.2, 0.4, 0.6, 0.9],
}
CURVES = {name: np.array(KNOTS.get(name, BY_DEVIATION), np.float64) for name in FEATURES}
RIDGE, RIDGE_OF_CLASS = 0.5, 3.0
STEPS = {"maxiter": 200}  # of some 1,600: the last bit of a sum moves points by up to 1.3; see docs/decisions/0050
EMPHASIS = {  # kinds that stood near the bound count more, kinds far beyond it less: 21 are dropped by half, not 18
    "keyboard_mash": 5, "word_shuffle_doc": 1.6, "word_shuffle_line": 1.6, "salad_unigram": 1.3, "words_cut": 1.3,
    "nav_menu": 1.3, "ocr_8": 1.3, "language_mix_words": 1.2, "base64_line": 0.3, "base64_lines": 0.3,
    "random_bytes": 0.3, "number_table": 0.3, "log_dump": 0.3,
}  # fmt: skip


def words_by_language(data: Path, collections: Sequence[str]) -> dict[str, Words]:
    """The words that damages of a language draw from."""
    words: dict[str, list[str]] = {}
    for (language, _, domain), texts in documents_of(data, collections).items():
        if language in CODE or domain == "math":
            continue
        own = words.setdefault(language, [])
        most = WORDS_OF_LARGE if language in ("en", "de", "zh") else WORDS_MOST
        for text in texts:
            if len(own) > most:
                break
            own += words_of(text, language)
    return {language: Words(language, own) for language, own in words.items() if len(own) > 300}


def damaged_windows(
    windows: Sequence[Window], words: dict[str, Words], per_kind: int, seed: str, kinds: Sequence = DAMAGES
) -> list[tuple[str, Window]]:
    """(kind, damaged window): of each language at most ``per_kind`` windows of each kind."""
    rng, found = random.Random(seed), []
    by_language: dict[str, list[Window]] = {}
    for window in windows:
        if window.language in words and window.domain not in NO_PROSE:
            by_language.setdefault(window.language, []).append(window)
    for language, own in sorted(by_language.items()):
        others = [one for one in sorted(words) if one != language]
        for kind in kinds:
            for number, window in enumerate(rng.sample(own, min(per_kind, len(own)))):
                clean = Clean(window.text, words[language], words[rng.choice(others)])
                bad = damage(kind, clean, f"{seed}:{language}:{number}")
                if bad:
                    found.append((kind.__name__, window._replace(text=bad)))
    return found


class Measurements(NamedTuple):
    """Windows of one fold or all, as arrays."""

    features: dict[str, np.ndarray]
    classes: np.ndarray
    languages: np.ndarray
    kinds: np.ndarray
    domains: np.ndarray
    folds: np.ndarray


def measure_windows(windows: list[tuple[str, Window]], reference: Tables, fold: int) -> Measurements:
    texts = pa.array([window.text for _, window in windows], pa.large_string())
    evidence, mutual = gather(text_column(pa.record_batch({"text": texts})), reference)
    return Measurements(
        features_of(evidence, mutual),
        class_of(evidence, reference.totals),
        evidence[:, marks.N_COUNTS + known.LANGUAGE],
        np.array([kind for kind, _ in windows]),
        np.array([window.domain for _, window in windows]),
        np.full(len(windows), fold),
    )


def joined(some: Sequence[Measurements]) -> Measurements:
    features = {name: np.concatenate([one.features[name] for one in some]) for name in some[0].features}
    rest = (np.concatenate(column) for column in list(zip(*some, strict=True))[1:])
    return Measurements(features, *rest)


def chosen(found: Measurements, which: np.ndarray) -> Measurements:
    features = {name: values[which] for name, values in found.features.items()}
    return Measurements(features, *(column[which] for column in found[1:]))


def windows_of_fold(data: Path, fold: int) -> list[tuple[str, Window]]:
    """Clean and damaged windows of a fold."""
    return windows_to_fit(data, FOLDS[fold], WINDOWS_OF_FOLD[fold], f"fold {fold}")


def windows_to_fit(
    data: Path, collections: Sequence[str], numbers: tuple[int, int, int], seed: str
) -> list[tuple[str, Window]]:
    """Clean windows, every second of them also in one line, some also without accents, and damaged ones.

    Parameters
    ----------
    numbers : clean windows of a language and collection at most, of these lists, damaged ones of a language and kind
    """
    most, lists, per_kind = numbers
    clean = clean_windows(data, collections, most, lists)
    flat = [one._replace(text=" ".join(one.text.split())) for one in clean[::2]]
    flat += [one._replace(text=unaccented(one.text)) for one in clean[1::4] if one.language in TYPED_BARE]
    words = words_by_language(data, collections)
    return [("clean", one) for one in (*clean, *flat)] + damaged_windows(clean, words, per_kind, seed)


def unaccented(text: str) -> str:
    """As it is typed without the keys for accents.

    >>> unaccented("Zażółć gęślą jaźń")
    'Zazolc gesla jazn'
    """
    apart = unicodedata.normalize("NFD", text.replace("ł", "l").replace("Ł", "L").replace("ı", "i"))
    return "".join(one for one in apart if not unicodedata.combining(one))


def texts_by_language(data: Path, collections: Sequence[str]) -> dict[str, list[str]]:
    """Texts to count, those of the collections of a language in turn."""
    groups: dict[str, list[list[str]]] = {}
    for (language, collection, _), texts in documents_of(data, collections).items():
        name = "code" if language in CODE else "math" if collection == "metamath-set.mm" else language
        if len(name) == 2 or name in ("code", "math", *EXTRA):
            groups.setdefault(name, []).append(texts)
    return {name: [text for row in zip_longest(*some) for text in row if text] for name, some in groups.items()}


def centre(found: Measurements) -> tuple[list[dict], np.ndarray]:
    """Medians of clean prose by class, and by language where there are enough; robust deviations by class."""
    clean = (found.kinds == "clean") & ~np.isin(found.domains, NO_PROSE) & (found.folds != 2)
    rows, scales = [], np.empty((CLASSES, len(BY_LANGUAGE)))
    values = np.stack([found.features[name] for name in BY_LANGUAGE], axis=1)
    for number in range(CLASSES):
        own = clean & (found.classes == number)
        own = own if own.sum() >= 10 else clean & (found.classes // 2 == number // 2)
        low, middle, high = np.quantile(values[own], (0.1, 0.5, 0.9), axis=0)
        scales[number] = np.maximum((high - low) / 2.56, 1e-3)
        languages = {}
        for language in np.unique(found.languages[own]):
            some = own & (found.languages == language)
            n = int(some.sum())
            if n >= LEAST_WINDOWS:
                languages[int(language)] = (n * np.median(values[some], axis=0) + 10 * middle) / (n + 10)
        rows.append({"class": middle, "languages": languages})
    return rows, scales


def deviations(found: Measurements, rows: list[dict], scales: np.ndarray) -> dict[str, np.ndarray]:
    centres = np.stack([np.tile(row["class"], (known.LANGUAGES, 1)) for row in rows])
    for number, row in enumerate(rows):
        for language, values in row["languages"].items():
            centres[number, language] = values
    return against_language(found.features, found.classes, found.languages, centres, scales)


def ramps(features: dict[str, np.ndarray]) -> np.ndarray:
    """double[n, steps]: how much of each step between two knots a value has climbed."""
    climbed = [
        np.clip((features[name][:, None] - knots[:-1]) / (knots[1:] - knots[:-1]), 0, 1)
        for name, knots in CURVES.items()
    ]
    return np.hstack(climbed)


OWN = np.concatenate([np.full(len(knots) - 1, at) for at, knots in enumerate(CURVES.values())])


def weigh(found: Measurements) -> np.ndarray:
    """As much damage as clean text in each class, each kind alike; small classes and rare domains count more."""
    weights = np.zeros(len(found.kinds))
    kinds = sorted({*found.kinds} - {"clean"})
    special = np.isin(found.domains, [*NO_PROSE, "chat", "forum", "poetry"])
    for number in range(CLASSES):
        clean = (found.classes == number) & (found.kinds == "clean")
        n = int(clean.sum())
        up = max(1.0, 300 / max(n, 1)) ** 0.7
        weights[clean] = up
        weights[clean & special] *= 2
        for kind in kinds:
            some = (found.classes == number) & (found.kinds == kind)
            weights[some] = up * n / len(kinds) / max(some.sum(), 5)
    weights = np.minimum(weights, 20)
    for kind, factor in EMPHASIS.items():
        weights[found.kinds == kind] *= factor
    weights[(found.kinds == "clean") & np.isin(found.domains, ("code", "math"))] *= 2
    weights[(found.kinds == "clean") & (found.domains == "forum")] *= 1.5
    weights[(found.kinds == "clean") & (found.classes >= 2)] *= 1.3
    return np.minimum(weights, 60)


def fit_curves(climbed: np.ndarray, found: Measurements) -> tuple[np.ndarray, np.ndarray]:
    """(steps double[classes, steps], constants double[classes])."""
    n, classes, weights, bad = climbed.shape[1], found.classes, weigh(found), (found.kinds != "clean").astype(float)
    of_class = [classes == number for number in range(CLASSES)]

    def cost(theta: np.ndarray) -> tuple[float, np.ndarray]:
        shared, own, constants = theta[:n], theta[n:-CLASSES].reshape(CLASSES, n), theta[-CLASSES:]
        z = climbed @ shared + constants[classes]
        for number, some in enumerate(of_class):
            z[some] += climbed[some] @ own[number]
        loss = (weights * (np.logaddexp(0, z) - bad * z)).sum() + RIDGE / 2 * shared @ shared
        loss += RIDGE_OF_CLASS / 2 * (own**2).sum() + 0.01 * constants @ constants
        error = weights * (1 / (1 + np.exp(-np.clip(z, -35, 35))) - bad)
        slopes = [climbed[some].T @ error[some] + RIDGE_OF_CLASS * own[number] for number, some in enumerate(of_class)]
        last = np.bincount(classes, error, CLASSES) + 0.02 * constants
        return loss, np.concatenate([climbed.T @ error + RIDGE * shared, *slopes, last])

    names = list(CURVES)
    low = [0.0 if names[at] in RISING else None for at in OWN]
    high = [0.0 if names[at] in FALLING else None for at in OWN]
    bounds = list(zip(low, high, strict=True)) * (CLASSES + 1) + [(None, None)] * CLASSES
    start = np.zeros(n * (CLASSES + 1) + CLASSES)
    theta = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds, options=STEPS).x
    return theta[:n] + theta[n:-CLASSES].reshape(CLASSES, n), theta[-CLASSES:]


def fit_weights(found: Measurements, languages: Sequence[str]) -> dict:
    """The JSON form: see ``entropy_score.read_weights``."""
    rows, scales = centre(found)
    climbed = ramps(deviations(found, rows, scales))
    steps, constants = fit_curves(climbed, found)
    points, start = {name: [] for name in CURVES}, []
    for number in range(CLASSES):
        clean = (found.kinds == "clean") & (found.classes == number)
        means, total = (climbed[clean].mean(axis=0) if clean.any() else climbed.mean(axis=0)) * steps[number], 0.0
        for at, name in enumerate(CURVES):
            own = at == OWN
            curve = np.concatenate([[0], np.cumsum(steps[number][own])]) - means[own].sum()
            points[name].append([round(float(value), 3) for value in curve])
            total += means[own].sum()
        start.append(round(float(constants[number] + total), 3))

    def short(values: np.ndarray) -> list[float]:
        return [float(f"{value:.4g}") for value in values]

    return {
        "fitted_by": "bench/fit_entropy_score.py",
        "languages": list(languages),
        "scales": [short(row) for row in scales],
        "centres": [
            {
                "class": short(row["class"]),
                "languages": {
                    languages[number - 1]: short(values) for number, values in row["languages"].items() if number
                },
            }
            for row in rows
        ],
        "knots": {name: knots.tolist() for name, knots in CURVES.items()},
        "points": points,
        "start": start,
    }


def reference(data: Path, collections: Sequence[str], names: Sequence[str]) -> Tables:
    """Counts of some collections; a language has the number of its place in ``names``, from 1."""
    texts = texts_by_language(data, collections)
    return fit_tables({names.index(name) + 1: some for name, some in texts.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ENTROPY_WEIGHTS.parent)
    parser.add_argument("--bound", action="store_true", help="and the bound that each fold's clean text asks for")
    asked = parser.parse_args()
    names = sorted(texts_by_language(asked.data, sum(FOLDS, ())))
    measured = []
    for fold in range(len(FOLDS)):
        others = reference(asked.data, sum(FOLDS[:fold] + FOLDS[fold + 1 :], ()), names)
        measured.append(measure_windows(windows_of_fold(asked.data, fold), others, fold))
        print(f"fold {fold}: {len(measured[-1].kinds)} windows, {time.process_time():.0f} CPU s", flush=True)
    stored = fit_weights(joined(measured), names)
    (asked.out / "entropy_weights.json").write_text(json.dumps(stored) + "\n", encoding="utf-8")
    for name, table in reference(asked.data, sum(FOLDS, ()), names)._asdict().items():
        np.save(asked.out / f"entropy_{name}.npy", table)
    print(f"written, {time.process_time():.0f} CPU s", flush=True)
    if asked.bound:
        show_bounds(joined(measured), names)


def show_bounds(found: Measurements, names: Sequence[str]) -> None:
    """99 of 100 clean windows of a fold that no weight has seen lie below."""
    for fold in (0, 1):
        held = chosen(found, (found.folds == fold) & (found.kinds == "clean"))
        fitted = read_weights(fit_weights(chosen(found, found.folds != fold), names))
        scores = points_of(held.features, held.classes, held.languages, fitted)[-1]
        print(f"fold {fold} held out: 98, 99, 99.5 % below {np.quantile(scores, (0.98, 0.99, 0.995)).round(2)}")


if __name__ == "__main__":
    main()
