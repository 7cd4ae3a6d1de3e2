"""Sweep: many decisions over the same documents, each with other rules; what is kept, by source."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from gristmill.filters.decide.evidence import DROP, DROPPED, KEPT, Evidence, judge
from gristmill.filters.decide.rules import Rule

Rules = Mapping[str, tuple[Rule, ...]]
SWEEP = pa.schema(
    [
        pa.field("bound", pa.float64(), False),
        pa.field("source", pa.string(), False),
        pa.field("kept_documents", pa.int64(), False),
        pa.field("kept_bytes", pa.int64(), False),
        pa.field("share", pa.float64(), False),  # of all kept bytes at this bound
    ]
)


def sweep(evidence: Evidence, variants: Mapping[float, Rules], decisions: np.ndarray | None = None) -> pa.Table:
    """What each variant keeps.

    Parameters
    ----------
    evidence : from ``gristmill.filters.decide.evidence.gather``
    variants : by bound, the rules by domain; rules that all variants share are judged once
    decisions : what people decided, see ``gristmill.filters.decide.evidence.judge``

    Returns
    -------
    Table of ``SWEEP``: one row a bound and source, bounds as given, sources in order of name

    Raises
    ------
    UnknownNameError : see ``gristmill.filters.decide.evidence.judge``
    """
    shared = _shared(list(variants.values()))
    decided = np.zeros(len(evidence.documents), np.int8) if decisions is None else decisions
    if variants:  # what a shared rule drops is settled, as if a person had dropped it
        decided = np.where(judge(evidence, shared, decided).codes == DROPPED, np.int8(DROP), decided)
    names, source_of = np.unique(evidence.documents["source"].to_numpy(), return_inverse=True)
    n_bytes = evidence.documents["bytes"].to_numpy()
    tables = []
    for bound, rules in variants.items():
        own = {domain: tuple(rule for rule in rules[domain] if rule not in shared[domain]) for domain in rules}
        kept = judge(evidence, own, decided).codes == KEPT
        documents = np.bincount(source_of[kept], minlength=len(names))
        size = np.bincount(source_of[kept], n_bytes[kept], len(names)).astype(np.int64)  # exact below 2**53 bytes
        columns = [np.full(len(names), bound), names, documents, size, size / max(size.sum(), 1)]
        tables.append(pa.table([pa.array(column) for column in columns], names=SWEEP.names).cast(SWEEP))
    return pa.concat_tables(tables) if tables else SWEEP.empty_table()


def _shared(variants: list[Rules]) -> Rules:
    """By domain, the rules that every variant has."""
    first, rest = variants[0] if variants else {}, variants[1:]
    return {
        domain: tuple(rule for rule in rules if all(rule in other[domain] for other in rest))
        for domain, rules in first.items()
    }
