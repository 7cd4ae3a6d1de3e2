"""``gristmill without``: what a corpus would be if some of its documents had never been there. Nothing is written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.account import to_json
from gristmill.corpus.errors import BudgetError, RecipeError
from gristmill.corpus.tables import read_part
from gristmill.corpus.whole_columns import index_in
from gristmill.filters.decide.budgets import check_budgets
from gristmill.flows.pipeline.context import RunContext
from gristmill.flows.pipeline.damage import names_damage
from gristmill.flows.pipeline.edits import bytes_cut
from gristmill.flows.pipeline.ingest import budgets_of, rejects_of
from gristmill.flows.pipeline.open_context import read_run
from gristmill.flows.without.corpus_without import Corpus, corpus_without, documents_of
from gristmill.flows.without.document_selection import chosen_rows
from gristmill.flows.without.mixture_without import mixture_without
from gristmill.flows.without.selection_keys import DocumentSelection

MAX_LISTED = 100  # doc_ids that are named; all are counted


@names_damage
def without_run(run: Path, selection: DocumentSelection, *, read_text: bool = True) -> dict[str, Any]:
    """The corpus of a run without the chosen documents.

    Parameters
    ----------
    run : a run directory that has come as far as decide
    read_text : see ``corpus_without``; False answers from stored columns alone

    Returns
    -------
    removed: documents, kept ones among them, by source; reelected: documents that are kept now and were not,
    merged_again: the other way round; freed and cut_anew: documents and bytes whose cuts went and came; before and
    after: accounts of decide by source; shares: of kept bytes by domain, before and after; mixture: feasibility, see
    ``mixture_without``;
    budget: the retention budget that would stop the run, or None; text_read: stages that read the text of kept
    documents for this answer; not_exact: sentences on what would have to be read or measured again

    Raises
    ------
    RecipeError : nothing is chosen, or everything is
    UnknownNameError : a source, domain, licence, language or doc_id that the run does not have
    """
    context = read_run(run)
    documents = documents_of(context)
    removed = chosen_rows(selection, documents)
    if removed.all():
        raise RecipeError(f"all {len(removed):,} documents of {context.run.path} are chosen: nothing would be left")
    corpus = corpus_without(context, documents, removed, read_text=read_text)
    before, after = _kept_before(context, documents), _frame(corpus.kept, documents)
    gone = set(documents["doc_id"].filter(pa.array(removed)).to_pylist())
    return {
        "run": str(context.run.path),
        "removed": _removed(documents, removed, before),
        **_kept_changes(before, after, gone),
        **_cut_changes(before.filter(~pl.col("doc_id").is_in(list(gone))), after),
        "before": to_json(context.run.manifest("decide").accounts),
        "after": to_json(corpus.decision.accounts),
        "shares": _shares(before, after),
        "mixture": mixture_without(context, _trained(before), _trained(after)),
        "budget": _broken_budget(context, corpus, selection),
        "text_read": list(corpus.searched),
        "not_exact": list(_not_exact(context, corpus, documents, removed)),
    }


def _frame(kept: pa.Table, documents: pa.Table) -> pl.DataFrame:
    """doc_id, domain, heldout, bytes that are left, bytes cut: of kept documents."""
    at = index_in(kept["doc_id"], documents["doc_id"])
    cut, size = bytes_cut(kept["spans"]), documents["bytes"].take(at)
    frame = pl.DataFrame(kept.select(["doc_id", "domain", "heldout"])).with_columns(cut=cut, size=pl.Series(size))
    return frame.with_columns(left=pl.col("size") - pl.col("cut"))


def _kept_before(context: RunContext, documents: pa.Table) -> pl.DataFrame:
    stage = "edits" if context.run.has("edits") else "decide"
    return _frame(read_part(context.file(stage, "kept.parquet")), documents)


def _removed(documents: pa.Table, removed: np.ndarray, before: pl.DataFrame) -> dict[str, Any]:
    chosen = documents.filter(pa.array(removed))
    kept = pc.is_in(chosen["doc_id"], before["doc_id"].to_arrow().cast(pa.string()))
    by_source = {one["values"]: one["counts"] for one in pc.value_counts(chosen["source"]).to_pylist()}
    return {"documents": len(chosen), "kept": pc.sum(kept).as_py() or 0, "by_source": dict(sorted(by_source.items()))}


def _kept_changes(before: pl.DataFrame, after: pl.DataFrame, gone: set[str]) -> dict[str, Any]:
    sides = [set(frame["doc_id"].to_list()) for frame in (before, after)]
    changed = {"reelected": sides[1] - sides[0], "merged_again": sides[0] - sides[1] - gone}
    return {key: {"documents": len(ids), "ids": sorted(ids)[:MAX_LISTED]} for key, ids in changed.items()}


def _cut_changes(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, Any]:
    """Of documents that are kept on both sides."""
    both = before.join(after, on="doc_id", suffix="_after").with_columns(more=pl.col("cut_after") - pl.col("cut"))
    freed, anew = both.filter(pl.col("more") < 0), both.filter(pl.col("more") > 0)
    return {
        "freed": {"documents": len(freed), "bytes": -int(freed["more"].sum())},
        "cut_anew": {"documents": len(anew), "bytes": int(anew["more"].sum())},
    }


def _shares(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, dict[str, float]]:
    sums = [dict(frame.group_by("domain").agg(pl.col("left").sum()).rows()) for frame in (before, after)]
    totals = [sum(one.values()) or 1 for one in sums]
    names = sorted({*sums[0], *sums[1]})
    pairs = {name: [one.get(name, 0) / total for one, total in zip(sums, totals, strict=True)] for name in names}
    return {name: dict(zip(("before", "after"), pair, strict=True)) for name, pair in pairs.items()}


def _trained(kept: pl.DataFrame) -> dict[str, int]:
    """Bytes by domain that are packed for training."""
    return dict(kept.filter(~pl.col("heldout")).group_by("domain").agg(pl.col("left").sum()).rows())


def _broken_budget(context: RunContext, corpus: Corpus, selection: DocumentSelection) -> str | None:
    rejects = {name: one for name, one in rejects_of(context.run).items() if name not in selection.source}
    try:
        check_budgets(corpus.decision.accounts, budgets_of(context.recipe), corpus.decision.ledger, rejects)
    except BudgetError as error:
        return str(error)
    return None


def _not_exact(context: RunContext, corpus: Corpus, documents: pa.Table, removed: np.ndarray) -> Iterator[str]:
    if corpus.unread:
        text = f"the text of {len(corpus.kept):,} kept documents would have to be read for {', '.join(corpus.unread)}"
        yield f"{text}: their cuts are those of the run"
    touched = pc.unique(documents["source"].filter(pa.array(removed))).to_pylist()
    if sets := sorted(set(context.recipe.use_policy.evaluate).intersection(touched)):
        yield f"all text would have to be held against {', '.join(sets)} again: contamination is that of the run"
