"""Fit filters/signals/entropy_table.json: median and MAD of each entropy by length, on the good text of samples/.

And the evenness of words: word entropy by the logarithms of words and different words, least squares on Han and kana
documents of 300 characters or more and on windows of them.

    python bench/fit_entropy.py [--out filters/signals/entropy_table.json]

Windows of n words are cut from each document, at most WINDOWS a file and length, so that no long book dominates; an
entropy that is conditioned on characters has its knots at the median length of those windows in characters.
Code is left out: it is judged by other rules. Below 25 words most texts repeat no word and the MAD is 0.
"""

import argparse
import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from gristmill.corpus.text._kernels import tokenise, word_capacity
from gristmill.corpus.text.columns import text_column
from gristmill.filters.signals.entropy import RESIDUALS, script_kind
from gristmill.filters.signals.measure import measure_columns

VERSION = "3"
SAMPLES = Path(__file__).resolve().parent.parent / "samples"
FILES = (
    "books/austen.jsonl.zst",
    "books/debian-handbook.jsonl.zst",
    "docs/gnome-help.parquet",
    "docs/man-pages.parquet",
    "docs/python-docs.parquet",
    "legal/debian-policy.parquet",
    "legal/spdx-licenses.parquet",
    "legal/state-of-the-union.parquet",
    "reference/world-factbook.parquet",
)
KNOTS = (25, 35, 50, 70, 100, 140, 200, 280, 400, 560, 800, 1120, 1600, 2240, 3200, 4500, 6400)
WINDOWS = 400
EVEN_CHARS, EVEN_KNOTS, EVEN_WINDOWS = 300, (200, 400, 800, 1600, 3200, 6400), 3000
MIN_WINDOWS = 30  # a knot with fewer is left out


def texts_of(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        return pq.read_table(path, columns=["text"])["text"].to_pylist()
    with path.open("rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8", newline="\n")
        return [json.loads(line)["text"] for line in lines]


def windows(text: str, n_words: int) -> list[str]:
    """``text`` cut into stretches of n_words words; the rest is left."""
    column = text_column(pa.record_batch({"text": [text]}))
    starts, ends = np.empty((2, word_capacity(column.offsets)), np.int64)
    n = tokenise(column.data, 0, column.offsets[1], starts, ends)
    cuts = range(0, n - n_words + 1, n_words)
    return [column.data[starts[at] : ends[at + n_words - 1]].tobytes().decode() for at in cuts]


def spread(found: list[str], most: int) -> list[str]:
    """At most ``most`` of them, evenly spaced."""
    return [found[at] for at in np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).astype(int))]


def sampled(corpora: list[list[str]], n_words: int) -> dict[str, np.ndarray]:
    """Signals of windows of n_words words, the same number from each corpus where it has them."""
    cut = [[window for text in texts for window in windows(text, n_words)] for texts in corpora]
    chosen = [window for found in cut for window in spread(found, WINDOWS)]
    return measure_columns(text_column(pa.record_batch({"text": pa.array(chosen, pa.large_string())})))


def knots(samples: list[dict[str, np.ndarray]], name: str, cjk: bool) -> dict[str, list[float]]:
    """length, median_bits, mad_bits of one residual and kind of script, an entry a length."""
    entropy, length = RESIDUALS[name]
    rows = []
    for signals in samples:
        chosen = script_kind(signals["cjk_share"]) == cjk
        if chosen.sum() >= MIN_WINDOWS:
            values = signals[entropy][chosen]
            median = np.median(values)
            mad = np.median(np.abs(values - median))
            rows.append((int(np.median(signals[length][chosen])), round(median, 4), round(mad, 4), int(chosen.sum())))
    return dict(zip(("length", "median_bits", "mad_bits", "windows"), zip(*rows, strict=True), strict=True))


def fitted_evenness(corpora: list[list[str]]) -> list[float]:
    """Intercept, bits by log2(words + 1), bits by log2(different words + 1)."""
    long = [text for texts in corpora for text in texts if len(text) >= EVEN_CHARS]
    signals = measure_columns(text_column(pa.record_batch({"text": pa.array(long, pa.large_string())})))
    cjk = [text for text, is_cjk in zip(long, script_kind(signals["cjk_share"]), strict=True) if is_cjk]
    cut = spread([window for n in EVEN_KNOTS for text in cjk for window in windows(text, n)], EVEN_WINDOWS)
    signals = measure_columns(text_column(pa.record_batch({"text": pa.array([*cjk, *cut], pa.large_string())})))
    logs = (np.log2(signals[name] + 1) for name in ("words", "distinct_words"))
    factors = np.column_stack([np.ones(len(cjk) + len(cut)), *logs])
    return np.linalg.lstsq(factors, signals["word_entropy_bits"], rcond=None)[0].round(4).tolist()


def fit() -> dict:
    corpora = [texts_of(SAMPLES / name) for name in FILES]
    samples = [sampled(corpora, n_words) for n_words in KNOTS]
    kinds = {"spaced": False, "cjk": True}
    return {
        "version": VERSION,
        "fitted_by": "bench/fit_entropy.py",
        "sources": {name: hashlib.sha256((SAMPLES / name).read_bytes()).hexdigest() for name in FILES},
        "evenness": {"fitted": fitted_evenness(corpora)},
        "tables": {name: {kind: knots(samples, name, cjk) for kind, cjk in kinds.items()} for name in RESIDUALS},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=SAMPLES.parent / "filters" / "signals" / "entropy_table.json")
    parser.parse_args().out.write_text(json.dumps(fit(), indent=1) + "\n", encoding="utf-8")
