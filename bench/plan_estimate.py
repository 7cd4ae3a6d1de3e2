"""What ``gristmill plan`` expects against what a run then costs, in CPU seconds, by stage and in all.

    python bench/plan_estimate.py [--recipe sample|second|FILE] [--states cold,warm,measured] [--folder DIR] [--json]

cold: nothing was ever measured here and no kernel is compiled; warm: kernels are compiled, nothing was measured;
measured: the home has the rates of the run before, and computes all anew. ``second`` differs from the sample in text,
stages, tokenizer and model. The figure to hold is ``ratio`` of the whole: 0.5 to 2.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench

from bench.compare import Comparison, options, say
from bench.run_cost import Place, RunCost

SECOND = """
name = "second"
seed = 5
[[sources]]
name = "code"
path = "samples/code/*.parquet"
domain = "code"
[[sources]]
name = "help"
path = "samples/docs/*.parquet"
domain = "docs"
[[sources]]
name = "math"
path = "samples/math/*.jsonl.gz"
domain = "math"
[pii]
email = "mask"
ipv6 = "mask"
[[classifiers]]
name = "kind"
positive = ["samples/docs/gnome-help.parquet"]
negative = ["samples/forum/fortunes.en.jsonl"]
[compression]
[decide]
profiles = ["gopher@dclm"]
[decide.domains.math]
profiles = ["length"]
[tokenizer]
vocab_size = 2048
[shards]
row_tokens = 512
[[curriculum]]
until_tokens = "400K"
shares = { code = 0.4, docs = 0.4, math = 0.2 }
[trainer]

[trainer.model]
layers = 3
width = 64
heads = 2
experts = 4
expert_width = 64
"""


def recipe_of(name: str, folder: Path) -> str:
    """The path of a recipe, given by its name here or by its file."""
    if name == "second":
        (folder / "second.toml").write_text(SECOND)
        return str(folder / "second.toml")
    return "recipes/sample.toml" if name == "sample" else name


def compare(state: str, name: str, planned: RunCost, ran: RunCost) -> list[Comparison]:
    """One line a stage, one for all that is no stage, one for the whole."""
    expected, stages = planned.result, ran.result["stages"]
    actual = {name: stage["cpu_seconds"] for name, stage in stages.items()}
    pairs = {name: (plan["cpu_seconds"], actual.get(name, 0.0)) for name, plan in expected["stages"].items()}
    beside = ran.cpu_seconds - sum(actual.values())
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in expected["beside"].items())
    pairs["beside stages"] = (sum(expected["beside"].values()), beside)
    pairs["all"] = (expected["cpu_seconds"], ran.cpu_seconds)
    notes = {"beside stages": parts, "all": f"load {ran.load:.1f}, {ran.seconds:.0f} s by the clock"}
    found = []
    for part, (ours, theirs) in pairs.items():
        target = "0.5 to 2" if part == "all" else ""
        ratio = ours / theirs if theirs else None
        figures = (ours, theirs, ratio, target, None, 0.0, notes.get(part, ""))
        found.append(Comparison(f"{name}, {state}: {part}", "the run", "", "CPU s", *figures))
    return found


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--recipe", action="append", help="sample, second or a file; both when left out")
    parser.add_argument("--states", default="cold,warm,measured")
    parser.add_argument("--folder", type=Path, help="where homes and kernels go; a temporary folder when left out")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gristmill-plan-") as made:
        folder = chosen.folder or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        for name in chosen.recipe or ["sample", "second"]:
            place, recipe = Place(folder / Path(name).stem), recipe_of(name, folder)
            for state in chosen.states.split(","):
                place.forget(rates=state != "measured")
                planned = place.command("plan", recipe)
                for line in compare(state, name, planned, place.command("run", recipe)):
                    say(line, chosen.json)


if __name__ == "__main__":
    main()
