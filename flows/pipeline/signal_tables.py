"""Which stages measured signals, and in which file: rules, what-if, sweeps and review read the same columns."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.flows.pipeline.context import Mill
from gristmill.flows.pipeline.jobs import Ref

SIGNAL_FILES = {
    "signals": "signals.parquet",
    "language": "language.parquet",
    "mentions": "knowledge.parquet",
    "line_edits": "line_edits.parquet",
    "pii": "pii.parquet",
    "blocklist": "blocklist.parquet",
    "contamination": "contamination.parquet",
    "compression": "compression.parquet",
}
CLASSIFIER_FILE, REFERENCE_FILE = "classifier.parquet", "scores.parquet"


def measured_files(mill: Mill) -> Iterator[tuple[str, str]]:
    """Stage and file name of every table of signals that the run has, text first."""
    yield from ((stage, name) for stage, name in SIGNAL_FILES.items() if mill.run.has(stage))
    for spec in mill.recipe.classifiers:
        if mill.run.has(f"classifier-{spec.name}"):
            yield f"classifier-{spec.name}", CLASSIFIER_FILE
    for spec in mill.recipe.references:
        if mill.run.has(f"reference-{spec.name}"):
            yield f"reference-{spec.name}", REFERENCE_FILE


def measured_refs(mill: Mill) -> list[list[Ref]]:
    """The signal tables of the run, each as its parts in order."""
    return [mill.refs(stage, name) for stage, name in measured_files(mill)]


def signals_measured(paths: Sequence[Path]) -> list[str]:
    """The number columns of a stage's table; none when the run lacks the stage."""
    schema = pq.read_schema(paths[0]) if paths else pa.schema([])
    return [field.name for field in schema if pa.types.is_floating(field.type)]


def signal_columns(tables: Sequence[Sequence[Path]]) -> pa.Table:
    """doc_id and every signal of every document, stage beside stage; all tables have the documents' rows."""
    columns = {"doc_id": pa.concat_tables([pq.read_table(path, columns=["doc_id"]) for path in tables[0]])["doc_id"]}
    for paths in tables:
        names = signals_measured(paths)
        table = pa.concat_tables([pq.read_table(path, columns=names) for path in paths])
        columns |= {name: table[name] for name in names}
    return pa.table(columns)
