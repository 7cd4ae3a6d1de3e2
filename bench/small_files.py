"""Many small files: seconds and CPU of a run, and bytes of its lock and its card, at 1x, 4x and 16x the files.

    python bench/small_files.py [--files 6250,25000,100000] [--quick] [--json]

Each file has one sentence. A run until the plan with its card goes through the command line, and once more with every
file as it was. Time must grow with the files and not faster; what a person opens must stay small.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import Comparison, options, say
from bench.run_cost import Place

RECIPE = """
name = "small"
seed = 1
[[sources]]
name = "notes"
path = "{folder}/notes"
format = "text"
domain = "notes"
[decide.rules.words]
at_least = 3
[tokenizer]
vocab_size = 512
[shards]
row_tokens = 256
[store]
check_space = false
[card]
"""
KERNELS = Path(os.environ.get("NUMBA_CACHE_DIR", Path.home() / ".cache" / "gristmill" / "numba"))
SMALL_BYTES = 200_000  # of README.md, whatever the number of files
PER_FOLDER = 1000


def write_notes(folder: Path, n: int) -> None:
    for number in range(n):
        path = folder / f"{number // PER_FOLDER:04}" / f"note-{number % PER_FOLDER:04}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"Note {number}: the mill turned {number * number} times and ground {number % 97} sacks of grain."
        )


def measured(n: int) -> dict[str, float]:
    """One size: costs of the first run and of the second, and bytes of what it keeps."""
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        write_notes(folder / "notes", n)
        place = Place(folder)
        (folder / "kernels").symlink_to(KERNELS)
        recipe = folder / "small.toml"
        recipe.write_text(RECIPE.format(folder=folder))
        first, second = (place.command("run", str(recipe), "--direct") for _ in range(2))
        run = Path(first.result["run"])
        sizes = {name: (run / name).stat().st_size for name in ("lock.json", "card/README.md", "card/card.json")}
        return {"files": n, "cpu": first.cpu_seconds, "again": second.cpu_seconds, "peak": first.peak_mb, **sizes}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--files", default="6250,25000,100000")
    arguments = parser.parse_args()
    sizes = [int(n) for n in ("500,2000" if arguments.quick else arguments.files).split(",")]
    found = [measured(n) for n in sizes]
    for one in found[1:]:
        for row in against(found[0], one):
            say(row, arguments.json)
    sys.stdout.write(json.dumps(found) + "\n")


def against(first: dict[str, float], one: dict[str, float]) -> list[Comparison]:
    """Costs per file, and sizes as they are, against those of the fewest files."""
    times, rows, peak = one["files"] / first["files"], [], one["peak"]
    for name, what in (("cpu", ""), ("again", ", nothing new")):
        ours, theirs = (each[name] / each["files"] * 1e3 for each in (one, first))
        work, peer = f"{one['files']:,} small files{what}", f"{first['files']:,}"
        ratio = round(ours / theirs, 3)
        rows.append(Comparison(work, peer, "", "CPU ms a file", ours, theirs, ratio, "<= 1.15x", None, peak))
    ratio = round(peak / first["peak"], 3)
    rows.append(Comparison(f"memory at {times:g}x", "1x", "", "MB", peak, first["peak"], ratio, "<= 1.2x", None, peak))
    for name in ("lock.json", "card/README.md", "card/card.json"):
        small = one[name] <= SMALL_BYTES
        rows.append(Comparison(name, "a page", "", "bytes", one[name], SMALL_BYTES, None, "<= 1x", small, one["peak"]))
    return rows


if __name__ == "__main__":
    main()
