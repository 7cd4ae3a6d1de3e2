"""diff over a million documents: seconds from the call to the answer, and every planted change classified.

    python bench/diff.py [--documents 1000000] [--quick] [--json]

Short texts are generated, `gristmill run --until edits` mills them twice, with ten kinds of change planted in between,
two on one document among them, and a takedown afterwards. No table is written by the bench. Seconds are wall-clock: a
person waits.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HOUSE))  # for bench.compare

SOURCES = ("plain", "first", "second", "bound", "profile", "tongue", "coded", "mailed", "gone")
ROLES = 6  # the planted ones of a source are those of some places, counted in sixes; the others do not change
TAKEN = "plain-3"
PLUGIN = """
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.stage import Measured, PartStage, Signal

MARKS = PartStage(
    name="marks", version="1", measure=":measure", table="marks.parquet",
    signals=(Signal("exclamations", "marks", 0, 12345678, "exclamation marks"),),
)


def measure(batch, options, state):
    return Measured({{"exclamations": pc.cast(pc.count_substring(batch["text"], "{sign}"), pa.float64())}})
"""
RECIPE = """
name = "pair"
seed = 1
plugins = ["./marks.py"]
{sources}
[decide]
profiles = []
[decide.domains.bound.rules.words]
at_least = {bound}
[decide.domains.profile]
profiles = {profiles}
[decide.domains.tongue]
profiles = ["c4"]
[decide.domains.coded.rules]
exclamations.at_most = 2
words.at_least = 5
{extra}
[tokenizer]
vocab_size = 300
[[curriculum]]
until_tokens = "4K"
shares = {{ plain = 1.0 }}
"""
SOURCE = """
[[sources]]
name = "{name}"
path = "{folder}/{name}*.jsonl"
domain = "{name}"
lang = "{lang}"
priority = {priority}
"""
NIGHTS = (
    {"bound": 5, "profiles": "[]", "extra": "", "sign": "!", "lang": "en", "preferred": "first"},
    {
        "bound": 14,
        "profiles": '["length"]',
        "extra": '[pii]\nemail = "mask"',
        "sign": "?",
        "lang": "de",
        "preferred": "second",
    },
)


def words(count: int, tag: str) -> str:
    """Words that no other document has, so that none is a near duplicate."""
    return " ".join([f"{tag}{number:x}" for number in range(count)])


def text_of(source: str, n: int, night: int) -> str:
    """The text of a document on the first night or the second."""
    role, tag = n % ROLES, f"{source[0]}{source[-1]}{n:x}x"
    edited = "z" if night and (source, role) in (("plain", 1), ("bound", 2)) else "y"
    match source, role:
        case (("first" | "second"), 0):
            return words(16, f"tw{n:x}x")  # twins
        case "bound", (1 | 2):  # dropped by the new bound; the second is edited as well
            return words(9, tag) + " " + edited
        case "profile", 1:
            return f"{tag} zag"  # too short for the new profile
        case "coded", (1 | 2):
            return words(16, tag) + (" ?????" if role == 1 else " !!!!!")
        case "coded", 3:  # too short on both nights, and too loud on the second
            return f"{tag} ?????"
        case "tongue", 1:  # passes the rule for English, so that nothing but the language changes
            return " ".join([f"{tag}{number:x} is one of the words." for number in range(6)])
        case "mailed", 1:
            return words(16, tag) + f" jane.roe@mill{n:x}-works.org {edited}"
    return words(16, tag) + " " + edited


def files_of(source: str, night: int, per_source: int) -> Iterator[tuple[str, range]]:
    """Names of a source's files and the numbers of their documents: one file goes, another comes."""
    if night == 0 or source != "gone":
        yield source, range(per_source)
    if source == "plain" and night == 0:
        yield "plain-old", range(per_source, per_source + per_source // ROLES)
    if source == "first" and night == 1:
        yield "first-new", range(per_source, per_source + per_source // ROLES)


def recipe_of(folder: Path, night: int, per_source: int) -> Path:
    """Inputs and recipe of a night, in place of those of the one before."""
    values, sources = NIGHTS[night], []
    for path in folder.glob("*.jsonl"):
        path.unlink()
    for name in SOURCES:
        for file, numbers in files_of(name, night, per_source):
            lines = (json.dumps({"id": f"{name}-{n}", "text": text_of(name, n, night)}) + "\n" for n in numbers)
            with (folder / f"{file}.jsonl").open("w") as out:
                out.writelines(lines)
        if night == 0 or name != "gone":
            lang, priority = values["lang"] if name == "tongue" else "en", int(name == values["preferred"])
            sources.append(SOURCE.format(folder=folder, name=name, lang=lang, priority=priority))
    (folder / "marks.py").write_text(PLUGIN.format(**values))
    (folder / "pair.toml").write_text(RECIPE.format(sources="".join(sources), **values))
    return folder / "pair.toml"


PLANTED = {  # by source and place: kind, verdict before and after, reasons
    ("plain", 1): ("edited", "kept", "kept", "input"),
    ("first", 0): ("verdict", "kept", "merged", "representative"),
    ("second", 0): ("verdict", "merged", "kept", "representative"),
    ("bound", 1): ("verdict", "kept", "dropped", "rule"),
    ("bound", 2): ("edited", "kept", "dropped", "input", "rule"),
    ("profile", 1): ("verdict", "kept", "dropped", "rule"),
    ("coded", 1): ("verdict", "kept", "dropped", "code"),
    ("coded", 2): ("verdict", "dropped", "kept", "code"),
    ("coded", 3): ("grounds", "dropped", "dropped", "code"),
    ("tongue", 1): ("language", "kept", "kept", "language"),
    ("mailed", 1): ("cut", "kept", "kept", "cut"),
}
WHOLE = {"tongue": ("verdict", "dropped", "kept", "language"), "gone": ("removed", "kept", "absent", "source")}


def planted(per_source: int) -> dict[str, tuple[str, ...]]:
    """What is to be found, by the id that the input gives a document; all others are the same in both runs."""
    found = {
        f"{source}-{n}": change
        for source in SOURCES
        for n in range(per_source)
        if (change := PLANTED.get((source, n % ROLES)) or WHOLE.get(source))
    }
    for n in range(per_source, per_source + per_source // ROLES):
        found[f"plain-{n}"] = ("removed", "kept", "absent", "input")
        found[f"first-{n}"] = ("added", "absent", "kept", "input")
    return found | {TAKEN: ("removed", "kept", "absent", "takedown")}


def classified(result: dict[str, Any], names: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """What a difference says of each document, by the input's id."""
    return {
        names[doc_id]: (group["kind"], group["before"], group["after"], *group["reasons"])
        for group in result["changes"]
        for doc_id in group["ids"]
    }


def names_of(*runs: Path) -> dict[str, str]:
    """The input's id of each document of the runs by doc_id."""
    import gristmill

    tables = [gristmill.open(run).documents(["doc_id", "meta"]).to_arrow() for run in runs]
    pairs = [(table["doc_id"].to_pylist(), table["meta"].to_pylist()) for table in tables]
    return {doc_id: json.loads(meta)["id"] for ids, metas in pairs for doc_id, meta in zip(ids, metas, strict=True)}


def milled(folder: Path, per_source: int) -> list[Path]:
    """The two runs, by the command line, and the takedown."""
    runs = []
    for night in (0, 1):
        recipe = recipe_of(folder, night, per_source)
        runs.append(Path(_command("run", str(recipe), "--direct", "--until", "edits")["run"]))
    ids = folder / "ids.txt"
    ids.write_text(TAKEN + "\n")
    taken = _command("takedown", str(runs[1]), "--ids", str(ids), "--one-run", status=1)  # the first run has it still
    assert len(taken["removed"]) == 1, taken["removed"]
    return runs


def _command(*arguments: str, status: int = 0) -> dict[str, Any]:
    command = [sys.executable, "-m", "gristmill", *arguments, "--json"]
    done = subprocess.run(command, cwd=HOUSE, stdout=subprocess.PIPE, check=False)
    if done.returncode != status:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
    return json.loads(done.stdout)


def main() -> None:
    from bench.compare import Comparison, options, peak_rss_mb, say
    from gristmill.flows.diff.diff_runs import diff_runs
    from tests.flows.test_diff import MIRROR, ordered

    parser = options(__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000)
    arguments = parser.parse_args()
    per_source = (30_000 if arguments.quick else arguments.documents) // len(SOURCES)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRISTMILL_HOME"] = f"{folder}/home"
        begin = time.perf_counter()
        runs = milled(Path(folder), per_source)
        milling = time.perf_counter() - begin
        begin, cpu = time.perf_counter(), time.process_time()
        result = diff_runs(runs[0], runs[1])
        ours, cpu = time.perf_counter() - begin, time.process_time() - cpu
        found, expected = classified(result, names_of(*runs)), planted(per_source)
        mirror = ordered(diff_runs(runs[1], runs[0]), {}) == ordered(result, MIRROR)
        right = sum(found.get(name) == change for name, change in expected.items())
    documents = sum(one["documents_in"] for one in result["by_source"]["before"].values())
    say(
        Comparison(
            work=f"diff of two runs of {documents:,} documents",
            peer="none",
            peer_version="",
            unit="s",
            ours=round(ours, 2),
            theirs=None,
            ratio=None,
            target="<= 5 s per million",
            equal=found == expected and mirror,
            rss_mb=peak_rss_mb(),
            note=f"{right:,} of {len(expected):,} planted changes classified, {len(found):,} found; swapped runs "
            f"{'are' if mirror else 'are not'} the mirror image; "
            f"{cpu:.1f} CPU seconds; both runs took {milling:.0f} s",
        ),
        arguments.json,
    )


if __name__ == "__main__":
    main()
