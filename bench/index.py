"""The band index of a nightly run: clusters after the last of five snapshots, from the index and from scratch.

    python bench/index.py [--data DIR] [--quick] [--json]

Five snapshots of real texts and seeded edits of them, with near copies in each and of earlier ones (``planted``).
An index follows four snapshots; then the fifth comes. Ours: the index is brought in step and says the clusters of all
five. Theirs: ``clusters.cluster_documents`` over all five. Once with five snapshots of one size, once with a last one
of a sixteenth, as a night brings. Signatures are there for both: a run makes those of new
parts only. ``equal``: clusters.parquet, pairs.parquet and all facts are the same, byte for byte. The last line
says what an index costs that starts from nothing. CPU seconds, the fastest of three on copies of the same index.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import Comparison, cpu_seconds, options, peak_rss_mb, say
from bench.planted import documents, real_texts, write_documents
from gristmill.corpus.measuring import measure_part
from gristmill.corpus.receipt import Outcome
from gristmill.dedup.band_index import follow
from gristmill.dedup.clusters.cluster import cluster as clusters
from gristmill.dedup.clusters.stage import CLUSTERS, SIGNATURES, SignatureOptions

SNAPSHOTS = 5
SCHEME = {"threshold": 0.8, "hashes": 128, "shingle_words": 5, "bands": None, "rows": None}
QUICK_BYTES, SAMPLE_BYTES, DATA_BYTES = 2 << 20, 16 << 20, 48 << 20  # a snapshot
Parts = tuple[list[Path], list[Path]]
Measured = tuple[float, Outcome, Path]


def snapshots(texts: list[str], sizes: list[int], folder: Path) -> list[Parts]:
    """(signatures, documents) of each snapshot; all are edits of the same texts, so that copies cross snapshots."""
    found = []
    for number in range(len(sizes)):
        place = folder / f"snapshot-{number}"
        place.mkdir()
        paths, _ = write_documents(place, documents(texts, sizes[number], seed=number + 1))
        signatures = []
        for i, path in enumerate(paths):
            (place / f"signed-{i}").mkdir()
            measure_part(SIGNATURES, path, place / f"signed-{i}", SignatureOptions(shingle_words=5, hashes=128, seed=1))
            signatures.append(place / f"signed-{i}" / "signatures.parquet")
        found.append((signatures, paths))
    return found


def joined(parts: list[Parts]) -> Parts:
    return [path for one in parts for path in one[0]], [path for one in parts for path in one[1]]


def from_index(found: Parts, index: Path, out: Path, step: str) -> Outcome:
    return follow.cluster_documents(*found, out, index=index, owner="bench", seed=1, step=step, **SCHEME)


def fresh(folder: Path, name: str, source: Path | None = None) -> Path:
    """A new folder, or a copy of ``source``."""
    place = Path(tempfile.mkdtemp(dir=folder, prefix=f"{name}-"))
    return Path(shutil.copytree(source, place, dirs_exist_ok=True)) if source else place


def best_of(work: Callable[[Path, Path], Outcome], folder: Path, source: Path | None) -> Measured:
    """CPU seconds of the fastest of three, what it returned, and the folder it filled; copies are made before."""
    calls = iter([(fresh(folder, "index", source), fresh(folder, "out")) for _ in range(3)])
    used: list[Path] = []

    def call() -> Outcome:
        index, out = next(calls)
        used.append(out)
        return work(index, out)

    seconds, outcome = cpu_seconds(call)
    return seconds, outcome, used[-1]


def same(one: tuple[Outcome, Path], other: tuple[Outcome, Path]) -> bool:
    files = ("clusters.parquet", "pairs.parquet")
    return one[0] == other[0] and all((one[1] / name).read_bytes() == (other[1] / name).read_bytes() for name in files)


def nights(texts: list[str], sizes: list[int], folder: Path) -> Iterator[tuple[str, Measured, Measured, str]]:
    """Work, ours, theirs and a note; the index from nothing where all snapshots are of one size."""
    found = snapshots(texts, sizes, folder)
    before, everything = joined(found[:-1]), joined(found)
    kept = folder / "index"
    from_index(before, kept, fresh(folder, "out"), "before")  # also warms the kernels of both
    size = sum(path.stat().st_size for path in kept.rglob("*") if path.is_file())
    plain = best_of(lambda _, out: clusters.cluster_documents(*everything, out, **SCHEME), folder, None)
    last = best_of(lambda index, out: from_index(everything, index, out, "all"), folder, kept)
    note = f"{plain[1].rows:,} documents, {plain[1].facts['verified']:,} pairs, {sum(sizes) / 1e6:.0f} MB, the last "
    yield "clusters of five snapshots from the index of four", last, plain, f"{note}{sizes[-1] / 1e6:.0f}"
    if len(set(sizes)) == 1:
        anew = best_of(lambda index, out: from_index(everything, index, out, "all"), folder, None)
        yield (
            "clusters of all from an index that starts empty",
            anew,
            plain,
            f"an index of four has {size / 1e6:.0f} MB",
        )


def main(arguments: Any) -> None:
    n_bytes = QUICK_BYTES if arguments.quick else DATA_BYTES if arguments.data else SAMPLE_BYTES
    texts, equal_sizes = real_texts(arguments.data), [n_bytes] * SNAPSHOTS
    for sizes in ([*equal_sizes[1:], n_bytes // 16], equal_sizes):
        with tempfile.TemporaryDirectory() as scratch:
            for work, ours, plain, note in nights(texts, sizes, Path(scratch)):
                found, peer = same(ours[1:], plain[1:]), ("clusters.cluster_documents", CLUSTERS.version, "CPU s")
                ratio = plain[0] / ours[0]
                say(Comparison(work, *peer, ours[0], plain[0], ratio, "-", found, peak_rss_mb(), note), arguments.json)


if __name__ == "__main__":
    main(options(__doc__).parse_args())
