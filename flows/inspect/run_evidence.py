"""The stored columns of a finished run as evidence, so that questions are answered without reading any text.

Only the signals that a question needs are read: a million documents have a gigabyte of signals, the twenty that
rules judge are a fifth of it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import StoreError, UnknownNameError
from gristmill.corpus.tables import read_part
from gristmill.flows.pipeline.catalogue import Catalogue, rules_of
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.deciding import document_columns, text_bytes
from gristmill.flows.pipeline.jobs import resolve
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE
from gristmill.flows.pipeline.signal_tables import known_signals, signal_tables, signals_measured, table_paths

if TYPE_CHECKING:
    from gristmill.filters.decide.evidence import Evidence
    from gristmill.filters.decide.rules import Rule

Rules = Mapping[str, "tuple[Rule, ...]"]


def gather_run(context: RunContext, signals: Iterable[str]) -> "Evidence":
    """Evidence with the named signals alone; a signal that the run lacks is left out.

    Raises
    ------
    StoreError : the run has no clusters yet
    """
    from gristmill.filters.decide.evidence import gather

    documents = document_columns(
        _paths(context, "documents", DOCUMENTS_FILE),
        text_bytes(_paths(context, "signals", "signals.parquet")),
        _paths(context, "language", "language.parquet") if context.run.has("language") else [],
        licenses=bool(context.recipe.handoff.forbid_licenses),
    )
    clusters = pa.concat_tables([read_part(path) for path in _paths(context, "clusters", "clusters.parquet")])
    clusters = clusters.filter(pc.field("size") > 1)  # a document without a row stands alone
    columns = read_signals(context, signals).combine_chunks()  # in one piece a column is judged without a copy
    return gather(documents, columns, clusters, context.recipe.priorities, context.recipe.use_policy)


def read_signals(context: RunContext, names: Iterable[str]) -> pa.Table:
    """doc_id and the named signals of every document, from whichever stage measured them."""
    wanted = set(names)
    tables = []
    for place, stage in enumerate(signal_tables(context.run)):
        paths = table_paths(context, stage)
        chosen = [one for one in signals_measured(paths) if one in wanted]
        if place == 0:
            chosen.insert(0, "doc_id")
        if chosen:
            tables.append(pa.concat_tables([read_part(path, chosen) for path in paths]))
    columns = {name: table[name] for table in tables for name in table.column_names}
    return pa.table(columns)


def read_signal(context: RunContext, name: str) -> pa.ChunkedArray | None:
    """One signal of every document, without their names; None where no stage of the run measured it."""
    for stage in signal_tables(context.run):
        paths = table_paths(context, stage)
        if name in signals_measured(paths):
            return pa.concat_tables([read_part(path, [name]) for path in paths])[name]
    return None


def rules_of_run(context: RunContext) -> "dict[str, tuple[Rule, ...]]":
    """The rules that the run's recipe gives each domain."""
    return rules_of(context.recipe, frozenset(known_signals(context)) | frozenset(Catalogue().signals))


def signals_read(context: RunContext, *several: Rules) -> set[str]:
    """Signals that any of the rules reads.

    Raises
    ------
    StoreError : one that its stage measures today, while the run was milled by an older version
    UnknownNameError : one that no stage of the run measures
    """
    from gristmill.filters.decide.rules import signals_of

    known = known_signals(context)
    read = {signal for rules in several for chosen in rules.values() for signal in signals_of(chosen)}
    for signal in sorted(read.difference(known)):
        _refuse_older(context, signal)
        raise UnknownNameError("signal of this run", signal, known)
    return read


def _refuse_older(context: RunContext, signal: str) -> None:
    spec, _ = Catalogue().signals.get(signal, (None, None))
    if spec is None or not context.run.has(spec.name):
        return
    then = context.run.brief_lock.stages.get(spec.name)
    raise StoreError(
        f"run `gristmill run RECIPE` again: this run has no signal {signal!r} (measured by {spec.name} version "
        f"{spec.version}; the run was milled with version {then})"
    )


def _paths(context: RunContext, stage: str, name: str) -> list[Path]:
    return [resolve(context.store, ref) for ref in context.refs(stage, name)]
