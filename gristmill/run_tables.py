"""Where the tables of a run lie: files of its store entries, part by part."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from gristmill.corpus.errors import UnknownNameError
from gristmill.corpus.receipt import Receipt
from gristmill.file_table import FileTable, PartFiles
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.signal_tables import signal_tables
from gristmill.part_table import PartTable


def part_files(context: RunContext, stage: str, file: str, *, counted: bool = True) -> list[PartFiles]:
    """One file of every part of a stage; ``counted``: it has as many rows as the part's receipt says.

    Raises
    ------
    StoreError : the run has not come that far
    """
    parts = context.run.manifest(stage).parts
    return [PartFiles((partial(_file, context, part, file),), part.rows if counted else None) for part in parts]


def _file(context: RunContext, part: Receipt, file: str) -> Path:
    return context.store.folder(part) / file


def stage_table(
    context: RunContext, stage: str, file: str, columns: str | Iterable[str] | None = None, *, counted: bool = True
) -> PartTable:
    """A file of every part of a stage as one table; UnknownNameError for a column that it has not."""
    table = FileTable.of(Path(file).stem, part_files(context, stage, file, counted=counted))
    return table if columns is None else table.select(columns)


def keeper(context: RunContext) -> str:
    """The stage whose kept rows count: that which has put spans into them, where some stage found any."""
    return "edits" if context.run.has("edits") else "decide"


def signals_table(context: RunContext, names: str | Iterable[str] | None = None) -> PartTable:
    """doc_id and signals of every document, the tables of all measuring stages side by side.

    Raises
    ------
    UnknownNameError : a signal that the run has not measured, with the nearest
    StoreError : the run has not measured any
    """
    found = [part_files(context, stage.name, str(stage.table)) for stage in signal_tables(context.run)]
    if not found:
        context.run.manifest("signals")
    rows = [PartFiles(tuple(one.files[0] for one in part), part[0].rows) for part in zip(*found, strict=True)]
    table = FileTable.of("signals", rows)
    if names is None:
        return table
    chosen = [names] if isinstance(names, str) else list(names)
    for name in chosen:
        if name not in table.columns:
            raise UnknownNameError("signal", name, table.columns[1:])
    return table.select(["doc_id", *chosen])
