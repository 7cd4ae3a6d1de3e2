"""JSONL and Parquet in and out, beside pyarrow, polars, DuckDB and Daft: one codec, one level, equal texts.

    python bench/io.py [--data DIR] [--quick] [--json]

In: the mill's own reading of a file to documents.parquet, which also makes ids and hashes and checks every record; the
others read the same file and write it as Parquet. Out: documents.parquet to JSONL and to Parquet as an export has them.
Parquet is zstd at level 1 everywhere, with row groups as each makes them. MB of text per CPU second of all threads, the
best of three; ``equal``: every text that was written, in order. ``limit`` is 1 / (1 / read + 1 / write): reading alone
by the fastest of pyarrow and polars, and writing alone from memory likewise. Texts are in NFC and hold no CR, since the
mill would change the others.
"""

import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unicodedata import normalize

import polars as pl
import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import HOUSE, Comparison, cpu_seconds, options, peak_rss_mb, run_peer, say
from gristmill.corpus.tables import read_batches
from gristmill.flows.export.text_files import JsonLines, ParquetRows
from gristmill.sources.listing import list_files
from gristmill.sources.read import read_part
from gristmill.sources.spec import ReadSpec

CODEC = {"compression": "zstd", "compression_level": 1}
SAMPLES = (
    "docs/gnome-help.parquet",
    "docs/python-docs.parquet",
    "code/code.parquet",
    "reference/world-factbook.parquet",
)
TARGET = ">= 0.8 of the limit"


def texts(folder: Path | None, most_bytes: int) -> list[str]:
    """Texts of samples/ (or of --data), each a little different, until there are ``most_bytes``."""
    files = sorted((folder / "text").glob("*.parquet")) if folder else [HOUSE / "samples" / name for name in SAMPLES]
    tables = [pq.read_table(path) for path in files]
    columns = [table["text"].to_pylist() for table in tables if "text" in table.column_names]
    found = [normalize("NFC", one) for column in columns for one in column if "\r" not in one]
    drawn, size, turn = [], 0, 0
    while size < most_bytes:
        for text in found:
            drawn.append(f"{text}\n{turn}")
            size += len(text)
        turn += 1
    return drawn


def digest_of(column: pa.ChunkedArray) -> str:
    """Of all texts in order."""
    digest = hashlib.sha256()
    for text in column.to_pylist():
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def written(path: Path) -> str:
    """``digest_of`` what stands in a file."""
    if path.suffix == ".parquet":
        return digest_of(pq.read_table(path, columns=["text"])["text"])
    return digest_of(pa.chunked_array([[json.loads(line)["text"] for line in path.open()]]))


def mill_in(source: Path, target: Path) -> None:
    """As ``gristmill run`` reads a part."""
    folder = target.with_suffix("")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    files = list_files([str(source)], None, source="bench")
    read_part(files, ReadSpec("bench", "bench"), folder)
    (folder / "documents.parquet").rename(target)


def mill_out(source: Path, target: Path) -> None:
    """As ``gristmill export`` writes a part."""
    kind = ParquetRows if target.suffix == ".parquet" else JsonLines
    file = kind(target, pq.read_schema(source))
    for batch in read_batches(source):
        file.write(pa.Table.from_batches([batch]))
    file.close()


def read_arrow(path: Path) -> pa.Table:
    """By pyarrow."""
    return pq.read_table(path) if path.suffix == ".parquet" else pj.read_json(path, pj.ReadOptions(block_size=64 << 20))


def by_pyarrow(source: Path, target: Path) -> None:
    """File to file."""
    pq.write_table(read_arrow(source), target, **CODEC)


def read_polars(path: Path) -> pl.DataFrame:
    """By polars."""
    return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_ndjson(path)


def write_polars(frame: pl.DataFrame, path: Path) -> None:
    """By polars, at the same level."""
    if path.suffix == ".parquet":
        frame.write_parquet(path, compression="zstd", compression_level=1)
    else:
        frame.write_ndjson(path)


def by_polars(source: Path, target: Path) -> None:
    """File to file."""
    write_polars(read_polars(source), target)


def limit(source: Path, target: Path, n_bytes: int) -> float:
    """MB of text per CPU second that reading and writing alone leave room for."""
    readers: list[Callable[[Path], Any]] = [read_arrow, read_polars]
    read = min(cpu_seconds(lambda f=one: f(source))[0] for one in readers)
    frame, table = read_polars(source), read_arrow(source)
    write = cpu_seconds(lambda: write_polars(frame, target))[0]
    if target.suffix == ".parquet":
        write = min(write, cpu_seconds(lambda: pq.write_table(table, target, **CODEC))[0])
    return n_bytes / (read + write) / 1e6


def main() -> None:
    """Every way in and out."""
    arguments = options(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drawn = texts(arguments.data, 12 << 20 if arguments.quick else 60 << 20)
        n_bytes, expected = sum(len(text.encode()) for text in drawn), digest_of(pa.chunked_array([drawn]))
        table = pa.table({"id": [str(place) for place in range(len(drawn))], "text": drawn})
        pq.write_table(table, folder / "in.parquet", **CODEC)
        write_polars(pl.from_arrow(table), folder / "in.jsonl")
        mill_in(folder / "in.parquet", folder / "documents.parquet")
        works = [("in.jsonl", "parquet", mill_in), ("in.parquet", "parquet", mill_in)]
        works += [("documents.parquet", "jsonl", mill_out), ("documents.parquet", "parquet", mill_out)]
        for source, kind, mill in works:
            compare(folder / source, folder / f"out.{kind}", mill, n_bytes, expected, arguments.json)


def compare(source: Path, target: Path, mill: Callable[[Path, Path], None], n_bytes: int, expected: str, as_json: bool):
    """One way, ours and everybody's."""
    seconds, _ = cpu_seconds(lambda: mill(source, target))
    ours, equal = n_bytes / seconds / 1e6, written(target) == expected
    most = limit(source, target, n_bytes)
    share = f"limit {most:.0f}, ours {ours / most:.2f} of it"
    peers: dict[str, tuple[str, float, bool]] = {}
    for peer, by in (("pyarrow", by_pyarrow), ("polars", by_polars)):
        if peer == "polars" or target.suffix == ".parquet":
            seconds, _ = cpu_seconds(lambda b=by: b(source, target))
            peers[peer] = (version(peer), seconds, written(target) == expected)
    for peer in ("duckdb", "daft"):
        read = run_peer("io", "io_engines.py", {"engine": peer, "source": str(source), "target": str(target)})
        same = sorted_equal(target, expected, source)
        peers[peer] = (read["version"], read["seconds"], same)
    for peer, (number, spent, same) in peers.items():
        rate = n_bytes / spent / 1e6
        work = f"{'documents' if source.stem == 'documents' else source.suffix[1:]} to {target.suffix[1:]}"
        say(Comparison(work, peer, number, "MB/CPU s", round(ours, 1), round(rate, 1), round(ours / rate, 2), TARGET,
                       equal and same, peak_rss_mb(), share), as_json)  # fmt: skip


def sorted_equal(target: Path, expected: str, source: Path) -> bool:
    """Equal texts in order, or, of engines that promise no order, the same ones."""
    if written(target) == expected:
        return True
    both = (pl.read_ndjson(path) if path.suffix == ".jsonl" else pl.read_parquet(path) for path in (source, target))
    one, other = (frame["text"].sort() for frame in both)
    return one.equals(other)


if __name__ == "__main__":
    main()
