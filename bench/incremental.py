"""What a night costs that brings 0.5 % new text: CPU seconds against a full run, stage by stage.

    python bench/incremental.py [--data DIR] [--quick] [--json] [--megabytes 20]

Seeded edits of real documents, in files of 1 MB. Three runs through the command line: one that trains its tokenizer;
one in an empty home that is given it; and, in the first home, one on a new file of 0.5 % more with ``from = "latest"``.
A fourth that finds everything done says what start-up, reading digests and verify cost; it is taken off the others.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import Comparison, options, say
from bench.run_cost import Place, RunCost

RECIPE = """
name = "nights"
seed = 1
[[sources]]
name = "text"
path = "{folder}/text/*.jsonl"
domain = "text"
[limits]
part_bytes = "1M"
[language]
model = "samples/models/lid.176.ftz"
[pii]
email = "mask"
[decide]
profiles = ["fineweb@0.01"]
[tokenizer]
{tokenizer}
[shards]
row_tokens = 512
"""
NEW_SHARE, FILE_BYTES = 0.005, 1 << 20
KERNELS = Path(os.environ.get("NUMBA_CACHE_DIR", Path.home() / ".cache" / "gristmill" / "numba"))
GLOBAL = (
    "clusters",
    "decide",
    "lines",
    "substrings",
    "edits",
    "tokenizer",
    "shards",
    "heldout",
    "plan",
    "pieces",
    "card",
)


def write_text(folder: Path, texts, n_bytes: int, name: str) -> None:
    """Files of about FILE_BYTES, from an iterator of texts."""
    folder.mkdir(parents=True, exist_ok=True)
    written, number = 0, 0
    while written < n_bytes:
        size, lines = 0, []
        while size < min(FILE_BYTES, n_bytes - written):
            lines.append(json.dumps({"text": (text := next(texts))}) + "\n")
            size += len(text.encode())
        (folder / f"{name}-{number:04}.jsonl").write_text("".join(lines))
        written, number = written + size, number + 1


def milled(place: Place, folder: Path, tokenizer: str) -> RunCost:
    """One run through the command line, without Prefect."""
    recipe = place.folder / "nights.toml"
    recipe.write_text(RECIPE.format(folder=folder, tokenizer=tokenizer))
    return place.command("run", str(recipe), "--direct")


def ids_kept(before: Path, after: Path) -> float:
    """Share of the tokens of the first run that have the same id in the second."""
    sides = [
        json.loads((run / "tokenizer" / "tokenizer.json").read_text())["model"]["vocab"] for run in (before, after)
    ]
    return sum(sides[1].get(token) == number for token, number in sides[0].items()) / len(sides[0])


def stages_cpu(cost: RunCost) -> dict[str, float]:
    return {name: one["cpu_seconds"] for name, one in cost.result["stages"].items()}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--megabytes", type=float, default=20)
    arguments = parser.parse_args()
    megabytes = 4 if arguments.quick else arguments.megabytes
    from bench.planted import documents, real_texts

    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        n_bytes = int(megabytes * 1e6)
        made = documents(real_texts(arguments.data), int(n_bytes * 1.2))
        texts = (one[1] for one in made)
        write_text(folder / "text", texts, n_bytes, "old")
        own, empty = Place(folder / "own"), Place(folder / "empty")
        for place in (own, empty):
            place.folder.mkdir()
            (place.folder / "kernels").symlink_to(KERNELS)  # compiled once for all
        milled(own, folder, "vocab_size = 8192")
        own.forget()
        full = milled(own, folder, "vocab_size = 8192")
        run = Path(full.result["run"])
        given = milled(empty, folder, f'path = "{run}/tokenizer/tokenizer.json"')
        write_text(folder / "text", texts, int(n_bytes * NEW_SHARE), "new")
        night = milled(own, folder, 'from = "latest"')
        nothing = milled(own, folder, 'from = "latest"')
        kept = ids_kept(run, Path(night.result["run"]))
        by_stage = stages_cpu(night)
        rows = [
            comparison("a full run that trains its tokenizer", night, full, nothing, 0.10, kept == 1),
            comparison("a full run that is given it", night, given, nothing, 0.15, kept == 1),
        ]
        for row in rows:
            say(row, arguments.json)
        fixed = {"megabytes": megabytes, "start_up_cpu_seconds": round(nothing.cpu_seconds, 2), "ids_kept": kept}
        steps = {name: by_stage.get(name, 0.0) for name in GLOBAL if name in by_stage}
        parts = {name: seconds for name, seconds in by_stage.items() if name not in steps}
        sys.stdout.write(json.dumps({**fixed, "global_cpu_seconds": steps, "part_cpu_seconds": parts}) + "\n")


def comparison(peer: str, night: RunCost, full: RunCost, nothing: RunCost, most: float, equal: bool) -> Comparison:
    """CPU of a night as a share of a full run's, start-up apart; ``target`` is the most that it may be."""
    ours, theirs = (round(max(one.cpu_seconds - nothing.cpu_seconds, 0.01), 2) for one in (night, full))
    work, target = "a night of +0.5 % new text", f"<= {most:.0%}"
    return Comparison(work, peer, "", "CPU s", ours, theirs, round(ours / theirs, 3), target, equal, 0.0)


if __name__ == "__main__":
    main()
