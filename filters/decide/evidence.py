"""What a decision is made from, and the verdicts that rules give on it: columns only, no text is read again.

``gather`` checks and aligns documents, signals and clusters once; ``judge`` then takes any rules in milliseconds,
so that thresholds can be swept.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.corpus.errors import SchemaError, UnknownNameError
from gristmill.corpus.schema import expect_columns
from gristmill.corpus.use_policy import BLOCKED, UsePolicy
from gristmill.corpus.whole_columns import coded
from gristmill.filters.decide.rules import Rule, signals_of

KEPT, DROPPED, MERGED = 0, 1, 2
VERDICTS = ("kept", "dropped", "merged")
UNDECIDED, KEEP, DROP = 0, 1, 2  # what a person decided of a document
DECISIONS = ("", "keep", "drop")
_DOCUMENT_COLUMNS = ("doc_id", "source", "domain", "lang_id", "bytes", "part", "row")


@dataclass(frozen=True, slots=True)
class Withheld:
    """Documents that the recipe keeps from being handed over, whatever rules and reviewers decide."""

    rule: str  # use or license
    bound: str  # what is forbidden
    rows: np.ndarray


@dataclass(frozen=True, slots=True)
class Evidence:
    """Documents with their signals and clusters, aligned row by row."""

    documents: pa.Table
    signals: pa.Table
    members: np.ndarray  # rows of clustered documents, cluster by cluster, the preferred one first
    clusters: np.ndarray  # cluster number of each member
    kinds: pl.Series  # of each member: exact or near
    jaccards: np.ndarray  # of each member
    withheld: tuple[Withheld, ...] = ()

    def values(self, signal: str) -> np.ndarray:
        """double[n_docs]; ``lang_score`` may stand with the documents."""
        for table in (self.signals, self.documents):
            if signal in table.column_names:
                return table[signal].to_numpy()
        raise UnknownNameError("signal", signal, self.signals.column_names[1:])


@dataclass(slots=True)
class Failure:
    """A rule and the documents that fail it."""

    rule: Rule
    rows: np.ndarray
    values: np.ndarray


@dataclass(slots=True)
class Verdicts:
    """One verdict a document; for merged ones the row of the document it lost to."""

    codes: np.ndarray  # int8[n_docs]: KEPT, DROPPED, MERGED
    others: np.ndarray  # int64[n_docs], -1 where nothing won
    decisions: np.ndarray  # int8[n_docs]: UNDECIDED, KEEP, DROP
    failures: list[Failure] = field(default_factory=list)  # of dropped documents


def gather(
    documents: pa.Table,
    signals: pa.Table,
    clusters: pa.Table,
    priorities: Mapping[str, int],
    policy: UsePolicy | None = None,
) -> Evidence:
    """Align the tables of a run.

    Parameters
    ----------
    documents : doc_id, source, domain, lang_id (primary subtag, null = unknown), bytes, part, row; lang_score if a
        rule reads it
    signals : ``gristmill.filters.signals.measure.SCHEMA``, row-aligned with documents
    clusters : ``corpus.schema.CLUSTERS``, any order, at most one row per document; documents without one stand alone
    priorities : by source; the representative of a cluster has the highest, then the most bytes, then the
        smallest doc_id. Sources left out have 0
    policy : which documents are withheld, all of them judged; with ``forbid_licenses`` documents have a license

    Raises
    ------
    SchemaError : a column is missing, rows are not aligned, or clusters name unknown or repeated documents
    """
    expect_columns(documents.schema, _DOCUMENT_COLUMNS, "documents")
    expect_columns(clusters.schema, ("doc_id", "cluster", "kind", "jaccard"), "clusters")
    if not documents["doc_id"].equals(signals["doc_id"]):
        raise SchemaError("signals are not row-aligned with documents; measure the part again")
    members = _members(documents, clusters, priorities)
    return Evidence(
        documents,
        signals,
        members["row"].to_numpy(),
        members["cluster"].rle_id().to_numpy(),
        members["kind"],
        members["jaccard"].cast(pl.Float64).to_numpy(),
        tuple(withheld(documents, policy or UsePolicy())),
    )


def withheld(documents: pa.Table, policy: UsePolicy) -> Iterator[Withheld]:
    """The documents of each blocked source, and those of each forbidden licence."""
    for name in policy.blocked:
        yield Withheld("use", BLOCKED, np.flatnonzero(pc.equal(documents["source"], name)))
    if policy.forbid_licenses:
        expect_columns(documents.schema, ("license",), "documents")
        for name in pc.unique(documents["license"]).to_pylist():
            if policy.forbids(name):
                yield Withheld("license", name, np.flatnonzero(pc.equal(documents["license"], name).fill_null(False)))


def _members(documents: pa.Table, clusters: pa.Table, priorities: Mapping[str, int]) -> pl.DataFrame:
    chosen = documents.select(["doc_id", "source", "bytes"]).append_column("row", pa.array(np.arange(len(documents))))
    frame, links = pl.DataFrame(chosen), pl.DataFrame(clusters.select(["doc_id", "cluster", "kind", "jaccard"]))
    members = links.join(frame, on="doc_id", how="left")
    if len(members) != len(links) or links["doc_id"].n_unique() != len(links):
        raise SchemaError("a document has more than one row in clusters or in documents; doc_id must be unique there")
    if members["row"].null_count():
        lost = members.filter(pl.col("row").is_null())["doc_id"][0]
        raise SchemaError(f"clusters name document {lost!r}, which the documents do not have")
    rank = pl.col("source").replace_strict(dict(priorities), default=0, return_dtype=pl.Int64)
    members = members.with_columns(rank.alias("rank"))
    return members.sort(["cluster", "rank", "bytes", "doc_id"], descending=[False, True, True, False])


def judge(evidence: Evidence, rules: Mapping[str, tuple[Rule, ...]], decisions: np.ndarray | None = None) -> Verdicts:
    """The verdict of every document.

    Parameters
    ----------
    rules : by domain; a domain of the documents without an entry is a mistake
    decisions : int8[n_docs], what a person decided: UNDECIDED, KEEP, DROP (``align_decisions``)

    Returns
    -------
    Verdicts: dropped = fails a rule (all failing rules are listed) or a person dropped it; what a person keeps
    passes every rule. Of the others exactly one of each cluster is kept, the rest are merged into it: a person's
    keep beats neither a duplicate nor what is withheld

    Raises
    ------
    UnknownNameError : a domain without rules, or a rule on a signal that was not measured
    """
    n_docs = len(evidence.documents)
    decisions = np.zeros(n_docs, np.int8) if decisions is None else decisions
    failures = [_failure(rule, rows, values, decisions) for rule, rows, values in judgements(evidence, rules)]
    codes, others = np.zeros(n_docs, np.int8), np.full(n_docs, -1, np.int64)
    codes[decisions == DROP] = DROPPED
    for one in (*failures, *evidence.withheld):
        codes[one.rows] = DROPPED
    passing = codes[evidence.members] != DROPPED
    members, clusters = evidence.members[passing], evidence.clusters[passing]
    is_first = np.diff(clusters, prepend=-1) != 0
    winners = members[is_first][np.cumsum(is_first) - 1]
    codes[members[~is_first]] = MERGED
    others[members[~is_first]] = winners[~is_first]
    return Verdicts(codes, others, decisions, failures)


def _failure(rule: Rule, rows: np.ndarray, values: np.ndarray, decisions: np.ndarray) -> Failure:
    fails = rule.fails(values) & (decisions[rows] != KEEP)
    return Failure(rule, rows[fails], values[fails])


def align_decisions(doc_ids: pa.ChunkedArray, decisions: pa.Table) -> np.ndarray:
    """What a person decided of each document, in the documents' order.

    Parameters
    ----------
    doc_ids : string[n_docs]
    decisions : ``decisions.read_decisions``: doc_id once each, decision; documents that are not here are no
        mistake, since one file of decisions may serve many recipes

    Returns
    -------
    int8[n_docs]: UNDECIDED, KEEP, DROP
    """
    decided = pl.DataFrame(decisions.select(["doc_id", "decision"]))
    codes = decided.with_columns(pl.col("decision").replace_strict(list(DECISIONS), range(3), return_dtype=pl.Int8))
    joined = pl.DataFrame({"doc_id": doc_ids}).join(codes, on="doc_id", how="left", maintain_order="left")
    return joined["decision"].fill_null(UNDECIDED).to_numpy()


def judgements(
    evidence: Evidence, rules: Mapping[str, tuple[Rule, ...]]
) -> Iterator[tuple[Rule, np.ndarray, np.ndarray]]:
    """Every rule of every domain with the rows it judges and their values.

    Raises
    ------
    UnknownNameError : a domain without rules, or a rule on a signal that was not measured
    """
    domains = coded(evidence.documents["domain"])
    known, numbers = domains.dictionary.to_pylist(), domains.indices.to_numpy()
    for domain in known:
        if domain not in rules:
            raise UnknownNameError("domain", domain, rules)
    rows = {domain: np.flatnonzero(numbers == number) for number, domain in enumerate(known)}
    columns = {signal: evidence.values(signal) for domain in known for signal in signals_of(rules[domain])}
    languages = LanguageColumn(evidence.documents["lang_id"])
    for domain in sorted(known):
        for rule in rules[domain]:
            judged = rows[domain][languages.judged_by(rule, rows[domain])]
            yield rule, judged, columns[rule.signal][judged]


class LanguageColumn:
    """Which documents a rule judges, by their language; None where it is unknown."""

    def __init__(self, column: pa.ChunkedArray):
        encoded = coded(column)
        self.names: list[str | None] = [*encoded.dictionary.to_pylist(), None]
        self._numbers = encoded.indices.fill_null(len(self.names) - 1).to_numpy(zero_copy_only=False)

    def judged_by(self, rule: Rule, rows: np.ndarray) -> np.ndarray:
        """bool[n_rows]: which of these documents the rule judges."""
        return np.array([rule.judges(name) for name in self.names])[self._numbers[rows]]

    def count(self, rows: np.ndarray) -> dict[str | None, int]:
        """How many of these documents are of each language; only those that there are."""
        counts = np.bincount(self._numbers[rows], minlength=len(self.names)).tolist()
        return {name: n for name, n in zip(self.names, counts, strict=True) if n}
