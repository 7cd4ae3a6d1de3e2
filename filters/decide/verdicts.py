"""Decide: one query over stored columns says which documents are kept, and the ledger says why not the others."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.account import Account, check_conservation
from gristmill.corpus.schema import KEPT as KEPT_SCHEMA
from gristmill.corpus.schema import LEDGER, SPAN
from gristmill.corpus.text._kernels import hash_documents
from gristmill.corpus.text.columns import text_column
from gristmill.corpus.use_policy import UsePolicy
from gristmill.filters.decide.evidence import (
    DROP,
    KEEP,
    KEPT,
    MERGED,
    VERDICTS,
    Evidence,
    Verdicts,
    Withheld,
    align_decisions,
    gather,
    judge,
)
from gristmill.filters.decide.language_reach import LanguageReach, language_reach
from gristmill.filters.decide.rules import Rule

REVIEW = "review"  # the rule that stands in the ledger for a person


@dataclass(frozen=True, slots=True)
class Decision:
    """What is kept, and why."""

    ledger: pa.Table  # corpus.schema.LEDGER: every document; of a dropped one, all rules that it failed
    kept: pa.Table  # corpus.schema.KEPT
    accounts: dict[str, Account]  # by source
    reach: LanguageReach  # which languages the rules judged


def decide(
    documents: pa.Table,
    signals: pa.Table,
    clusters: pa.Table,
    rules: Mapping[str, tuple[Rule, ...]],
    *,
    priorities: Mapping[str, int],
    heldout: float,
    seed: int,
    decisions: pa.Table | None = None,
    policy: UsePolicy | None = None,
) -> Decision:
    """Which documents are kept.

    Parameters
    ----------
    documents, signals, clusters, priorities : see ``gristmill.filters.decide.evidence.gather``
    rules : by domain, see ``gristmill.filters.decide.rules.resolve``
    heldout : share of kept documents that is kept away from training, 0 to 1. Keyed by doc_id and seed; since one
        document of a cluster is kept, no copy of a held-out document is trained on
    seed : chooses the held-out documents
    decisions : what people decided of single documents, see ``gristmill.filters.decide.review_queue.read_decisions``
    policy : what is withheld, and which sources are held out whole

    Returns
    -------
    Decision, in the documents' order

    Raises
    ------
    SchemaError, UnknownNameError : see ``gather`` and ``judge``
    ConservationError : documents were lost or invented
    """
    policy = policy or UsePolicy()
    evidence = gather(documents, signals, clusters, priorities, policy)
    decided = None if decisions is None else align_decisions(documents["doc_id"], decisions)
    verdicts = judge(evidence, rules, decided)
    accounts = account_by_source(documents, verdicts.codes)
    check_conservation("decide", accounts)
    kept = _kept(documents, verdicts, heldout, seed, policy.evaluate)
    return Decision(_ledger(evidence, verdicts), kept, accounts, language_reach(documents, rules))


def account_by_source(documents: pa.Table, codes: np.ndarray) -> dict[str, Account]:
    """Documents and bytes of each source by verdict, sources in order of name."""
    frame = pl.DataFrame(documents.select(["source", "bytes"])).with_columns(code=codes)
    columns = [pl.len().alias("in_documents"), pl.col("bytes").sum().alias("in_bytes")]
    for code, name in enumerate(VERDICTS):
        chosen = pl.col("bytes").filter(pl.col("code") == code)
        columns += [chosen.len().alias(f"{name}_documents"), chosen.sum().alias(f"{name}_bytes")]
    totals = frame.group_by("source").agg(columns).sort("source")
    order = [f"{name}_{what}" for what in ("documents", "bytes") for name in ("in", *VERDICTS)]
    return {row["source"]: Account(*(row[name] for name in order)) for row in totals.to_dicts()}


def _kept(documents: pa.Table, verdicts: Verdicts, heldout: float, seed: int, evaluate: tuple[str, ...]) -> pa.Table:
    chosen = documents.take(pa.array(np.flatnonzero(verdicts.codes == KEPT)))
    n = len(chosen)
    columns = {name: chosen[name] for name in ("doc_id", "source", "domain", "part", "row")}
    no_spans = pa.ListArray.from_arrays(pa.array(np.zeros(n + 1, np.int32)), pa.array([], SPAN))
    columns |= {"spans": no_spans, "weight": pa.array(np.ones(n, np.float32))}
    evaluated = pc.is_in(chosen["source"], pa.array(evaluate, pa.string())).to_numpy()
    columns["heldout"] = pa.array(heldout_flags(chosen["doc_id"], heldout, seed) | evaluated)
    return pa.table(columns).cast(KEPT_SCHEMA)


def heldout_flags(doc_ids: pa.ChunkedArray, heldout: float, seed: int) -> np.ndarray:
    """bool[n]: a keyed share of the documents, the same for a document whatever stands beside it."""
    hashes = np.empty(len(doc_ids), np.uint64)
    hash_documents(*text_column(pa.table({"text": doc_ids})), False, hashes)
    mixed = hashes ^ np.uint64(seed)
    for factor in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB):  # the finaliser of splitmix64
        mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(factor)
    return (mixed >> np.uint64(11)) * 2.0**-53 < heldout


def _ledger(evidence: Evidence, verdicts: Verdicts) -> pa.Table:
    decided = [_reasons_kept(verdicts), _reasons_merged(evidence, verdicts), _reasons_dropped(verdicts)]
    reasons = pl.concat([*decided, *(_reasons_withheld(one) for one in evidence.withheld)])
    reasons = reasons.sort("at", maintain_order=True)  # of one document: in the order of its rules
    documents = pl.DataFrame(evidence.documents.select(["doc_id", "source", "domain", "bytes"]))
    others = documents["doc_id"].gather(reasons["other"])
    ledger = documents[reasons["at"]].hstack(reasons.with_columns(other=others, stage=pl.lit("decide")))
    return ledger.select(LEDGER.names).to_arrow().cast(LEDGER)


_REASON = {
    "at": pl.Int64,
    "verdict": pl.String,
    "rule": pl.String,
    "signal": pl.String,
    "value": pl.Float64,
    "bound": pl.String,
    "profile": pl.String,
    "other": pl.Int64,
}


def _reasons(columns: dict[str, object], verdict: str) -> pl.DataFrame:
    """Columns of ``_REASON``; those left out are null."""
    given = pl.DataFrame(columns).with_columns(verdict=pl.lit(verdict))
    missing = [pl.lit(None, kind).alias(name) for name, kind in _REASON.items() if name not in given.columns]
    return given.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in _REASON.items())


def _reasons_kept(verdicts: Verdicts) -> pl.DataFrame:
    kept, kept_by_person = verdicts.codes == KEPT, verdicts.decisions == KEEP
    by_rules = _reasons({"at": np.flatnonzero(kept & ~kept_by_person)}, "kept")
    return pl.concat([by_rules, _reasons_reviewed(kept & kept_by_person, "kept", "keep")])


def _reasons_reviewed(chosen: np.ndarray, verdict: str, decision: str) -> pl.DataFrame:
    texts = {"rule": REVIEW, "signal": REVIEW, "bound": decision, "profile": "person"}
    frame = _reasons({"at": np.flatnonzero(chosen)}, verdict)
    return frame.with_columns(**{name: pl.lit(text) for name, text in texts.items()})


def _reasons_withheld(withheld: Withheld) -> pl.DataFrame:
    texts = {"rule": withheld.rule, "signal": withheld.rule, "bound": withheld.bound, "profile": "policy"}
    frame = _reasons({"at": withheld.rows}, "dropped")
    return frame.with_columns(**{name: pl.lit(text) for name, text in texts.items()})


def _reasons_merged(evidence: Evidence, verdicts: Verdicts) -> pl.DataFrame:
    merged = verdicts.codes[evidence.members] == MERGED
    rows = evidence.members[merged]
    rules = "duplicate_" + evidence.kinds.filter(merged)
    columns = {"at": rows, "rule": rules, "value": evidence.jaccards[merged], "other": verdicts.others[rows]}
    return _reasons(columns, "merged").with_columns(signal=pl.lit("jaccard"))


def _reasons_dropped(verdicts: Verdicts) -> pl.DataFrame:
    frames = [_reasons_reviewed(verdicts.decisions == DROP, "dropped", "drop")]
    for failure in verdicts.failures:
        rule = failure.rule
        frame = _reasons({"at": failure.rows, "value": failure.values}, "dropped")
        texts = {"rule": rule.name, "signal": rule.signal, "bound": rule.bound, "profile": rule.profile}
        frames.append(frame.with_columns(**{name: pl.lit(text) for name, text in texts.items()}))
    return pl.concat(frames)
