"""The decision and the cuts of a run again, over the documents that remain: the corpus as a rerun would make it."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from gristmill.corpus.receipt import Outcome
from gristmill.corpus.span_tables import merge_spans, put_spans
from gristmill.corpus.tables import read_part
from gristmill.dedup.repeats.lines import line_spans
from gristmill.dedup.repeats.substrings import substring_spans
from gristmill.filters.decide.verdicts import Decision
from gristmill.filters.decide.verdicts import decide as decide_columns
from gristmill.flows.inspect.run_evidence import read_signals, rules_of_run, signals_read
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.deciding import document_columns, standing_decisions, text_bytes
from gristmill.flows.pipeline.edits import SPANS_FILE
from gristmill.flows.pipeline.jobs import resolve
from gristmill.flows.pipeline.judge import decisions_file
from gristmill.flows.pipeline.kept import by_part
from gristmill.flows.pipeline.measure_documents import DOCUMENTS_FILE
from gristmill.flows.pipeline.open_context import stages_of_run
from gristmill.flows.without.remaining_clusters import remaining_clusters

SEARCHES: dict[str, Callable[..., Outcome]] = {"lines": line_spans, "substrings": substring_spans}  # over all kept text


@dataclass(frozen=True, slots=True)
class Corpus:
    """What is decided and cut of the documents that remain."""

    decision: Decision
    kept: pa.Table  # corpus.schema.KEPT, with spans
    searched: tuple[str, ...]  # stages that read the text of all kept documents again
    unread: tuple[str, ...]  # stages that would have to, whose spans are those of the run


def documents_of(context: RunContext) -> pa.Table:
    """All documents of a run with the columns that a decision needs, and their licences; no text."""
    language = paths_of(context, "language", "language.parquet") if context.run.has("language") else []
    documents, signals = (
        paths_of(context, *one) for one in (("documents", DOCUMENTS_FILE), ("signals", "signals.parquet"))
    )
    return document_columns(documents, text_bytes(signals), language, licenses=True)


def paths_of(context: RunContext, stage: str, name: str) -> list[Path]:
    """A file of every part of a stage."""
    return [resolve(context.store, ref) for ref in context.refs(stage, name)]


def corpus_without(context: RunContext, documents: pa.Table, removed: np.ndarray, *, read_text: bool = True) -> Corpus:
    """Decide and cut again.

    Parameters
    ----------
    documents : of ``documents_of``
    removed : bool[n_docs]
    read_text : repeated lines and runs are searched for again where another document is kept than before; False leaves
        their spans as they are, which then are at most too many of documents that were kept, and none of others
    """
    remains = ~removed
    decision = _decided(context, documents.filter(pa.array(remains)), remains)
    before = read_part(context.file("decide", "kept.parquet"), ["doc_id"])
    same = before["doc_id"].equals(decision.kept["doc_id"])
    stages = [one.name for one in stages_of_run(context.run).stages if one.spans and context.run.has(one.name)]
    again = tuple(name for name in stages if name in SEARCHES and not same)
    tables: list[pa.Table] = []
    for name in stages:
        tables += _searched(context, name, decision.kept) if name in again and read_text else _stored(context, name)
    kept = put_spans(decision.kept, merge_spans(tables))
    return Corpus(decision, kept, again if read_text else (), () if read_text else again)


def _decided(context: RunContext, documents: pa.Table, remains: np.ndarray) -> Decision:
    recipe, rules = context.recipe, rules_of_run(context)
    people = decisions_file(recipe)
    return decide_columns(
        documents,
        read_signals(context, signals_read(context, rules)).filter(pa.array(remains)),
        remaining_clusters(context, remains),
        rules,
        priorities=recipe.priorities,
        heldout=recipe.shards.heldout,
        seed=context.seed("heldout"),
        decisions=standing_decisions(people, paths_of(context, "documents", DOCUMENTS_FILE))[0] if people else None,
        policy=recipe.use_policy,
    )


def _stored(context: RunContext, stage: str) -> list[pa.Table]:
    return [read_part(path) for path in paths_of(context, stage, SPANS_FILE)]


def _searched(context: RunContext, stage: str, kept: pa.Table) -> list[pa.Table]:
    documents, options = paths_of(context, "documents", DOCUMENTS_FILE), context.recipe.at(f"dedup.{stage}")
    with tempfile.TemporaryDirectory() as folder:
        SEARCHES[stage](documents, by_part(kept, len(documents)), Path(folder), **options.model_dump())
        return [read_part(Path(folder) / SPANS_FILE)]
