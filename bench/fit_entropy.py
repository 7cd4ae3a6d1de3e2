"""Fit filters/entropy_table.json: median and MAD of word entropy by length, on the good text of samples/.

    python bench/fit_entropy.py [--out filters/entropy_table.json]

Windows of n words are cut from each document, at most WINDOWS a file and length, so that no long book dominates.
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

from corpus._kernels import tokenise, word_capacity
from corpus.columns import text_column
from filters import _kernels
from filters.entropy import script_kind
from filters.scratch import make_scratch

VERSION = "1"
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
MIN_WINDOWS = 30  # a knot with fewer is left out
NAMES = {name: number for number, name in enumerate(_kernels.NAMES)}


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


def measured(texts: list[str]) -> np.ndarray:
    column = text_column(pa.record_batch({"text": pa.array(texts, pa.large_string())}))
    values = np.empty((column.n_docs, len(NAMES)))
    keys, bits = np.zeros(16, np.uint64), np.zeros((16, len(_kernels.LANGUAGES)), np.uint64)
    _kernels.measure(*column, keys, bits, make_scratch(word_capacity(column.offsets)), values)
    return values


def knots(entropies: dict[int, np.ndarray]) -> dict[str, list[float]]:
    fitted = {n: values for n, values in entropies.items() if len(values) >= MIN_WINDOWS}
    medians = [float(np.median(values)) for values in fitted.values()]
    mads = [float(np.median(np.abs(values - np.median(values)))) for values in fitted.values()]
    return {
        "words": list(fitted),
        "median_bits": [round(value, 4) for value in medians],
        "mad_bits": [round(value, 4) for value in mads],
        "windows": [len(values) for values in fitted.values()],
    }


def fit() -> dict:
    corpora = {name: texts_of(SAMPLES / name) for name in FILES}
    found = {"spaced": {}, "cjk": {}}
    for n in KNOTS:
        cut = [[window for text in texts for window in windows(text, n)] for texts in corpora.values()]
        values = measured([window for found_in_file in cut for window in spread(found_in_file, WINDOWS)])
        is_cjk = script_kind(values[:, NAMES["cjk_share"]])
        found["spaced"][n] = values[~is_cjk, NAMES["word_entropy_bits"]]
        found["cjk"][n] = values[is_cjk, NAMES["word_entropy_bits"]]
    sha256 = {name: hashlib.sha256((SAMPLES / name).read_bytes()).hexdigest() for name in FILES}
    return {
        "version": VERSION,
        "fitted_by": "bench/fit_entropy.py",
        "sources": sha256,
        "tables": {kind: knots(values) for kind, values in found.items()},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=SAMPLES.parent / "filters" / "entropy_table.json")
    parser.parse_args().out.write_text(json.dumps(fit(), indent=1) + "\n", encoding="utf-8")
