"""Peak memory of a whole run at 1x, 4x and 16x the input: bounded by parts and workers, not by the corpus.

    python bench/memory.py [--data DIR] [--quick] [--json] [--megabytes 8,32,128]

Seeded edits of real documents in JSONL. Each size is milled through the command line by one worker until the card, with
parts of 4 MB. Peak memory is of the largest process; the sizes ascend, so each is the largest so far.
"""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import Comparison, options, say
from bench.incremental import RECIPE, write_text
from bench.run_cost import Place, RunCost

KERNELS = Path(os.environ.get("NUMBA_CACHE_DIR", Path.home() / ".cache" / "gristmill" / "numba"))


def milled(data: Path | None, megabytes: float) -> RunCost:
    """One size in a home of its own."""
    from bench.planted import documents, real_texts

    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        texts = (one[1] for one in documents(real_texts(data), int(megabytes * 1.2e6)))
        write_text(folder / "text", texts, int(megabytes * 1e6), "text")
        recipe = RECIPE.format(folder=folder, tokenizer="vocab_size = 4096").replace('"1M"', '"4M"')
        (folder / "memory.toml").write_text(recipe + "[card]\n")
        (folder / "kernels").symlink_to(KERNELS)
        return Place(folder).command("run", str(folder / "memory.toml"), "--direct", "--workers", "1")


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--megabytes", default="8,32,128")
    arguments = parser.parse_args()
    sizes = [float(size) for size in ("2,8" if arguments.quick else arguments.megabytes).split(",")]
    costs = [milled(arguments.data, size) for size in sizes]
    for size, cost in zip(sizes[1:], costs[1:], strict=True):
        first, times = costs[0], size / sizes[0]
        ratio, peak = round(cost.peak_mb / first.peak_mb, 3), round(cost.peak_mb, 1)
        work, base = f"a run of {size:g} MB, {times:g}x", f"{sizes[0]:g} MB"
        say(
            Comparison(work, base, "", "MB", peak, round(first.peak_mb, 1), ratio, "<= 1.2x", None, peak),
            arguments.json,
        )
        seconds = round(cost.cpu_seconds / size, 2), round(first.cpu_seconds / sizes[0], 2)
        rate = round(seconds[0] / seconds[1], 3)
        say(Comparison(work, base, "", "CPU s a MB", *seconds, rate, "<= 1.15x", None, peak), arguments.json)


if __name__ == "__main__":
    main()
