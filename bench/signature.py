"""Rows under a wrong label: how small a share of them the unigram signature of a domain finds.

    python bench/signature.py RUN [--json]

For every domain of a finished run, at one false alarm in 1,000 rows: ``ours`` is the smallest share of mislabelled rows
that is found; the note has the threshold in nats per token, and the share of rows found of the nearest other domain.
The label of a row by its documents and their sources is exact, and verify checks it; this sees a source whose texts are
not what the recipe says.
"""

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

import numpy as np
import pyarrow.parquet as pq

from bench import domain_signature as signature
from bench.compare import Comparison, options, peak_rss_mb, say
from gristmill.flows.pipeline.open_context import read_run
from gristmill.handoff.reader import ShardReader


def sources_of(run: Path) -> dict[str, str]:
    """The source of every document."""
    context, found = read_run(run), {}
    for part in range(len(context.run.manifest("documents").parts)):
        table = pq.read_table(context.file("documents", "documents.parquet", part), columns=["doc_id", "source"])
        found.update(zip(table["doc_id"].to_pylist(), table["source"].to_pylist(), strict=True))
    return found


def main_sources(shards: Path, sources: dict[str, str]) -> np.ndarray:
    """The source of most tokens of each row."""
    reader, found = ShardReader(shards), []
    for documents in reader.documents(np.arange(reader.rows)):
        tokens = Counter()
        for document in documents:
            tokens[sources[document["doc_id"]]] += document["length"]
        found.append(tokens.most_common(1)[0][0])
    return np.array(found)


def main() -> None:
    """Print a line for each domain."""
    parser = options(__doc__)
    parser.add_argument("run", type=Path)
    asked = parser.parse_args()
    folders = {path.name: path for path in sorted((asked.run / "shards").iterdir()) if ShardReader(path).rows}
    domains = {name: signature.read_rows(path) for name, path in folders.items()}
    sources = sources_of(asked.run)
    for name, path in folders.items():
        right = signature.distances(domains, name, main_sources(path, sources))
        others = {other: signature.mislabelled_distances(domains, name, other) for other in domains if other != name}
        limit, wrong = signature.threshold(right), np.concatenate(list(others.values()))
        power = {other: float((values > limit).mean()) for other, values in others.items()}
        least = min(power, key=power.__getitem__)
        worst = signature.smallest_share(right, others[least])
        note = f"{len(right)} rows, threshold {limit:.2f} nats a token; nearest {least}: {power[least]:.0%} of its rows"
        note += f" found, smallest share {worst:.2%}"
        share = signature.smallest_share(right, wrong)
        say(
            Comparison(f"signature {name}", "", "", "share", share, None, None, "", None, peak_rss_mb(), note),
            asked.json,
        )


if __name__ == "__main__":
    main()
