"""``gristmill samples``: texts of what a run dropped, kept, merged, cut and masked, a few at a time.

They are drawn by a keyed hash of their ids: the same call shows the same documents, on every machine.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from gristmill.corpus.errors import RecipeError, StoreError, UnknownNameError
from gristmill.corpus.span_tables import MASK
from gristmill.corpus.tables import CHECKED
from gristmill.corpus.whole_columns import whole
from gristmill.flows.inspect.id_prefixes import id_named
from gristmill.flows.inspect.rejected_samples import rejected_samples
from gristmill.flows.inspect.run_evidence import rules_of_run
from gristmill.flows.inspect.sample_choice import SampleChoice
from gristmill.flows.inspect.sample_texts import Span, cut_text, documents_named, masks_of
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.damage import names_damage
from gristmill.flows.pipeline.open_context import read_run

_LEDGER = ["doc_id", "source", "verdict", "rule", "signal", "value", "bound", "other"]
_SHOWN = ("doc_id", "source", "domain", "lang", "url", "locator")
_SEEDS = 1 << 64


@names_damage
def samples_of_run(
    run: Path, choice: SampleChoice, n: int = 10, seed: int = 0, *, show_masked: bool = False
) -> dict[str, Any]:
    """Texts of some of the documents that a choice names.

    Parameters
    ----------
    run : a run directory that has come as far as decide
    n : at most so many; of a cluster the kept member comes first
    seed : another one draws others
    show_masked : show what is masked in place of its marker

    Returns
    -------
    run, choice, documents (how many the choice names), samples: each with doc_id, source, domain, lang, url, locator,
    verdict, rules (that it failed, with value and bound), other (the document that it lost to), chars, and ``text``
    (of a kept document after edits); with ``choice.cut`` in place of it ``before``, ``after`` and ``cut``, the spans of
    that reason

    Raises
    ------
    RecipeError : the choice is empty, or n is below 1
    UnknownNameError, AmbiguousNameError : a rule, source, cluster or reason that this run does not have
    StoreError : the run has not decided
    """
    chosen = {name: value for name, value in asdict(choice).items() if value}
    if not chosen:
        raise RecipeError(
            "say which documents: --rule, --source, --kept, --dropped, --merged, --rejected, --cluster or --cut"
        )
    if n < 1:
        raise RecipeError(f"-n {n}: at least 1 document is shown")
    context = read_run(run)
    if choice.rejected:
        return {"run": str(context.run.path), "choice": chosen} | rejected_samples(context, choice, n, seed)
    ledger = pl.DataFrame(pq.read_table(context.file("decide", "ledger.parquet"), columns=_LEDGER, **CHECKED))
    named = _named(context, ledger, choice)
    drawn = _drawn(named, n, seed, choice)
    samples = _samples(context, ledger.filter(pl.col("doc_id").is_in(drawn)), drawn, choice.cut, show_masked)
    return {"run": str(context.run.path), "choice": chosen, "documents": len(named), "samples": samples}


def _named(context: RunContext, ledger: pl.DataFrame, choice: SampleChoice) -> pl.DataFrame:
    """doc_id and verdict of every document that the choice names."""
    frame = ledger
    if choice.verdicts:
        frame = frame.filter(pl.col("verdict").is_in(choice.verdicts))
    for column, value in (("source", choice.source), ("rule", choice.rule)):
        if value is not None:
            _check_known(column, value, _known(context, ledger, column))
            frame = frame.filter(pl.col(column) == value)
    for value, ids_of in ((choice.cluster, _cluster_ids), (choice.cut, _cut_ids)):
        if value is not None:
            frame = frame.filter(pl.col("doc_id").is_in(ids_of(context, value).to_pylist()))
    return frame.select("doc_id", "verdict").unique().sort("doc_id")


def _known(context: RunContext, ledger: pl.DataFrame, column: str) -> set[str]:
    """A rule that no document failed is a rule all the same; a source of which all was rejected is a source."""
    found = set(ledger[column].drop_nulls().unique())
    if column == "source":
        return found | {source.name for source in context.recipe.sources}
    return found | {rule.name for rules in rules_of_run(context).values() for rule in rules}


def _check_known(kind: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise UnknownNameError(kind, name, known)


def _cluster_ids(context: RunContext, name: str) -> pa.Array:
    """doc_ids of a cluster, named by its id or by a member's."""
    table = pq.read_table(
        context.file("clusters", "clusters.parquet"), columns=["doc_id", "cluster", "size"], **CHECKED
    )
    table = table.filter(pc.greater(table["size"], 1))
    if not table.num_rows:
        raise StoreError(f"{context.run.path} has no clusters: no two of its documents are alike")
    doc_id = id_named("cluster", name, table["doc_id"].to_pylist())  # a cluster's id is the smallest of its members'
    cluster = table["cluster"].filter(pc.equal(table["doc_id"], doc_id))[0]
    return whole(table["doc_id"].filter(pc.equal(table["cluster"], cluster)))


def _cut_ids(context: RunContext, reason: str) -> pa.Array:
    """doc_ids of kept documents that have a span of this reason."""
    if not context.run.has("edits"):
        raise StoreError(f"{context.run.path} cuts and masks nothing: none of its stages looks for what to take out")
    kept = pq.read_table(context.file("edits", "kept.parquet"), columns=["doc_id", "spans"], **CHECKED)
    lists = whole(kept["spans"])
    reasons, parents = lists.flatten().field("reason"), pc.list_parent_indices(lists)
    _check_known("reason of --cut", reason, pc.unique(reasons).to_pylist())
    return whole(kept["doc_id"]).take(pc.unique(parents.filter(pc.equal(reasons, reason))))


def _drawn(named: pl.DataFrame, n: int, seed: int, choice: SampleChoice) -> list[str]:
    """A Python loop over the documents named: xxhash takes one at a time (0.3 s for a million)."""

    def key(row: tuple[str, str]) -> tuple[bool, int]:
        last = choice.cluster is not None and row[1] != "kept"
        return last, xxhash.xxh3_64_intdigest(row[0].encode(), seed % _SEEDS)

    return [doc_id for doc_id, _ in heapq.nsmallest(n, named.iter_rows(), key=key)]


def _samples(
    context: RunContext, verdicts: pl.DataFrame, drawn: Sequence[str], cut: str | None, show_masked: bool
) -> list[dict[str, Any]]:
    documents, edits = documents_named(context, drawn), _edits(context, drawn)
    masks = {} if show_masked else masks_of(context, documents)
    samples = []
    for doc_id in drawn:
        failed, document = verdicts.filter(pl.col("doc_id") == doc_id).to_dicts(), documents[doc_id]
        spans = [one for one in edits.get(doc_id, []) if not (show_masked and one["reason"].startswith(MASK))]
        sample = {name: document[name] for name in _SHOWN} | _verdict(failed) | {"chars": len(document["text"])}
        before = cut_text(document["text"], masks.get(doc_id, []))
        after = cut_text(document["text"], spans) if doc_id in edits else before
        if cut is None:
            samples.append(sample | {"text": after})
        else:
            pieces = [span for span in edits[doc_id] if span["reason"] == cut]
            shown = [_piece(document["text"], span, masks.get(doc_id, [])) for span in pieces]
            samples.append(sample | {"before": before, "after": after, "cut": shown})
    return samples


def _edits(context: RunContext, doc_ids: Sequence[str]) -> dict[str, list[Span]]:
    """Spans of those that are kept."""
    stage = "edits" if context.run.has("edits") else "decide"
    wanted = pc.field("doc_id").isin(pa.array(doc_ids, pa.string()))
    kept = pq.read_table(context.file(stage, "kept.parquet"), columns=["doc_id", "spans"], filters=wanted, **CHECKED)
    return dict(zip(kept["doc_id"].to_pylist(), kept["spans"].to_pylist(), strict=True))


def _verdict(failed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    rules = [{name: row[name] for name in ("rule", "signal", "value", "bound")} for row in failed if row["rule"]]
    other = next((row["other"] for row in failed if row["other"]), None)
    return {"verdict": failed[0]["verdict"], "rules": rules, "other": other}


def _piece(text: str, span: Span, masks: Sequence[Span]) -> Span:
    """A span with its text, in which what is masked is shown by its marker."""
    start, end = span["start"], span["end"]
    inside = [
        mask | {"start": max(mask["start"], start) - start, "end": min(mask["end"], end) - start}
        for mask in masks
        if mask["start"] < end and mask["end"] > start
    ]
    return span | {"text": cut_text(text.encode()[start:end].decode(), inside)}
