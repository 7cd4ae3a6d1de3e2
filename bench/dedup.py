"""Near duplicates, file to file and text to signature, against datatrove and rensa.

    python bench/dedup.py [--data DIR] [--quick] [--json]

1. Parquet in, Parquet without near duplicates out, MB of text per CPU second. Ours verifies every candidate and reports
   clusters and pairs beside; datatrove believes its bands. Both with 14 bands of 8 rows; both must bring the planted
   copies together.
2. Text to 128-value MinHash signatures, against rensa fed with Python lists of shingles, which is how Python calls it.
3. With --data: recall on the gold pairs of Jaccard 0.8 or more against what the curve promises, precision of the
   verified edges by a naive recount, and datatrove on the same documents.

English text, as datatrove tokenises by one language. Ours is the fastest of three runs, datatrove's its only one;
imports, kernels and tokenisers are warm for both.
"""

import functools
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.compare import Comparison, cpu_seconds, options, peak_rss_mb, run_peer, say
from bench.planted import documents, real_texts, write_rows
from gristmill.corpus.measuring import measure_part
from gristmill.corpus.schema import DOCUMENTS
from gristmill.corpus.tables import read_batches, read_part, write_part
from gristmill.dedup.clusters.cluster import cluster_documents
from gristmill.dedup.clusters.curve import choose_bands, collision_probability
from gristmill.dedup.clusters.minhash import measure
from gristmill.dedup.clusters.stage import SIGNATURES, SignatureOptions

THRESHOLD, HASHES, WIDTH, SEED = 0.8, 128, 5, 1
CHOSEN = {"hashes": HASHES, "bands": None, "rows": None}
DATATROVE = {"hashes": 112, "bands": 14, "rows": 8}
QUICK_BYTES, SAMPLE_BYTES, DATA_BYTES = 2 << 20, 8 << 20, 24 << 20


def naive_shingles(text: str) -> set[tuple[str, ...]]:
    """Word 5-grams of English text, by Python alone."""
    words = "".join(char if char.isalnum() else " " for char in text.lower()).split()
    return {tuple(words[i : i + WIDTH]) for i in range(max(len(words) - WIDTH + 1, 1))}


def naive_jaccard(one: str, other: str) -> float:
    a, b = naive_shingles(one), naive_shingles(other)
    return len(a & b) / len(a | b)


def deduplicate(source: Path, folder: Path, scheme: dict) -> Path:
    """Ours from file to file; returns a folder with clusters, pairs and kept documents."""
    out = Path(tempfile.mkdtemp(dir=folder))
    measure_part(SIGNATURES, source, out, SignatureOptions(shingle_words=WIDTH, hashes=scheme["hashes"], seed=SEED))
    signatures = [out / "signatures.parquet"]
    cluster_documents(signatures, [source], out, threshold=THRESHOLD, shingle_words=WIDTH, **scheme)
    clusters = read_part(out / "clusters.parquet")
    keep, start = pc.equal(clusters["doc_id"], clusters["cluster"]).combine_chunks(), 0

    def kept():
        nonlocal start
        for batch in read_batches(source):
            yield batch.filter(keep.slice(start, batch.num_rows))
            start += batch.num_rows

    write_part(out / "kept.parquet", DOCUMENTS, kept())
    return out


def together(pairs: list[tuple[str, str]], cluster_of: dict) -> list[bool]:
    return [a in cluster_of and cluster_of[a] == cluster_of.get(b) for a, b in pairs]


def file_to_file(
    rows: list[tuple], pairs: list[tuple[str, str]], folder: Path, scheme: dict
) -> tuple[dict, dict, Path]:
    """Both systems on the same documents: CPU seconds, documents kept, which of ``pairs`` are in one cluster."""
    source = folder / "source"
    source.mkdir()
    path, plain = folder / "documents.parquet", source / "documents.parquet"
    write_rows(path, rows)
    pq.write_table(read_part(path, ["doc_id", "text"]), plain)
    deduplicate(path, folder, scheme)  # warm
    seconds, out = cpu_seconds(lambda: deduplicate(path, folder, scheme))
    clusters = read_part(out / "clusters.parquet")
    cluster_of = dict(zip(clusters["doc_id"].to_pylist(), clusters["cluster"].to_pylist(), strict=True))
    ours = {
        "seconds": seconds,
        "found": together(pairs, cluster_of),
        "kept": pq.read_metadata(out / "kept.parquet").num_rows,
    }
    theirs = run_peer("dedup", "dedup_datatrove.py", {"source": str(source), "folder": str(folder / "datatrove")})
    theirs |= {"seconds": theirs["cpu_seconds"], "found": together(pairs, theirs["clusters"])}
    return ours, theirs, out


def near(rows: list[tuple], folder: Path) -> Comparison:
    pairs = [(row[2], row[0]) for row in rows if row[2]]
    ours, theirs, _ = file_to_file(rows, pairs, folder, DATATROVE)
    megabytes = sum(len(row[1].encode()) for row in rows) / 1e6
    both = np.array([ours["found"], theirs["found"]])
    note = (
        f"{megabytes:.1f} MB, {len(rows):,} documents; of {len(pairs):,} planted pairs ours {both[0].sum():,}, "
        f"datatrove {both[1].sum():,}, both {both.all(axis=0).sum():,}; kept {ours['kept']:,} and {theirs['kept']:,}"
    )
    rate, other = megabytes / ours["seconds"], megabytes / theirs["seconds"]
    equal = bool((both.mean(axis=1) >= 0.99).all())
    return Comparison(
        "near-duplicate removal, file to file", "datatrove minhash", theirs["version"], "MB/CPU-s",
        rate, other, rate / other, ">= 150x", equal, peak_rss_mb(), note,
    )  # fmt: skip


def signatures(rows: list[tuple], folder: Path) -> Comparison:
    texts = pa.array([row[1] for row in rows], pa.large_string())
    batches = pa.table({"doc_id": [row[0] for row in rows], "text": texts}).to_batches(max_chunksize=500)
    call = functools.partial(measure, shingle_words=WIDTH, hashes=HASHES, seed=SEED)
    call(batches[0])
    seconds, found = cpu_seconds(lambda: [call(batch)[1] for batch in batches])
    matrix, place = np.concatenate(found), {row[0]: i for i, row in enumerate(rows)}
    pairs = [(row[2], row[0]) for row in rows if row[2]][:400]
    errors = [
        (matrix[place[a]] == matrix[place[b]]).mean() - naive_jaccard(rows[place[a]][1], rows[place[b]][1])
        for a, b in pairs
    ]
    rmse = math.sqrt(np.square(errors).mean())
    pq.write_table(pa.Table.from_batches(batches), folder / "texts.parquet")
    theirs = run_peer("dedup", "dedup_rensa.py", {"source": str(folder / "texts.parquet"), "pairs": pairs})
    megabytes = pc.sum(pc.binary_length(texts)).as_py() / 1e6
    rate, other = megabytes / seconds, megabytes / theirs["cpu_seconds"]
    note = (
        f"root mean square error of the estimate over {len(pairs)} planted pairs: {rmse:.4f} and {theirs['rmse']:.4f}"
    )
    return Comparison(
        "MinHash of 128 values, text in", "rensa RMinHash, Python lists", theirs["version"], "MB/CPU-s",
        rate, other, rate / other, ">= 15x", rmse <= 0.03 and theirs["rmse"] <= 0.03, peak_rss_mb(), note,
    )  # fmt: skip


def gold(data: Path, folder: Path) -> Iterator[Comparison]:
    """Recall and precision on the labelled documents, with the scheme that the mill chooses by itself."""
    table = pq.read_table(data / "gold" / "neardup_docs.parquet")
    text_of = dict(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))
    truth = pq.read_table(data / "gold" / "neardup_pairs.parquet").filter(pc.field("jaccard_w5") >= THRESHOLD)
    pairs = list(zip(truth["a"].to_pylist(), truth["b"].to_pylist(), strict=True))
    rows = [(doc_id, text, None) for doc_id, text in text_of.items()]
    ours, theirs, out = file_to_file(rows, pairs, folder, CHOSEN)
    edges = {(row["a"], row["b"]): row["jaccard"] for row in read_part(out / "pairs.parquet").to_pylist()}
    yield promised(pairs, truth["jaccard_w5"].to_pylist(), text_of, set(edges))
    yield recounted(edges, text_of)
    recalls = [float(np.mean(side["found"])) for side in (ours, theirs)]
    yield Comparison(
        "gold pairs in one cluster", "datatrove minhash", theirs["version"], "recall",
        *recalls, recalls[0] / recalls[1], ">= 1x", recalls[0] >= recalls[1], peak_rss_mb(),
        f"kept {ours['kept']:,} and {theirs['kept']:,} of {len(rows):,}",
    )  # fmt: skip


def promised(pairs: list, jaccards: list[float], text_of: dict[str, str], edges: set) -> Comparison:
    """Share of the gold pairs that are verified edges, or equal texts, against the curve."""
    stands: dict[str, str] = {}
    for doc_id in sorted(text_of):
        stands.setdefault(text_of[doc_id], doc_id)
    named = [tuple(sorted((stands[text_of[a]], stands[text_of[b]]))) for a, b in pairs]
    scheme = choose_bands(THRESHOLD, HASHES)
    recall = float(np.mean([a == b or (a, b) in edges for a, b in named]))
    promise = float(
        np.mean(
            [collision_probability(1.0 if a == b else j, *scheme) for (a, b), j in zip(named, jaccards, strict=True)]
        )
    )
    return Comparison(
        "gold pairs verified", "the curve's promise", "-", "recall",
        recall, promise, recall / promise, ">= 0.99x", recall >= 0.99 * promise, peak_rss_mb(),
        f"{len(pairs):,} pairs of Jaccard 0.8 or more; {scheme[0]} bands of {scheme[1]} rows",
    )  # fmt: skip


def recounted(edges: dict, text_of: dict[str, str]) -> Comparison:
    """Share of the verified edges whose Jaccard a naive recount confirms."""
    plain = {pair: j for pair, j in edges.items() if all(text_of[side].isascii() for side in pair)}
    right = [abs(naive_jaccard(text_of[a], text_of[b]) - j) < 1e-9 and j >= THRESHOLD for (a, b), j in plain.items()]
    return Comparison(
        "verified edges", "a naive recount", "-", "precision", float(np.mean(right)), 1.0, float(np.mean(right)),
        "1.0", all(right), peak_rss_mb(), f"{len(plain):,} of {len(edges):,} edges, those of ASCII texts",
    )  # fmt: skip


def main() -> None:
    arguments = options(__doc__).parse_args()
    size = QUICK_BYTES if arguments.quick else DATA_BYTES if arguments.data else SAMPLE_BYTES
    rows = list(documents(real_texts(arguments.data), size))
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / work for work in ("near", "gold")]
        for folder in folders:
            folder.mkdir()
        say(near(rows, folders[0]), arguments.json)
        say(signatures(rows, folders[0]), arguments.json)
        for found in gold(arguments.data, folders[1]) if arguments.data else ():
            say(found, arguments.json)


if __name__ == "__main__":
    main()
