"""Entropy residuals: how far a document's entropies lie from those of good text of its length.

A bare bound on word entropy measures length: 3.5 nats are below every English text of 25 words and above none of 400
(measured). So the table holds the median and the median absolute deviation (MAD) of each entropy at each length, fitted
by ``bench/fit_entropy.py``; between its knots both are interpolated linearly in the length.

Evenness: where words are single characters, the word entropy is fitted to the number of words and of different words
as well (``evenness`` of the table): characters drawn at random from a text's own come more evenly than those of a text.

Three entropies see three kinds of damage: of words, repetition and word salad; of words given the word before,
repeated phrases and cut words; of characters given the one before, noise and what is no text. Words in a wrong order
change none of them (AUC 0.59 at telling such documents): that takes a model of language, ``filters.models.classifier``.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gristmill.filters.signals import _kernels_evenness
from gristmill.filters.signals.stage import RESIDUALS

TABLE = Path(__file__).with_name("entropy_table.json")
CJK_SHARE = 0.2  # share of characters from which a text is judged by the table of Han and kana text


@cache
def table() -> dict[str, Any]:
    """The fitted table: version, provenance, and knots (length, median_bits, mad_bits) a residual and kind."""
    return json.loads(TABLE.read_text(encoding="utf-8"))


def script_kind(cjk_share: np.ndarray) -> np.ndarray:
    """bool[n_docs]: judged as Han and kana text."""
    return cjk_share >= CJK_SHARE


def residual(name: str, signals: Mapping[str, np.ndarray]) -> np.ndarray:
    """(H - median(H | length)) / MAD(H | length), in MADs; 0 for texts shorter than the table's first knot.

    Parameters
    ----------
    name : in ``RESIDUALS``
    signals : its entropy and length, and cjk_share, by name; double[n_docs] each

    Returns
    -------
    double[n_docs]: below 0 is more repetitive than the median of good text of that length, above 0 more surprising
    """
    entropy_bits, lengths = (signals[column] for column in RESIDUALS[name])
    is_cjk = script_kind(signals["cjk_share"])
    found = np.zeros(len(lengths))
    for kind, chosen in (("cjk", is_cjk), ("spaced", ~is_cjk)):
        knots = table()["tables"][name][kind]
        at = np.asarray(knots["length"], np.float64)
        chosen = chosen & (lengths >= at[0])
        median = np.interp(lengths[chosen], at, knots["median_bits"])
        mad = np.interp(lengths[chosen], at, knots["mad_bits"])
        found[chosen] = (entropy_bits[chosen] - median) / mad
    return found


def evenness(signals: Mapping[str, np.ndarray]) -> np.ndarray:
    """double[n_docs], bits per word: word entropy beyond that of Han and kana text; 0 for other texts and for none.

    Parameters
    ----------
    signals : words, distinct_words, word_entropy_bits and cjk_share, by name; double[n_docs] each
    """
    words, distinct, entropy_bits = (
        np.ascontiguousarray(signals[name]) for name in ("words", "distinct_words", "word_entropy_bits")
    )
    found = np.empty(len(words))
    _kernels_evenness.evenness(words, distinct, entropy_bits, np.array(table()["evenness"]["fitted"]), found)
    return np.where(script_kind(signals["cjk_share"]) & (signals["words"] > 0), found, 0.0)
