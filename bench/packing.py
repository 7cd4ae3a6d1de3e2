"""Best-fit packing beside a segment tree on plain Python lists and OLMo-core's packer: equal bins, CPU seconds.

    python bench/packing.py [--data DIR] [--quick] [--json]

Pieces are documents shorter than a row, and what is left of longer ones: lengths of the texts of samples/ (or --data),
four bytes a token, drawn again with seeded changes of up to a tenth; at rows of 256 and of 2,048 tokens. All pack in
order of length, longest first, a piece into the row that it leaves the least of; ``equal``: the same number of rows,
filled alike. Sorting is in everybody's time. OLMo-core's packer runs in an environment of its own.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import HOUSE, Comparison, cpu_seconds, options, peak_rss_mb, run_peer, say
from gristmill.tokenizer.packings import Packing, best_fit

SAMPLES = ("docs/gnome-help.parquet", "code/code.parquet", "legal/state-of-the-union.parquet")
ROWS = (256, 2048)
TARGETS = {256: "20x", 2048: "40x"}


def document_lengths(folder: Path | None, count: int) -> np.ndarray:
    """``count`` lengths in tokens, as real documents have them."""
    files = sorted((folder / "text").glob("*.parquet")) if folder else [HOUSE / "samples" / name for name in SAMPLES]
    columns = [pq.read_table(path) for path in files]
    found = [pc.binary_length(table["text"]).to_numpy() for table in columns if "text" in table.column_names]
    rng = np.random.default_rng(7)
    drawn = rng.choice(np.concatenate(found), count) / 4 * rng.uniform(0.9, 1.1, count)
    return np.maximum(1, drawn.astype(np.int64))


def pieces_of(lengths: np.ndarray, row_tokens: int) -> np.ndarray:
    """Lengths of documents, and of the remainders of long ones; full rows need no packer and would flatter all."""
    rest = lengths % row_tokens
    return rest[rest > 0]


def fills(packing: Packing) -> np.ndarray:
    """Tokens in each row, sorted."""
    return np.sort(np.bincount(packing.row, packing.length, packing.rows).astype(np.int64))


def segment_tree_fills(pieces: list[int], row_tokens: int) -> list[int]:
    """Best fit decreasing on lists (Ding et al. 2024, appendix): a tree of the largest space below each node."""
    size = 1 << (row_tokens - 1).bit_length()
    tree = [0] * (2 * size)
    waiting: list[int] = [0] * (row_tokens + 1)  # rows by space left
    rows, full = 0, 0

    def mark(space: int, value: int) -> None:
        node = size + space - 1
        tree[node] = value
        while node > 1:
            node >>= 1
            tree[node] = max(tree[2 * node], tree[2 * node + 1])

    for piece in sorted(pieces, reverse=True):
        if tree[1] < piece:
            space, rows = row_tokens, rows + 1
        else:
            node = 1
            while node < size:
                node = 2 * node if tree[2 * node] >= piece else 2 * node + 1
            space = node - size + 1
            waiting[space] -= 1
            if not waiting[space]:
                mark(space, 0)
        left = space - piece
        full += not left
        if left:
            waiting[left] += 1
            if waiting[left] == 1:
                mark(left, left)
    spaces = [row_tokens - space for space in range(row_tokens, 0, -1) for _ in range(waiting[space])]
    return sorted([*spaces, *[row_tokens] * full])


def main() -> None:
    """Pack, compare, print."""
    parser = options(__doc__)
    parser.add_argument("--without-peer", action="store_true", help="without OLMo-core, whose environment takes torch")
    arguments = parser.parse_args()
    lengths = document_lengths(arguments.data, 20_000 if arguments.quick else 200_000)
    for row_tokens in ROWS:
        pieces = pieces_of(lengths, row_tokens)
        listed = pieces.tolist()
        best_fit(pieces[:100], row_tokens)  # compiled
        seconds, packing = cpu_seconds(lambda p=pieces, r=row_tokens: best_fit(p, r), 9)
        ours, found = len(pieces) / seconds / 1e6, fills(packing)
        theirs, tree = cpu_seconds(lambda p=listed, r=row_tokens: segment_tree_fills(p, r), 3)
        peers = [("segment tree on lists", "", len(pieces) / theirs / 1e6, tree == found.tolist())]
        if not arguments.without_peer:
            read = run_peer("packing", "packing_olmo.py", {"pieces": listed, "row_tokens": row_tokens})
            same = read["fills"] == found.tolist()
            peers.append(("OLMo-core", read["version"], len(pieces) / read["seconds"] / 1e6, same))
        for name, version, rate, equal in peers:
            note = f"{len(pieces):,} pieces, {packing.rows:,} rows"
            say(Comparison(f"packing, rows of {row_tokens}", name, version, "M pieces/CPU s", round(ours, 3),
                           round(rate, 4), round(ours / rate, 1), TARGETS[row_tokens], equal, peak_rss_mb(), note),
                arguments.json)  # fmt: skip


if __name__ == "__main__":
    main()
