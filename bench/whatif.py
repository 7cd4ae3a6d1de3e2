"""whatif over a million documents: seconds to answer, and the same verdict as a real decide, document by document.

    python bench/whatif.py [--documents 1000000] [--quick] [--json]

The sample recipe is milled up to decide; its stored columns are repeated under new ids into a run directory of their
own. Then the question is asked of that run, and the changed recipe is really decided, from the same columns.
Seconds are wall-clock: a person waits for them.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from bench.compare import HOUSE, Comparison, options, peak_rss_mb, say
from gristmill.corpus.files import content_key
from gristmill.corpus.receipt import Manifest, Outcome
from gristmill.corpus.rundir import RunDir
from gristmill.flows.direct import refine_directly
from gristmill.flows.inspect.run_evidence import gather_run, rules_of_run
from gristmill.flows.inspect.settings import with_settings
from gristmill.flows.inspect.whatif import rules_with, signals_read, whatif_run
from gristmill.flows.pipeline.judge import plan_decide
from gristmill.flows.pipeline.open_context import reopen_run
from gristmill.flows.pipeline.signal_tables import signal_tables

RECIPE = HOUSE / "recipes" / "sample.toml"
FILES = {
    "documents": "documents.parquet",
    "signals": "signals.parquet",
    "language": "language.parquet",
    "mentions": "knowledge.parquet",
    "clusters": "clusters.parquet",
}
QUESTIONS = (
    ["words.at_least=80"],
    ["decide.domains.code.profiles=length,c4", "decide.profiles=gopher@datatrove,entropy@residual"],
)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000)
    arguments = parser.parse_args()
    wanted = 100_000 if arguments.quick else arguments.documents
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRISTMILL_HOME"] = folder
        os.chdir(HOUSE)
        run = repeat_run(Path(refine_directly(RECIPE, "decide")["run"]), wanted)
        whatif_run(run, QUESTIONS[0])  # imports
        for sets in QUESTIONS:
            say(compare(run, sets), arguments.json)


def repeat_run(run: Path, wanted: int) -> Path:
    """A run directory whose columns are those of ``run``, often enough for ``wanted`` documents."""
    with reopen_run(run) as context:
        copies = -(-wanted // context.run.manifest("documents").rows)
        again = RunDir(Path(shutil.copytree(run, run.parents[1] / "whatif" / run.name, dirs_exist_ok=True)))
        measured = {stage.name: str(stage.table) for stage in signal_tables(context.run)}
        for stage, name in (measured | FILES).items():
            parts = [
                context.store.produce(
                    stage, content_key([part.key, copies]), repeater(context.file(stage, name, at), copies)
                )
                for at, part in enumerate(context.run.manifest(stage).parts)
            ]
            again.write_manifest(Manifest(stage, tuple(receipt for receipt, _ in parts)))
    return again.path


def repeater(path: Path, copies: int):
    """A store's ``make``: the columns but text and mentions, ``copies`` times, ids told apart by their first digits."""

    def make(folder: Path) -> Outcome:
        table = pq.read_table(path)
        table = table.select([name for name in table.column_names if name not in ("text", "meta")])
        tables = [renumbered(table, copy) for copy in range(copies)]
        pq.write_table(pa.concat_tables(tables), folder / path.name, compression="zstd", compression_level=1)
        return Outcome(table.num_rows * copies)

    return make


def renumbered(table: pa.Table, copy: int) -> pa.Table:
    for name in ("doc_id", "cluster"):
        if name in table.column_names:
            ids = pl.Series(table[name]).str.slice(6)
            ids = pl.select(pl.lit(f"{copy:06x}") + pl.lit(ids)).to_series()
            table = table.set_column(table.column_names.index(name), name, ids.to_arrow().cast(pa.string()))
    return table


def compare(run: Path, sets: list[str]) -> Comparison:
    begin = time.perf_counter()
    answer = whatif_run(run, sets)
    ours = time.perf_counter() - begin
    begin = time.perf_counter()
    verdicts, flips = real_decide(run, []), whatif_flips(run, sets)
    after = real_decide(run, sets)
    theirs = (time.perf_counter() - begin) / 2  # of two decisions
    joined = verdicts.join(after, on="doc_id", suffix="_after", maintain_order="left", validate="1:1")
    expected = joined.filter(pl.col("verdict") != pl.col("verdict_after")).rename({"verdict": "before"})
    expected = expected.select("doc_id", "before", after="verdict_after").sort("doc_id")
    equal = len(joined) == len(verdicts) and expected.equals(flips.sort("doc_id"))
    kept = int((after["verdict"] == "kept").sum())
    equal = (
        equal and kept == answer["after"]["documents_kept"] and len(flips) == sum(answer["flipped"]["counts"].values())
    )
    return Comparison(
        work=f"whatif over {len(verdicts):,} documents: {' '.join(sets)}",
        peer="gristmill decide",
        peer_version="this tree",
        unit="s",
        ours=round(ours, 3),
        theirs=round(theirs, 3),
        ratio=round(theirs / ours, 2),
        target="<= 2 s per million",
        equal=equal,
        rss_mb=peak_rss_mb(),
        note=f"{len(flips):,} documents flip",
    )


def whatif_flips(run: Path, sets: list[str]) -> pl.DataFrame:
    """Every document that flips, not the first hundred."""
    from gristmill.filters.decide.changes import whatif

    with reopen_run(run) as context:
        before, after = rules_of_run(context), rules_with(context, sets)
        flipped = whatif(gather_run(context, signals_read(context, before, after)), before, after).flipped
    return pl.DataFrame(flipped).select("doc_id", "before", "after")


def real_decide(run: Path, sets: list[str]) -> pl.DataFrame:
    """doc_id and verdict, by the stage itself under the changed recipe."""
    with reopen_run(run) as context:
        context = context.with_recipe(with_settings(context.recipe, sets))
        stage = next(stage for stage in context.stages if stage.name == "decide")
        context.compute(stage.name, [plan_decide(context, stage)])
        ledger = pl.read_parquet(context.file("decide", "ledger.parquet"), columns=["doc_id", "verdict"])
    return ledger.unique("doc_id", maintain_order=True)


if __name__ == "__main__":
    main()
