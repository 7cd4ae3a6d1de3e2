"""Alarms: findings so odd that the run stops before anything is decided on them.

A share of few documents says little: a trial of five pages, two of them alike, is no fault. Below ``FEW_DOCUMENTS`` an
alarm is a warning.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gristmill.corpus.errors import BudgetError

FEW_DOCUMENTS = 100


def check_alarms(facts: Mapping[str, Any], *, max_unverified_share: float, max_largest_share: float) -> tuple[str, ...]:
    """Raise BudgetError when the facts of ``clusters.cluster_documents`` exceed a budget; warn of a small corpus.

    Parameters
    ----------
    facts : with unverified_share, candidates, largest_share, largest_cluster, documents
    max_unverified_share : candidate pairs that verification may refuse, 0 to 1
    max_largest_share : documents that may lie in one cluster, 0 to 1

    >>> facts = {"candidates": 9, "unverified_share": 0.5, "documents": 99, "largest_cluster": 3, "largest_share": 0.03}

    Returns
    -------
    a sentence for each budget that a corpus of fewer than 100 documents exceeds

    >>> check_alarms(facts, max_unverified_share=0.9, max_largest_share=0.1)
    ()
    """
    found = tuple(_alarms(facts, max_unverified_share, max_largest_share))
    if found and facts["documents"] >= FEW_DOCUMENTS:
        raise BudgetError(found[0])
    return found


def _alarms(facts: Mapping[str, Any], max_unverified_share: float, max_largest_share: float) -> Iterator[str]:
    if facts["unverified_share"] > max_unverified_share:
        yield (
            f"{facts['unverified_share']:.1%} of {facts['candidates']:,} candidate pairs are no near duplicates, "
            f"more than dedup.near.max_unverified_share = {max_unverified_share:.1%}: the bands are too loose here. "
            "Set more dedup.near.rows, or raise the budget."
        )
    if facts["largest_cluster"] > 1 and facts["largest_share"] > max_largest_share:  # alone is no cluster
        yield (
            f"one cluster{_name(facts)} holds {facts['largest_cluster']:,} of {facts['documents']:,} documents "
            f"({facts['largest_share']:.1%}), more than dedup.near.max_largest_share = {max_largest_share:.1%}. "
            "Look at it in pairs.parquet; raise dedup.near.threshold, or raise the budget."
        )


def _name(facts: Mapping[str, Any]) -> str:
    largest = facts.get("largest")
    return f" ({largest[0]['cluster']})" if largest else ""
