"""Which tables of a run hold signals: rules, what-if, sweeps and review read the same columns."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.corpus.run_stages import RunStage
from gristmill.corpus.rundir import RunDir
from gristmill.corpus.schema import signal_of
from gristmill.corpus.stage import Signal
from gristmill.corpus.tables import read_part
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.jobs import resolve
from gristmill.flows.pipeline.open_context import stages_of_run


def signal_tables(run: RunDir) -> list[RunStage]:
    """The stages whose tables hold signals and that the run has, in order: those of the text alone first."""
    return [stage for stage in stages_of_run(run).stages if stage.signals and run.has(stage.name)]


def signals_measured(paths: Sequence[Path]) -> list[str]:
    """The number columns of a stage's table; none when the run lacks the stage."""
    return [signal.name for signal in signals_of_table(paths)]


def signals_of_table(paths: Iterable[Path]) -> list[Signal]:
    """The signals of a stage's table, as its columns describe them."""
    schema = next((pq.read_schema(path) for path in paths), pa.schema([]))
    return [signal_of(field) for field in schema if pa.types.is_floating(field.type)]


def signal_columns(tables: Sequence[Sequence[Path]], wanted: Collection[str]) -> pa.Table:
    """doc_id and the ``wanted`` signals of every document, stage beside stage; all tables have the documents' rows.

    A signal that no table has is left out. Columns are read one by one: all 98 would be 2.5 times the whole decision.
    """
    columns: dict[str, pa.ChunkedArray] = {}
    for place, paths in enumerate(tables):
        names = [*(() if place else ("doc_id",)), *(name for name in signals_measured(paths) if name in wanted)]
        table = pa.concat_tables([read_part(path, names) for path in paths]) if names else pa.table({})
        columns |= {name: table[name] for name in names}
    return pa.table(columns)


def table_paths(context: RunContext, stage: RunStage) -> list[Path]:
    """The table of every part of a stage."""
    return [resolve(context.store, ref) for ref in context.refs(stage.name, str(stage.table))]


def known_signals(context: RunContext) -> dict[str, Signal]:
    """All signals that a run measured, in the order of its tables, as they describe themselves."""
    found = (signals_of_table(table_paths(context, stage)) for stage in signal_tables(context.run))
    return {signal.name: signal for signals in found for signal in signals}
