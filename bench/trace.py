"""From a document to its steps: a lookup in the index of pieces and the plan, against a walk over all samples.

    python bench/trace.py [--run RUN] [--quick] [--json]

Plan and index are generated: 10 M rows of 8 domains (1 M with --quick) of 1.5 pieces each, drawn for 1.5 epochs along a
ramp. Ours: ``trace_document`` on 1,000 documents of one to three pieces. Theirs: one walk over all samples of the plan
that looks for the same documents, whose rows are known from generating them. ``equal``: the same steps, epochs and
rows. With --run the same on every document of a finished run, whose walk reads the documents of every row.
CPU seconds per call, the median; the note has the slowest call, and the first one of a new process, whose modules are
imported: 0.6 s of it is numba's own start, which comes with the first kernel of any process.
"""

import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

import numpy as np

from bench.compare import Comparison, options, peak_rss_mb, say
from gristmill.corpus.files import write_json, write_text
from gristmill.flows.inspect.trace import trace_document
from gristmill.handoff.piece_index import index_path, write_index
from gristmill.handoff.plan import Domain, Plan
from gristmill.handoff.reader import ShardReader
from gristmill.handoff.schedule import Segment, quantise

ROWS, QUICK_ROWS, DOMAINS, DOCUMENTS, BATCH_ROWS = 10_000_000, 1_000_000, 8, 1_000, 256
FIRST = (
    "import sys, time, pathlib; from gristmill.flows.inspect.trace import trace_document as t; b = time.process_time()"
)
FIRST += "; t(pathlib.Path(sys.argv[1]), sys.argv[2]); print(time.process_time() - b)"
Draws = list[tuple[int, int, int]]  # sample, epoch, row


def generate(run: Path, rows: int) -> dict[str, tuple[int, list[int]]]:
    """A run directory with a plan and an index alone; returns domain and rows of some documents."""
    rng, sizes, chosen = np.random.default_rng(1), np.linspace(0.5, 1.5, DOMAINS) * rows / DOMAINS, {}
    names = [f"d{number}" for number in range(DOMAINS)]
    sources = "".join(f'[[sources]]\nname = "{name}"\npath = "{name}"\ndomain = "{name}"\n' for name in names)
    run.mkdir()
    write_text(run / "recipe.toml", f'name = "trace"\nseed = 1\n{sources}[trainer]\nbatch_rows = {BATCH_ROWS}\n')
    write_json(run / "lock.json", {})
    domains = tuple(Domain(name, int(size), "") for name, size in zip(names, sizes, strict=True))
    even, skewed = quantise([1] * DOMAINS), quantise(range(1, DOMAINS + 1))
    segments = (Segment(rows // 2, even, even), Segment(rows * 3 // 2, even, skewed))
    Plan.build(domains, row_tokens=1024, seed=1, segments=segments).save(run / "plan")
    index_path(run, "d0").parent.mkdir()
    for number, domain in enumerate(domains):
        row = np.repeat(np.arange(domain.rows), rng.integers(1, 3, domain.rows))
        place = np.arange(len(row)) - np.searchsorted(row, row)
        document = np.cumsum(rng.integers(0, 3, len(row)) > 0)  # one in three goes on in the next piece
        ids = rng.bytes(16 * (int(document[-1]) + 1))
        ids = np.frombuffer(ids, np.uint8).reshape(-1, 16)
        write_index(index_path(run, domain.name), ids[document], row, place)
        for one in rng.integers(1, document[-1], DOCUMENTS // DOMAINS):
            chosen[ids[one].tobytes().hex()] = number, np.unique(row[document == one]).tolist()
    return chosen


def walk(run: Path, wanted: dict[str, tuple[int, list[int]]]) -> dict[str, Draws]:
    """Every sample of the plan, looked at once."""
    plan, size = Plan.load(run / "plan"), 1 << 20
    owners = defaultdict(list)
    for doc_id, (domain, rows) in wanted.items():
        for row in rows:
            owners[domain << 40 | row].append(doc_id)
    keys, found = np.array(sorted(owners)), defaultdict(list)
    for start in range(0, plan.samples, size):
        located = plan.locate(start, min(start + size, plan.samples))
        key = located.domain.astype(np.int64) << 40 | located.row
        for at in np.flatnonzero(np.isin(key, keys)).tolist():
            for doc_id in owners[int(key[at])]:
                found[doc_id].append((start + at, int(located.epoch[at]), int(located.row[at])))
    return found


def every_document(run: Path) -> dict[str, tuple[int, list[int]]]:
    """Domain and rows of all documents of a run, from its shards."""
    plan, found = Plan.load(run / "plan"), {}
    for number, name in enumerate(plan.names):
        reader = ShardReader(run / "shards" / name)
        for row, documents in enumerate(reader.documents(np.arange(reader.rows))):
            for document in documents:
                found.setdefault(document["doc_id"], (number, []))[1].append(row)
    return {doc_id: (domain, sorted(set(rows))) for doc_id, (domain, rows) in found.items()}


def timed(run: Path, names: Sequence[str]) -> tuple[list[float], dict[str, Draws]]:
    """CPU seconds of each call, and what the calls found."""
    spent, found = [], {}
    for name in names:
        begin = time.process_time()
        steps = trace_document(run, name)["steps"]
        spent.append(time.process_time() - begin)
        found[name] = sorted({(one["sample"], one["epoch"], one["row"]) for one in steps})
    return spent, found


def compare(work: str, target: str, run: Path, chosen: dict[str, Any]) -> Comparison:
    """Look documents up, and walk."""
    first = subprocess.run(
        [sys.executable, "-c", FIRST, str(run), next(iter(chosen))], capture_output=True, text=True, check=True
    )
    trace_document(run, next(iter(chosen)))
    spent, found = timed(run, list(chosen))
    begin = time.process_time()
    walked = walk(run, chosen)
    theirs = time.process_time() - begin
    equal = all(found[name] == walked.get(name, []) for name in chosen)
    note = f"slowest {max(spent):.3f}, {len(chosen)} documents; first call of a process {float(first.stdout):.2f} s"
    ours = median(spent)
    return Comparison(work, "a walk", "", "CPU s", ours, theirs, theirs / ours, target, equal, peak_rss_mb(), note)


def main() -> None:
    """Print a line for the generated plan, and one for a run."""
    parser = options(__doc__)
    parser.add_argument("--run", type=Path, help="a finished run")
    asked = parser.parse_args()
    rows = QUICK_ROWS if asked.quick else ROWS
    with tempfile.TemporaryDirectory() as folder:
        chosen = generate(Path(folder, "run"), rows)
        say(compare(f"trace, {rows // 10**6} M rows", "<= 1 s", Path(folder, "run"), chosen), asked.json)
    if asked.run:
        say(compare(f"trace, {asked.run.name}", "<= 0.1 s", asked.run, every_document(asked.run)), asked.json)


if __name__ == "__main__":
    main()
