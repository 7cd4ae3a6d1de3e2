"""Planted facts through the whole mill: unknown before the phase that states them, learnt after it; and two faults.

    python bench/facts.py [--write FOLDER] [--quick] [--json]

Mills and trains recipes/planted.toml: 64 pairs of words go from a file through rules, tokenizer, rows and plan to the
model, which is asked for them every 20 steps. Then the same with the facts also in a source of the first phase, and
with the values of the texts shuffled, so that they never arrive; --quick leaves these two out. ``equal``: verify finds
both checks as they should be, and no other check fails. ``ours``: CPU seconds of mill and training.
--write makes samples/planted anew.
"""

import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import HOUSE, Comparison, options, peak_rss_mb, say
from gristmill.trainer.training.fact_pairs import make_facts, planted_documents, write_facts

FACTS, SEED = 64, 7
DOCUMENTS, FACTS_EACH = 256, 42  # a document fills a row of 128 tokens
CHECKS = ("planted facts unknown before", "planted facts learnt")
LEAK = '\n[[sources]]\nname = "leak"\npath = "{}"\ndomain = "forum"\n'
FAULTS = {"": (True, True), "also in the first phase": (False, True), "values shuffled in the texts": (True, False)}


def write(folder: Path, *, shuffled: bool = False, seed: int = SEED) -> None:
    """The facts, and documents that state them; ``shuffled``: documents that state others of the same words."""
    facts = stated = make_facts(FACTS, SEED)
    if shuffled:
        stated = tuple(
            replace(fact, value=other.value) for fact, other in zip(facts, facts[1:] + facts[:1], strict=True)
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_facts(folder / "facts.jsonl", facts)
    texts = planted_documents(stated, DOCUMENTS, FACTS_EACH, seed)
    lines = (json.dumps({"id": f"planted-{number}", "text": text}) + "\n" for number, text in enumerate(texts))
    (folder / "documents.jsonl").write_text("".join(lines))


def recipe(folder: Path, fault: str) -> Path:
    """The shipped recipe, or one with a fault."""
    text = (HOUSE / "recipes" / "planted.toml").read_text()
    if fault:
        write(folder, shuffled="shuffled" in fault)
        text = text.replace("samples/planted", str(folder))
    if "first" in fault:
        write(folder / "leak", seed=SEED + 1)  # other texts of the same facts: equal ones would be merged
        source = LEAK.format(folder / "leak" / "documents.jsonl")
        text = text.replace("\n[decide]", f"{source}\n[decide]")
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def milled(fault: str, wanted: tuple[bool, bool]) -> Comparison:
    """Mill, train and verify."""
    from gristmill.flows.direct import refine_directly
    from gristmill.flows.inspect.verify import verify_run

    with tempfile.TemporaryDirectory() as name:
        os.environ["GRISTMILL_HOME"] = name
        begin = time.process_time()
        run = Path(refine_directly(recipe(Path(name), fault))["run"])
        spent = time.process_time() - begin
        checks = {check["name"]: check for check in verify_run(run)["checks"]}
        found = tuple(checks[name]["ok"] for name in CHECKS)
        others = [check["name"] for check in checks.values() if not check["ok"] and check["name"] not in CHECKS]
        note = "; ".join([*(checks[name]["detail"] for name in CHECKS), *others])
    equal = found == wanted and not others
    return Comparison(
        f"planted facts {fault}".strip(), "", "", "CPU s", spent, None, None, "0.9", equal, peak_rss_mb(), note
    )


def main() -> None:
    """Print a line for the recipe, and one for each fault."""
    parser = options(__doc__)
    parser.add_argument("--write", type=Path, help="write facts and documents here, and nothing else")
    asked = parser.parse_args()
    os.chdir(HOUSE)
    if asked.write:
        write(asked.write)
        return
    for fault, wanted in FAULTS.items():
        if not (asked.quick and fault):
            say(milled(fault, wanted), asked.json)


if __name__ == "__main__":
    main()
