"""The queue behind the review page: the queue of one run, one document at a time, and the file of decisions.

Columns of the queue stay in memory; text is read for the document on the queue alone, a row group of its part.
"""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.corpus.errors import StoreError
from gristmill.corpus.tables import CHECKED
from gristmill.filters.decide.decisions import Decided, append_decision, rules_key
from gristmill.filters.decide.review_queue import distances, queue
from gristmill.flows.inspect.run_evidence import gather_run, rules_of_run, signals_read
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.deciding import standing_decisions
from gristmill.flows.pipeline.jobs import resolve
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE
from gristmill.flows.pipeline.signal_tables import known_signals, signal_tables

if TYPE_CHECKING:
    from gristmill.filters.decide.rules import Rule

UNKNOWN_LANGUAGE = "unknown"


class Choice(NamedTuple):
    """The part of the queue that a reviewer goes through: values of its columns, "" = all."""

    rule: str = ""
    lang_id: str = ""
    source: str = ""
    reason: str = ""

    def of(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows that it names, in their order."""
        return frame.filter(*(pl.col(name) == value for name, value in self._asdict().items() if value))


class Progress(NamedTuple):
    """Documents of a choice, and how many of them a person has decided."""

    queue: int
    decided: int


class ReviewQueue:
    """The queue of a run and what people decided of it; safe for the threads of a server."""

    def __init__(self, context: RunContext, decisions: Path, margin: float):
        rules = rules_of_run(context)
        self.run, self.path, self.margin = context.run.path, decisions, margin
        self.rules = rules
        self.key = rules_key(rules)
        self.units = {name: signal.unit for name, signal in known_signals(context).items()}
        table = queue(gather_run(context, signals_read(context, rules)), rules, margin=margin)
        self.queue = pl.DataFrame(table).with_columns(pl.col("lang_id").fill_null(UNKNOWN_LANGUAGE)).with_row_index()
        self._context = context
        self._at = {doc_id: at for at, doc_id in enumerate(self.queue["doc_id"])}
        self._lock = threading.Lock()
        self._texts = self._text_hashes()
        standing, stale = standing_decisions(
            decisions, resolve(context.store, context.refs("documents", DOCUMENTS_FILE))
        )
        self._decided = {row["doc_id"]: row for row in standing.to_pylist()}
        self._stale = {row["doc_id"]: row for row in stale.to_pylist()}
        self.last: str | None = None  # decided since the queue was opened, and not withdrawn

    def __contains__(self, doc_id: str) -> bool:
        return doc_id in self._at

    def decide(self, doc_id: str, decision: str, reviewer: str = "", note: str = "") -> None:
        """Put ``keep`` or ``drop`` on the disk, then in memory."""
        decided = Decided(doc_id, decision, self.key, reviewer, note, self._texts[doc_id])
        with self._lock:
            append_decision(self.path, decided)
            self._decided[doc_id] = {"decision": decision, "reviewer": reviewer, "note": note}
            self._stale.pop(doc_id, None)
            self.last = doc_id

    def withdraw(self, doc_id: str, reviewer: str = "", note: str = "") -> None:
        """Take back what was decided of a document: a line more, after which it is undecided."""
        with self._lock:
            if self._decided.pop(doc_id, None) or self._stale.pop(doc_id, None):
                append_decision(self.path, Decided(doc_id, "withdraw", self.key, reviewer, note, self._texts[doc_id]))
            self.last = None if self.last == doc_id else self.last

    def stale(self, doc_id: str) -> dict[str, Any] | None:
        """What a person decided of another text of the document; it does not apply."""
        return self._stale.get(doc_id)

    def _text_hashes(self) -> dict[str, str]:
        """text_hash of each document of the queue."""
        wanted = pc.field("doc_id").isin(self.queue["doc_id"].to_arrow())
        paths = resolve(self._context.store, self._context.refs("documents", DOCUMENTS_FILE))
        tables = [pq.read_table(path, columns=["doc_id", "text_hash"], filters=wanted, **CHECKED) for path in paths]
        return {row["doc_id"]: row["text_hash"] for table in tables for row in table.to_pylist()}

    def decision(self, doc_id: str) -> dict[str, Any] | None:
        """What a person decided last of a document."""
        return self._decided.get(doc_id)

    def chosen(self, choice: Choice) -> pl.DataFrame:
        """The choice's rows of the queue, each with its decision or null."""
        standing = {doc_id: row["decision"] for doc_id, row in list(self._decided.items())}
        frame = choice.of(self.queue)
        decision = frame["doc_id"].replace_strict(standing, default=None, return_dtype=pl.String)
        return frame.with_columns(decision=decision)

    def progress(self, choice: Choice | None = None) -> Progress:
        """How far a choice, or the whole queue, is done."""
        decisions = self.chosen(choice or Choice())["decision"]
        return Progress(len(decisions), len(decisions) - decisions.null_count())

    def options(self) -> dict[str, list[tuple[str, int]]]:
        """Values of each column that a choice may name, with their documents, most first."""
        counted = {
            name: self.queue[name].value_counts().sort("count", name, descending=[True, False]) for name in CHOICES
        }
        return {name: list(counts.iter_rows()) for name, counts in counted.items()}

    def neighbours(self, doc_id: str, choice: Choice) -> dict[str, str | None]:
        """The documents before and behind this one in the choice, and the next undecided one."""
        frame, at = self.chosen(choice), self._at[doc_id]
        before, behind = frame.filter(pl.col("index") < at), frame.filter(pl.col("index") > at)
        undecided = pl.concat([behind, before]).filter(pl.col("decision").is_null())
        return {"before": _first(before.reverse()), "behind": _first(behind), "undecided": _first(undecided)}

    def document(self, doc_id: str) -> dict[str, Any]:
        """The queue's row and the document's columns, its text and its rules."""
        row = self.queue.row(self._at[doc_id], named=True)
        document = read_row(self._context.file("documents", DOCUMENTS_FILE, row["part"]), row["row"])
        signals = self._signals(row["part"], row["row"])
        judged = [one for one in self.rules[row["domain"]] if _judges(one, row["lang_id"])]
        rules = [_told(rule, signals.get(rule.signal), self.units.get(rule.signal, "")) for rule in judged]
        return {**document, **row, "signals": signals, "rules": rules, "units": self.units}

    def _signals(self, part: int, row: int) -> dict[str, float]:
        found: dict[str, Any] = {}
        for stage in signal_tables(self._context.run):
            found |= read_row(self._context.file(stage.name, str(stage.table), part), row)
        return {name: value for name, value in found.items() if isinstance(value, float)}


CHOICES = Choice._fields


def _first(frame: pl.DataFrame) -> str | None:
    return frame["doc_id"][0] if len(frame) else None


def _judges(rule: "Rule", lang_id: str) -> bool:
    return rule.judges(None if lang_id == UNKNOWN_LANGUAGE else lang_id)


def _told(rule: "Rule", value: float | None, unit: str) -> dict[str, Any]:
    """A rule as the page shows it."""
    values = pl.Series([float("nan") if value is None else value]).to_numpy()
    return {
        "rule": rule.name,
        "signal": rule.signal,
        "value": value,
        "unit": unit,
        "bound": rule.bound,
        "profile": rule.profile,
        "fails": bool(rule.fails(values)[0]),
        "distance": float(distances(rule, values)[0]),
    }


def read_row(path: Path, row: int) -> dict[str, Any]:
    """One row of a Parquet file; reads the row group that holds it."""
    with pq.ParquetFile(path, memory_map=True, **CHECKED) as file:
        first = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if row < first + rows:
                return file.read_row_group(group, use_threads=False).slice(row - first, 1).to_pylist()[0]
            first += rows
    raise StoreError(f"{path} has {first} rows and none at {row}; delete its folder and run the recipe again")
