"""One pass over the small columns of documents, signals and language: histograms, languages, licences, hosts.

Text is never read. Memory is bounded by a part's small columns, beside 12 bytes a kept document.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from gristmill.corpus.errors import CardError
from gristmill.corpus.receipt import Receipt
from gristmill.corpus.rundir import RunDir

FolderOf = Callable[[Receipt], Path]
HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@]*@)?([^/?#:]+)"
POWERS_OF_TWO = [0.0, *(float(1 << k) for k in range(25))]  # documents end at 16 MiB unless the recipe says more
EDGES: dict[str, list[float]] = {
    "bytes": POWERS_OF_TWO,
    "words": POWERS_OF_TWO,
    "byte_entropy_bits": np.linspace(0, 8, 33).tolist(),
    "word_entropy_bits": np.linspace(0, 16, 33).tolist(),
    "word_entropy_residual": np.linspace(-10, 10, 41).tolist(),
}
MEASURES = (pl.len().alias("documents"), pl.col("bytes").sum(), pl.col("kept").sum())
TOP_HOSTS = 20
TOP_LICENCES = 12


def profile(run: RunDir, folder_of: FolderOf) -> dict[str, Any]:
    """Histograms of lengths and entropies, and documents, bytes and kept by language, licence and host."""
    histograms: dict[str, dict[str, Any]] = {}
    tables: dict[str, list[pl.DataFrame]] = {"lang": [], "license": [], "host": []}
    for part, units in _parts(run, folder_of):
        for name in EDGES:
            if name in part.columns:
                _count(histograms.setdefault(name, _empty(name, units[name])), part[name], part["kept"])
        for name, frames in tables.items():
            keys = ["source", name] if name == "license" else [name]
            frames.append(part.group_by(keys).agg(*MEASURES))
    for histogram in histograms.values():
        histogram["mean"] = histogram.pop("total") / max(sum(histogram["documents"]), 1)
    return {
        "signals": histograms,
        "languages": _ranked(tables["lang"], ["lang"]),
        "licenses": _ranked(tables["license"], ["source", "license"]),
        "hosts": _ranked([frame.drop_nulls("host") for frame in tables["host"]], ["host"])[:TOP_HOSTS],
    }


def _parts(run: RunDir, folder_of: FolderOf) -> Iterator[tuple[pl.DataFrame, dict[str, str]]]:
    """Each part's small columns: source, license, lang, host, bytes, kept and the shown signals; units by signal."""
    stages = ["documents", "signals", *(["language"] if run.has("language") else [])]
    manifests = [run.manifest(stage).parts for stage in stages]
    if len({tuple(part.rows for part in parts) for parts in manifests}) != 1:
        raise CardError(f"{run.path}: {', '.join(stages)} do not align part by part; `gristmill run` the recipe again")
    kept = _kept_rows(folder_of(run.manifest("decide").parts[0]) / "kept.parquet")
    for number, receipts in enumerate(zip(*manifests, strict=True)):
        folders = [folder_of(receipt) for receipt in receipts]
        signals, units = _signals(folders[1] / "signals.parquet")
        columns = [_documents(folders[0] / "documents.parquet"), signals]
        if len(folders) == 3:
            found = pl.read_parquet(folders[2] / "language.parquet", columns=["lang_id"])
            columns.append(found.rename({"lang_id": "lang_found"}))
        mask = np.zeros(receipts[0].rows, bool)
        mask[kept.get(number, [])] = True
        part = pl.concat([*columns, pl.DataFrame({"kept": mask})], how="horizontal")
        yield part.with_columns(lang=pl.coalesce("lang_found", "lang") if len(folders) == 3 else "lang"), units


def _kept_rows(path: Path) -> dict[int, np.ndarray]:
    kept = pl.read_parquet(path, columns=["part", "row"])
    return {int(frame["part"][0]): frame["row"].to_numpy() for frame in kept.partition_by("part")}


def _documents(path: Path) -> pl.DataFrame:
    documents = pl.read_parquet(path, columns=["source", "lang", "license", "url"])
    return documents.with_columns(host=pl.col("url").str.extract(HOST).str.to_lowercase()).drop("url")


def _signals(path: Path) -> tuple[pl.DataFrame, dict[str, str]]:
    schema = pq.read_schema(path)
    if "bytes" not in schema.names:
        raise CardError(f"{path.name} of stage signals has no column 'bytes'; a card needs it for every table of sizes")
    shown = [name for name in EDGES if name in schema.names]
    units = {name: (schema.field(name).metadata or {}).get(b"unit", b"").decode() for name in shown}
    return pl.read_parquet(path, columns=shown), units


def _empty(name: str, unit: str) -> dict[str, Any]:
    bins = len(EDGES[name]) - 1
    return {"unit": unit, "edges": EDGES[name], "documents": [0] * bins, "kept": [0] * bins, "total": 0.0}


def _count(histogram: dict[str, Any], values: pl.Series, kept: pl.Series) -> None:
    """Add a part; values beyond the edges count in the outermost bins, NaN nowhere."""
    column = values.to_numpy()
    known = ~np.isnan(column)
    clipped = np.clip(column, histogram["edges"][0], histogram["edges"][-1])
    for key, mask in (("documents", known), ("kept", known & kept.to_numpy())):
        counts, _ = np.histogram(clipped[mask], histogram["edges"])
        histogram[key] = [a + int(b) for a, b in zip(histogram[key], counts, strict=True)]
    low, high, total = (column[known].min(), column[known].max(), column[known].sum()) if known.any() else (0, 0, 0)
    histogram["lowest"] = min(histogram.get("lowest", float(low)), float(low))
    histogram["highest"] = max(histogram.get("highest", float(high)), float(high))
    histogram["total"] += float(total)


def _ranked(frames: list[pl.DataFrame], keys: list[str]) -> list[dict[str, Any]]:
    if not frames:
        return []
    rows = pl.concat(frames).group_by(keys).agg(pl.col("documents", "bytes", "kept").sum()).to_dicts()
    return [
        {key: row[key] for key in keys} | {name: int(row[name]) for name in ("documents", "bytes", "kept")}
        for row in sorted(rows, key=lambda row: (-row["documents"], [str(row[key]) for key in keys]))
    ]
