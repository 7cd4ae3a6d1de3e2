"""The text targets: what is kept of every document, part by part of the documents."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import ConservationError, StoreError
from gristmill.flows.export.exported_documents import exported_schema, exported_tables, measured_columns
from gristmill.flows.export.target import Exported, ExportOptions
from gristmill.flows.export.text_files import ArrowRows, JsonLines, ParquetRows, PartFiles, TextFile
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.kept import kept_by_part


def export_jsonl(context: RunContext, folder: Path, options: ExportOptions) -> Exported:
    """JSON Lines."""
    return export_text(context, folder, options, JsonLines)


def export_parquet(context: RunContext, folder: Path, options: ExportOptions) -> Exported:
    """Parquet."""
    return export_text(context, folder, options, ParquetRows)


def export_arrow(context: RunContext, folder: Path, options: ExportOptions) -> Exported:
    """Arrow IPC files."""
    return export_text(context, folder, options, ArrowRows)


def export_text(context: RunContext, folder: Path, options: ExportOptions, kind: type[TextFile]) -> Exported:
    """Write ``part-NNNNN.SUFFIX`` for each part that keeps a document; one row group of text in memory.

    Raises
    ------
    StoreError : the run has not decided yet, or an order is asked for: documents have none
    ConservationError : documents written and emptied are not those that decide kept
    """
    if options.order:
        raise StoreError(f"--order {options.order}: an order is of rows, and {kind.suffix} is of documents")
    parts = kept_by_part(context)
    measured = measured_columns(context) if "signals" in options.columns else []
    files, written, heldout = [], Counter(), 0
    with context.report.progress("export", len(parts)) as progress:
        for number, kept in enumerate(parts):
            with PartFiles(folder, f"part-{number:05d}", kind, exported_schema(measured)) as out:
                for table in exported_tables(context, number, kept, measured):
                    written.update(table["source"].to_pylist())
                    heldout += pc.sum(table["heldout"]).as_py()
                    for value, rows in _by_value(table, options.by):
                        out.write(value, rows)
            files += out.done
            progress.advance()
    emptied = _emptied(context, parts, written)
    return Exported(tuple(files), dict(sorted(written.items())), heldout, emptied)


def _by_value(table: pa.Table, by: str | None) -> Iterator[tuple[str, pa.Table]]:
    if by is None:
        yield "", table
        return
    for value in sorted(pc.unique(table[by]).to_pylist()):
        yield value, table.filter(pc.equal(table[by], value))


def _emptied(context: RunContext, parts: list[pa.Table], written: Counter[str]) -> dict[str, int]:
    """Kept documents that were not written, by source; with those written they are what decide kept."""
    kept = Counter(source for part in parts for source in part["source"].to_pylist())
    for source, account in context.run.manifest("decide").accounts.items():
        if kept[source] != account.documents_kept or written[source] > kept[source]:
            raise ConservationError(
                f"export of {source}: {account.documents_kept} documents were kept, the table of kept documents has "
                f"{kept[source]}, {written[source]} were written; `gristmill verify {context.run.path}` looks for why"
            )
    return {source: n - written[source] for source, n in sorted(kept.items()) if n > written[source]}
