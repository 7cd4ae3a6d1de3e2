"""The one loop of every stage that measures documents part by part: read a batch, measure it, check it, write it.

What is checked of a stage, its own or a plug-in's: one value for each document, in the documents' order; every number
finite and inside the range that its signal declares; spans inside the text, in order, apart and between characters.
The first thing that is wrong ends the part, of which nothing is kept.
Stages are declared in ``stage``; which parts are measured where is decided in flows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.account import Account, add_up
from gristmill.corpus.facts import add_facts, facts_json
from gristmill.corpus.files import canonical_json
from gristmill.corpus.measured_checks import check_measured, fact_problems, stage_error
from gristmill.corpus.meter import count
from gristmill.corpus.plugins import resolve, told_by
from gristmill.corpus.receipt import Outcome
from gristmill.corpus.schema import SPANS, signals_schema
from gristmill.corpus.source_accounts import passed_by_source
from gristmill.corpus.span_tables import span_rows
from gristmill.corpus.stage import Measured, PartStage, Plugin, SideTable
from gristmill.corpus.tables import PartWriter, read_batches

SPANS_FILE = "spans.parquet"
ALWAYS_READ = ("doc_id", "source", "text")
Paths = Mapping[str, Sequence[Path]]


@dataclass(frozen=True, slots=True)
class Measurer:
    """A stage with its options, ready to measure batches in this process."""

    spec: PartStage
    options: Any
    measure: Callable[[pa.RecordBatch, Any, Any], Measured]
    state: Any
    plugin: Plugin | None = None

    @classmethod
    def of(
        cls, spec: PartStage, options: Any = None, artefacts: Paths | None = None, plugin: Plugin | None = None
    ) -> "Measurer":
        """Load a stage's functions and prepare its state.

        Raises
        ------
        StageError : a plug-in's function that is not there, or fails to prepare
        """
        find = partial(resolve, plugin=plugin, whose=f"stage {spec.name!r}")
        prepare = find(spec.prepare) if spec.prepare else None
        paths = {name: tuple(files) for name, files in (artefacts or {}).items()}
        with told_by(plugin, f"preparing stage {spec.name!r}"):
            state = prepare(options, paths) if prepare else None
        return cls(spec, options, find(spec.measure), state, plugin)

    def batch(self, batch: pa.RecordBatch) -> Measured:
        """Measure one batch and check what came back."""
        with told_by(self.plugin, lambda: self._measuring(batch)):
            measured = self.measure(batch, self.options, self.state)
        check_measured(self.spec, self.options, batch, measured, self.plugin)
        return measured

    def _measuring(self, batch: pa.RecordBatch) -> str:
        """Which document a plug-in fails at, found by halves; or all of them, where it fails at none alone."""
        while batch.num_rows > 1:
            half = batch.num_rows // 2
            failing = [part for part in (batch[:half], batch[half:]) if self._fails(part)]
            if not failing:
                return f"measuring {batch.num_rows} documents from {batch['doc_id'][0]} on in stage {self.spec.name!r}"
            batch = failing[0]
        which = f"document {batch['doc_id'][0]}" if batch.num_rows else "a part without documents"
        return f"measuring {which} in stage {self.spec.name!r}"

    def _fails(self, batch: pa.RecordBatch) -> bool:
        try:
            self.measure(batch, self.options, self.state)
        except (Exception, SystemExit):  # noqa: BLE001  a plug-in may raise anything
            return True
        return False

    def conclude(self, folder: Path, facts: list[Any]) -> dict[str, Any]:
        """The facts of a whole part, as plain JSON."""
        with told_by(self.plugin, f"adding up the facts of stage {self.spec.name!r}"):
            total = add_facts(facts)
            if self.spec.conclude is not None:
                total = resolve(self.spec.conclude, self.plugin, self.spec.name)(
                    total, folder, self.options, self.state
                )
                for problem in fact_problems(self.spec, total):
                    raise stage_error(self.spec, problem, self.plugin)
            found = facts_json(total)
            canonical_json(found)  # a number of another library fails here, not when the receipt is written
        return found


def measure_part(
    spec: PartStage,
    documents: Path,
    folder: Path,
    options: Any = None,
    artefacts: Paths | None = None,
    plugin: Plugin | None = None,
) -> Outcome:
    """Measure one part of the documents: the stage's tables in ``folder``, row-aligned with ``documents``.

    Parameters
    ----------
    spec : the stage; ``options`` is its section of the recipe, ``artefacts`` the files that it names, by what they are
    documents : a Parquet file of ``corpus.schema.DOCUMENTS``
    plugin : where the stage comes from, when it is none of ours

    Returns
    -------
    Outcome: rows, documents and bytes passed on by source, and the facts that the stage gives

    Raises
    ------
    StageError : what the stage returned is not what it declares, or its code failed; names stage and document

    Cost
    ----
    One pass over the text; memory is a row group of text and what is measured on it, or on ``rows_at_once`` of it.
    """
    measurer = Measurer.of(spec, options, artefacts, plugin)
    part = _Part(spec, folder, options, plugin)
    columns = [*ALWAYS_READ, *(name for name in spec.columns if name not in ALWAYS_READ)]
    with ExitStack() as open_files:
        part.open(open_files)
        for batch in _batches(documents, columns, spec.rows_at_once):
            part.write(batch, measurer.batch(batch))
        if not part.rows:
            part.facts.append(measurer.batch(_no_documents(documents, columns)).facts)
    facts = [one for one in part.facts if one is not None]
    return Outcome(part.rows, add_up(part.accounts), measurer.conclude(folder, facts))


def _batches(documents: Path, columns: list[str], most: int) -> Iterator[pa.RecordBatch]:
    for batch in read_batches(documents, columns):
        step = most or max(batch.num_rows, 1)
        yield from (batch.slice(start, step) for start in range(0, batch.num_rows, step))


def _no_documents(documents: Path, columns: Sequence[str]) -> pa.RecordBatch:
    """A batch without documents: what a stage says of it are its facts at zero."""
    schema = pq.read_schema(documents)
    return pa.RecordBatch.from_pylist([], pa.schema([schema.field(name) for name in columns]))


@dataclass(slots=True)
class _Part:
    """The tables of one part while they are written."""

    spec: PartStage
    folder: Path
    options: Any
    plugin: Plugin | None
    rows: int = 0
    accounts: list[dict[str, Account]] = field(default_factory=list)
    facts: list[Any] = field(default_factory=list)
    _writers: dict[str, PartWriter] = field(default_factory=dict)

    def open(self, files: ExitStack) -> None:
        for name, schema, noise in self._tables():
            self._writers[name] = files.enter_context(PartWriter(self.folder / name, schema, noise))

    def _tables(self) -> Iterator[tuple[str, pa.Schema, tuple[str, ...]]]:
        if self.spec.table:
            yield self.spec.table, signals_schema(self.spec.measured(self.options), self.spec.labels), ()
        if self.spec.spans:
            yield SPANS_FILE, SPANS, ()
        for side in self.spec.tables:
            yield side.file, side_schema(side, self.options, self.plugin, self.spec.name), side.noise

    def write(self, batch: pa.RecordBatch, measured: Measured) -> None:
        doc_ids = batch.column("doc_id").cast(pa.string())
        if self.spec.table:
            schema = signals_schema(self.spec.measured(self.options), self.spec.labels)
            columns = [doc_ids, *(measured.columns[name] for name in schema.names[1:])]
            columns = [column.cast(field.type) for column, field in zip(columns, schema, strict=True)]
            self._writers[self.spec.table].write(pa.record_batch(columns, schema=schema))
        if measured.spans is not None:
            self._writers[SPANS_FILE].write(span_rows(doc_ids, measured.spans))
        for side in self.spec.tables:
            with told_by(self.plugin, f"writing {side.file} of stage {self.spec.name!r}"):
                self._writers[side.file].write(measured.tables[side.file])
        self.rows += batch.num_rows
        n_bytes = pc.binary_length(batch.column("text"))
        count(batch.num_rows, pc.sum(n_bytes).as_py() or 0)
        self.accounts.append(passed_by_source(batch.column("source"), n_bytes))
        self.facts.append(measured.facts)


def side_schema(side: SideTable, options: Any, plugin: Plugin | None = None, stage: str = "") -> pa.Schema:
    """The schema of a further table, under these options; ``stage`` stands in messages."""
    with told_by(plugin, f"asking for the schema of {side.file} of stage {stage!r}"):
        found = resolve(side.schema, plugin, f"stage {stage!r}")
        return found if isinstance(found, pa.Schema) else found(options)
