"""The stored columns of a finished run as evidence, so that questions are answered without reading any text.

Only the signals that a question needs are read: a million documents have a gigabyte of signals, the twenty that
rules judge are a fifth of it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import StoreError, UnknownNameError
from gristmill.flows.pipeline.context import Mill
from gristmill.flows.pipeline.each_part import DOCUMENTS
from gristmill.flows.pipeline.jobs import resolve
from gristmill.flows.pipeline.judge import document_columns
from gristmill.flows.pipeline.signal_tables import measured_files, signals_measured
from gristmill.flows.pipeline.versions import stage_version

if TYPE_CHECKING:
    from gristmill.filters.decide.evidence import Evidence
    from gristmill.filters.decide.rules import Rule

Rules = Mapping[str, "tuple[Rule, ...]"]


def gather_run(mill: Mill, signals: Iterable[str]) -> "Evidence":
    """Evidence with the named signals alone; a signal that the run lacks is left out.

    Raises
    ------
    StoreError : the run has no clusters yet
    """
    from gristmill.filters.decide.evidence import gather

    documents = document_columns(
        _paths(mill, "documents", DOCUMENTS),
        _paths(mill, "signals", "signals.parquet"),
        _paths(mill, "language", "language.parquet"),
    )
    clusters = pa.concat_tables([pq.read_table(path) for path in _paths(mill, "clusters", "clusters.parquet")])
    clusters = clusters.filter(pc.field("size") > 1)  # a document without a row stands alone
    priorities = {source.name: source.priority for source in mill.recipe.sources}
    columns = read_signals(mill, signals).combine_chunks()  # in one piece a column is judged without a copy
    return gather(documents, columns, clusters, priorities)


def read_signals(mill: Mill, names: Iterable[str]) -> pa.Table:
    """doc_id and the named signals of every document, from whichever stage measured them."""
    wanted = set(names)
    tables = []
    for stage, name in measured_files(mill):
        paths = _paths(mill, stage, name)
        chosen = [one for one in signals_measured(paths) if one in wanted]
        if stage == "signals":
            chosen.insert(0, "doc_id")
        if chosen:
            tables.append(pa.concat_tables([pq.read_table(path, columns=chosen) for path in paths]))
    columns = {name: table[name] for table in tables for name in table.column_names}
    return pa.table(columns)


def known_signals(mill: Mill) -> list[str]:
    """Names of all signals that the run measured, in the order of its tables."""
    return [one for stage, name in measured_files(mill) for one in signals_measured(_paths(mill, stage, name))]


def signals_read(mill: Mill, *several: Rules) -> set[str]:
    """Signals that any of the rules reads.

    Raises
    ------
    StoreError : one that its stage measures today, while the run was milled by an older version
    UnknownNameError : one that no stage of the run measures
    """
    from gristmill.filters.decide.rules import signals_of

    known = known_signals(mill)
    read = {signal for rules in several for chosen in rules.values() for signal in signals_of(chosen)}
    for signal in sorted(read.difference(known)):
        _refuse_older(mill, signal)
        raise UnknownNameError("signal of this run", signal, known)
    return read


def _refuse_older(mill: Mill, signal: str) -> None:
    from gristmill.filters.decide.rules import STAGE_SIGNALS

    for stage in (stage for stage, names in STAGE_SIGNALS.items() if signal in names and mill.run.has(stage)):
        then = mill.run.lock["versions"]["stages"].get(stage)
        raise StoreError(
            f"run `gristmill run RECIPE` again: this run has no signal {signal!r} (measured by {stage} version "
            f"{stage_version(stage)}; the run was milled with version {then})"
        )


def _paths(mill: Mill, stage: str, name: str) -> list[Path]:
    optional = stage == "language" and not mill.run.has(stage)
    return [] if optional else [resolve(mill.store, ref) for ref in mill.refs(stage, name)]
