"""Clustering at 1x, 4x and 16x: peak memory, CPU time, and whether planted copies are found.

    python bench/scale.py [--data DIR] [--quick] [--json] [--gigabytes 0.125,0.5,2]

Inputs are seeded edits of real documents with planted near copies (bench/planted.py), in parts of 64 MB of text. Each
size is made in one process and measured in another: signatures part by part, then clusters over all, as a run does.
Peak memory is of the whole process (VmHWM), kernels, libraries and the resident pages of mapped files included.
"""

import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import Comparison, options, say

SCHEME = {"threshold": 0.8, "hashes": 128, "bands": None, "rows": None, "shingle_words": 5}


def make(folder: Path, data: Path | None, n_bytes: int) -> tuple[list[Path], list[tuple[str, str]]]:
    """Write the documents of one size; their parts and the planted pairs."""
    from bench.planted import documents, real_texts, write_documents

    return write_documents(folder, documents(real_texts(data), n_bytes))


def work(documents: list[Path], folder: Path) -> dict:
    """Signatures of every part, then the clusters; the facts of the clustering."""
    from gristmill.corpus.measuring import measure_part
    from gristmill.dedup.clusters.cluster import cluster_documents
    from gristmill.dedup.clusters.stage import SIGNATURES, SignatureOptions

    signatures = []
    for path in documents:
        signatures.append(folder / path.stem / "signatures.parquet")
        signatures[-1].parent.mkdir()
        measure_part(
            SIGNATURES, path, signatures[-1].parent, SignatureOptions(shingle_words=5, hashes=SCHEME["hashes"], seed=1)
        )
    clusters = folder / "clusters"
    clusters.mkdir()
    return dict(cluster_documents(signatures, documents, clusters, **SCHEME).facts)


def measure(documents: list[Path], folder: Path, warm: list[Path]) -> dict:
    """CPU seconds and peak memory of the work, after the kernels were loaded on a little input."""
    work(warm, Path(tempfile.mkdtemp(dir=folder)))
    begin = time.process_time()
    facts = work(documents, folder)
    return {"seconds": time.process_time() - begin, "peak_mb": _peak_mb(), "documents": facts["documents"]}


def _peak_mb() -> float:
    """Peak resident memory since this program was started; ru_maxrss would include that of the one which started it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024 / 1e6


def found_share(folder: Path, pairs: list[tuple[str, str]]) -> float:
    """Share of the planted copies that share a cluster with their original."""
    import pyarrow.parquet as pq

    table = pq.read_table(folder / "clusters" / "clusters.parquet", columns=["doc_id", "cluster"])
    cluster_of = dict(zip(*(table[name].to_pylist() for name in ("doc_id", "cluster")), strict=True))
    return sum(cluster_of[a] == cluster_of[b] for a, b in pairs) / max(len(pairs), 1)


def in_own_process(function, *arguments):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def measure_size(n_bytes: int, data: Path | None) -> dict:
    """Everything about one size."""
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / kind for kind in ("documents", "warm", "work")]
        for folder in folders:
            folder.mkdir()
        paths, pairs = in_own_process(make, folders[0], data, n_bytes)
        warm, _ = in_own_process(make, folders[1], data, 1 << 20)
        found = in_own_process(measure, paths, folders[2], warm)
        found["found"] = in_own_process(found_share, folders[2], pairs)
    return found | {"pairs": len(pairs), "gigabytes": n_bytes / 1e9}


def comparisons(sizes: list[dict]) -> list[Comparison]:
    """Every size against the smallest."""
    first, lines = sizes[0], []
    for size in sizes:
        times = size["gigabytes"] / first["gigabytes"]
        rate, base = size["seconds"] / size["gigabytes"], first["seconds"] / first["gigabytes"]
        per_document = (size["peak_mb"] - first["peak_mb"]) * 1e6 / max(size["documents"] - first["documents"], 1)
        what = f"{size['gigabytes']:g} GB, {size['documents']:,} documents"
        memory, seconds, peak = size["peak_mb"] / first["peak_mb"], rate / base, round(size["peak_mb"], 1)
        found = size["found"]
        lines += [
            Comparison(f"peak memory at {times:g}x", "1x", "-", "MB", peak, round(first["peak_mb"], 1), memory,
                       "<= 1.2x", memory <= 1.2, peak, f"{what}; {per_document:.0f} bytes a document above 1x"),
            Comparison(f"CPU time at {times:g}x", "1x", "-", "CPU-s/GB", rate, base, seconds,
                       "<= 1.15x", seconds <= 1.15, peak, what),
            Comparison(f"planted copies at {times:g}x", "planted", "-", "share found", found, 1.0, found,
                       ">= 0.99x", found >= 0.99, peak, f"{size['pairs']:,} pairs"),
        ]  # fmt: skip
    return lines


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--gigabytes", help="sizes of text, smallest first, as 0.5,2,8")
    arguments = parser.parse_args()
    chosen = arguments.gigabytes or ("0.02,0.08" if arguments.quick else "0.125,0.5,2")
    sizes = [measure_size(int(float(size) * 1e9), arguments.data) for size in chosen.split(",")]
    for found in comparisons(sizes):
        say(found, arguments.json)


if __name__ == "__main__":
    main()
