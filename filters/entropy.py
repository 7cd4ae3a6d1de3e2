"""The entropy residual: how far a document's word entropy lies from that of good text of its length.

A bare bound on word entropy measures length: 3.5 nats are below every English text of 25 words and above none of 400
(measured). So the table holds the median and the median absolute deviation (MAD) of H at each length, fitted by
``bench/fit_entropy.py``; between its knots both are interpolated linearly in the number of words.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

TABLE = Path(__file__).with_name("entropy_table.json")
CJK_SHARE = 0.2  # share of characters from which a text is judged by the table of Han and kana text


@cache
def table() -> dict[str, Any]:
    """The fitted table: version, provenance, and knots (words, median_bits, mad_bits) for each kind of script."""
    return json.loads(TABLE.read_text(encoding="utf-8"))


def script_kind(cjk_share: np.ndarray) -> np.ndarray:
    """bool[n_docs]: judged as Han and kana text."""
    return cjk_share >= CJK_SHARE


def residual(words: np.ndarray, word_entropy_bits: np.ndarray, cjk_share: np.ndarray) -> np.ndarray:
    """(H - median(H | words)) / MAD(H | words), in MADs; 0 for texts shorter than the table's first knot.

    Parameters
    ----------
    words, word_entropy_bits, cjk_share : double[n_docs]

    Returns
    -------
    double[n_docs]: below -6 is more repetitive than nearly all good text of that length; above +6, word salad
    """
    found = np.zeros(len(words))
    for kind, chosen in (("cjk", script_kind(cjk_share)), ("spaced", ~script_kind(cjk_share))):
        knots = table()["tables"][kind]
        at = np.asarray(knots["words"], np.float64)
        chosen = chosen & (words >= at[0])
        median = np.interp(words[chosen], at, knots["median_bits"])
        mad = np.interp(words[chosen], at, knots["mad_bits"])
        found[chosen] = (word_entropy_bits[chosen] - median) / mad
    return found
