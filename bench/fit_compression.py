"""Fit filters/models/compression_table.json: median and MAD of zstd_ratio by bytes and kind, on good text of samples/.

    python bench/fit_compression.py [--out filters/models/compression_table.json]

Windows of so many bytes are cut between characters from each document, at most WINDOWS a file and length. The kinds are
bytes a character: ASCII, two-byte scripts, three-byte scripts. A knot with few windows is left out.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

import numpy as np
import pyarrow as pa

from bench.fit_entropy import FILES, SAMPLES, spread, texts_of
from gristmill.filters.models.compression import KINDS, library_versions, ratios

VERSION, LEVEL = "1", 3
KNOTS = (200, 400, 800, 1600, 3200, 6400, 12_800, 25_600)
WINDOWS, MIN_WINDOWS = 300, 30


def windows(text: str, n_bytes: int) -> list[str]:
    """``text`` cut into stretches of n_bytes, less a character cut in two at either end."""
    data = text.encode()
    return [data[at : at + n_bytes].decode("utf-8", "ignore") for at in range(0, len(data) - n_bytes + 1, n_bytes)]


def kind_of(text: str) -> str:
    wide = len(text.encode()) / max(len(text), 1)
    return next(kind for kind, limit in KINDS if wide < limit)


def knots(corpora: list[list[str]], kind: str) -> dict[str, list[float]]:
    """length, median, mad, windows of one kind, an entry a length."""
    rows = []
    for n_bytes in KNOTS:
        cut = [[one for text in texts for one in windows(text, n_bytes)] for texts in corpora]
        chosen = [one for found in cut for one in spread([one for one in found if kind_of(one) == kind], WINDOWS)]
        if len(chosen) >= MIN_WINDOWS:
            found = ratios(pa.array(chosen), LEVEL)
            median = float(np.median(found))
            rows.append((n_bytes, round(median, 4), round(float(np.median(np.abs(found - median))), 4), len(chosen)))
    return dict(zip(("length", "median", "mad", "windows"), map(list, zip(*rows, strict=True)), strict=True))


def fit() -> dict:
    corpora = [texts_of(SAMPLES / name) for name in FILES]
    return {
        "version": VERSION,
        "fitted_by": "bench/fit_compression.py",
        "zstd": library_versions()["zstd"],
        "level": LEVEL,
        "sources": {name: hashlib.sha256((SAMPLES / name).read_bytes()).hexdigest() for name in FILES},
        "tables": {kind: knots(corpora, kind) for kind, _ in KINDS},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=SAMPLES.parent / "filters" / "compression_table.json")
    parser.parse_args().out.write_text(json.dumps(fit(), indent=1) + "\n", encoding="utf-8")
