"""Two homes that each ran one recipe: are the corpora the same, byte for byte?

    python bench/identical.py HOME HOME [--recipe sample]

Compared by sha256: every file of tokenizer/, shards/, heldout/ and plan/ of the run, and of the store the documents,
rejects, clusters, signatures, mentions, ledger, kept rows, spans and tokens. Receipts, run ids and cards may differ.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from gristmill.corpus.files import file_sha256, read_json

FOLDERS = ("tokenizer", "shards", "heldout", "plan")
TABLES = {
    "documents": ("documents.parquet", "rejects.parquet"),
    "signatures": ("signatures.parquet",),
    "mentions": ("mentions.parquet", "triples.parquet"),
    "line_edits": ("spans.parquet",),
    "pii": ("spans.parquet",),
    "clusters": ("clusters.parquet",),
    "decide": ("ledger.parquet", "kept.parquet"),
    "lines": ("spans.parquet",),
    "substrings": ("spans.parquet",),
    "edits": ("kept.parquet",),
    "tokens": ("tokens.parquet",),
}


def contents(run: Path) -> Iterator[tuple[str, str]]:
    """Name and sha256 of all that a run hands over or decides."""
    for folder in FOLDERS:
        files = sorted(path for path in (run / folder).rglob("*") if path.is_file())
        yield from ((path.relative_to(run).as_posix(), file_sha256(path)) for path in files)
    for stage, names in TABLES.items():
        manifest = run / "manifests" / f"{stage}.json"
        parts = read_json(manifest)["parts"] if manifest.exists() else []
        for number, part in enumerate(parts):
            for file in part["files"]:
                if file["name"] in names:
                    yield f"{stage} part {number} {file['name']}", file["sha256"]
    log = run / "train" / "consumption.parquet"
    if log.exists():
        yield "train/consumption.parquet", file_sha256(log)


def main() -> None:
    """Print how many files were compared and which differ; exit status 1 when any does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("homes", nargs=2, type=Path)
    parser.add_argument("--recipe", default="sample")
    arguments = parser.parse_args()
    one, other = (dict(contents(next((home / "runs" / arguments.recipe).iterdir()))) for home in arguments.homes)
    differ = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    print(f"{len(one.keys() | other.keys())} files compared, {len(differ)} differ")
    print("\n".join(differ))
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
