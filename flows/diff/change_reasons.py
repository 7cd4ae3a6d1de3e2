"""Why each document changed: every reason that applies, from stored columns and the two locks."""

from dataclasses import dataclass

import polars as pl

from gristmill.corpus.lock import Lock
from gristmill.flows.diff.changed_documents import ABSENT
from gristmill.flows.diff.made_differently import Differs, by_other_code, changed_inputs, code_of, sources_of
from gristmill.flows.diff.turned_rules import Side, measured_again, turned_rules
from gristmill.flows.pipeline.open_context import stages_of_run
from gristmill.flows.pipeline.signal_tables import signal_tables, signals_measured, table_paths

REASONS = {  # in the order in which they are listed
    "takedown": "a takedown removed it from the run that lacks it",
    "source": "the run that lacks it has no such source",
    "input": "the source's files, or how they are read, are not the same",
    "language": "its language is not the same",
    "code": "the code, libraries, models or settings of a stage that decides here are not the same",
    "rule": "another bound, or a rule that one of the runs does not have",
    "representative": "another document of its cluster is kept",
    "cut": "other bytes are cut or masked",
}


CLUSTERING = frozenset({"signatures", "clusters"})


@dataclass(frozen=True, slots=True)
class Reasoned:
    """Changed documents with their reasons, and what the reasons rest on."""

    changed: pl.DataFrame  # of ``changed_documents``, with a column of bool for each of ``REASONS``, see ``flag``
    turned: pl.DataFrame  # of ``turned_rules``
    inputs: dict[str, list[Differs]]  # by source
    code: dict[str, list[Differs]]  # by stage


def flag(reason: str) -> str:
    """The column that says whether a reason applies; ``source`` is a column already."""
    return f"why_{reason}"


def reasons_of(before: Side, after: Side, changed: pl.DataFrame) -> Reasoned:
    """Find every reason of every changed document; one without any is counted as unexplained, never left out."""
    locks = before.context.run.lock, after.context.run.lock
    inputs, code = changed_inputs(*locks), code_of(*locks)
    turned = turned_rules(before, after, changed)
    taken = _absent_by([_taken_down(side) for side in (before, after)], "doc_id")
    tests = {
        "takedown": taken,
        "source": _absent_by([_other_sources(*pair) for pair in (locks, locks[::-1])], "source"),
        "input": _read_anew() & ~taken & pl.col("source").is_in(list(inputs)),
        "language": _both() & pl.col("lang_id_a").ne_missing(pl.col("lang_id_b")),
        "code": _code(before, after, turned, code, taken),
        "rule": _has_row(turned.filter("moved")),
        "representative": _merged_elsewhere(),
        "cut": pl.col("recut"),
    }
    flags = {flag(reason): test for reason, test in tests.items()}
    return Reasoned(changed.with_columns(**flags), turned, inputs, code)


def _both() -> pl.Expr:
    return pl.col("at_a").is_not_null() & pl.col("at_b").is_not_null()


def _read_anew() -> pl.Expr:
    return pl.col("kind").is_in(["added", "removed", "edited"])


def _merged_elsewhere() -> pl.Expr:
    """It lost to another document, or to none; what a rule drops in one run has lost to no document there."""
    passed = (pl.col("verdict_a") != "dropped") & (pl.col("verdict_b") != "dropped")
    return _both() & passed & pl.col("other_a").ne_missing(pl.col("other_b"))


def _has_row(turned: pl.DataFrame) -> pl.Expr:
    return pl.int_range(pl.len(), dtype=pl.UInt32).is_in(turned["n"].unique().implode())


def _absent_by(named: list[set[str]], column: str) -> pl.Expr:
    """Absent in the first run and named by it, or in the second and named by that."""
    tests = [
        (pl.col(f"verdict_{run}") == ABSENT) & pl.col(column).is_in(sorted(names))
        for run, names in zip("ab", named, strict=True)
    ]
    return tests[0] | tests[1]


def _taken_down(side: Side) -> set[str]:
    return {doc_id for one in side.context.run.takedowns for doc_id in one["removed"]}


def _other_sources(here: Lock, there: Lock) -> set[str]:
    """Sources that the first run does not have."""
    return set(sources_of(there)).difference(sources_of(here))


def _code(before: Side, after: Side, turned: pl.DataFrame, code: dict[str, list[Differs]], taken: pl.Expr) -> pl.Expr:
    """What was read, measured, clustered or cut by other code, and is another for it."""
    changed, other_code = _read_anew() & ~taken, by_other_code(code)
    again = measured_again(before, after, turned, _signals_of(before, code) | _signals_of(after, code))
    cuts = {stage.name for side in (before, after) for stage in stages_of_run(side.context.run).stages if stage.spans}
    return pl.any_horizontal(
        changed & pl.lit("documents" in code),
        _has_row(turned.filter(again)),
        _both() & pl.col("lang_id_a").ne_missing(pl.col("lang_id_b")) & pl.lit("language" in code),
        _merged_elsewhere() & pl.lit(bool(other_code & CLUSTERING)),
        pl.col("recut") & pl.lit(bool(other_code & (cuts | {"edits"}))),
    )


def _signals_of(side: Side, code: dict[str, list[Differs]]) -> set[str]:
    """Signals of the stages that the two runs do not share."""
    stages = [stage for stage in signal_tables(side.context.run) if stage.name in code]
    return {signal for stage in stages for signal in signals_measured(table_paths(side.context, stage))}
