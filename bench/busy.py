"""A first run, a warm one, and one beside processes that keep every core busy: CPU seconds of the whole command.

    python bench/busy.py [--recipe recipes/sample.toml] [--neighbours 2] [--rounds 1] [--folder DIR] [--json]

Each is ``gristmill run`` as ``make run`` calls it, in a home of its own; the first also compiles every kernel. Targets:
a first run costs at most 45 CPU seconds more than a warm one; beside busy processes a run costs at most 1.5 times its
quiet CPU seconds. A machine that others use is never quiet: the load stands beside each figure.
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench

from bench.compare import Comparison, options, say
from bench.run_cost import Place, RunCost, busy


def measure(recipe: str, folder: Path, neighbours: int) -> dict[str, RunCost]:
    """One round: first, warm, busy."""
    place, found = Place(folder), dict[str, RunCost]()
    for state in ("first", "warm", "busy"):
        place.forget()
        with busy(neighbours if state == "busy" else 0):
            found[state] = place.command("run", recipe)
    return found


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--recipe", default="recipes/sample.toml")
    parser.add_argument("--neighbours", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where homes and kernels go; a temporary folder when left out")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gristmill-busy-") as made:
        folder = chosen.folder or Path(made)
        rounds = [measure(chosen.recipe, folder / str(number), chosen.neighbours) for number in range(chosen.rounds)]
    cost = {state: statistics.median(found[state].cpu_seconds for found in rounds) for state in rounds[0]}
    loads = ", ".join(f"load {state} {found[state].load:.1f}" for found in rounds for state in found)
    more = cost["first"] - cost["warm"]
    beside = (f"beside {chosen.neighbours} busy", "alone", cost["busy"], cost["warm"], cost["busy"] / cost["warm"])
    rows = [("a first run", "a warm run", cost["first"], cost["warm"], more, "<= 45 CPU s more"), (*beside, "<= 1.5")]
    for work, peer, ours, theirs, ratio, target in rows:
        say(Comparison(work, peer, "", "CPU s", ours, theirs, ratio, target, None, 0, loads), chosen.json)


if __name__ == "__main__":
    main()
