"""Alarms: budgets on the facts."""

import pytest

from gristmill.corpus.errors import BudgetError
from gristmill.dedup.clusters.alarms import check_alarms

FACTS = {
    "candidates": 1000,
    "unverified_share": 0.4,
    "documents": 10_000,
    "largest_cluster": 900,
    "largest_share": 0.09,
    "largest": [{"cluster": "00ff", "size": 900, "lowest_to_root": 0.1}],
}


def test_within_budgets_nothing_happens():
    check_alarms(FACTS, max_unverified_share=0.4, max_largest_share=0.09)


def test_unverified_candidates():
    with pytest.raises(
        BudgetError, match=r"40\.0% of 1,000 candidate pairs.*dedup\.near\.max_unverified_share = 30\.0%"
    ):
        check_alarms(FACTS, max_unverified_share=0.3, max_largest_share=1)


def test_largest_cluster():
    with pytest.raises(BudgetError, match=r"\(00ff\) holds 900 of 10,000.*dedup\.near\.max_largest_share = 5\.0%"):
        check_alarms(FACTS, max_unverified_share=1, max_largest_share=0.05)


def test_alarms_on_the_facts_of_a_clustering(cluster):
    same = " ".join(f"word{i}" for i in range(50))
    facts = cluster([[(str(i), same) for i in range(90)] + [(f"x{i}", f"other {i}") for i in range(10)]]).facts
    assert check_alarms(facts, max_unverified_share=0.0, max_largest_share=0.9) == ()
    with pytest.raises(BudgetError, match="holds 90 of 100 documents"):
        check_alarms(facts, max_unverified_share=0.0, max_largest_share=0.5)


def test_a_corpus_of_one_document_raises_no_alarm():
    alone = {"candidates": 0, "unverified_share": 0.0, "documents": 1, "largest_cluster": 1, "largest_share": 1.0}
    assert check_alarms(alone, max_unverified_share=0.0, max_largest_share=0.5) == ()


@pytest.mark.parametrize("documents", [3, 99, 100])
def test_a_share_of_few_documents_is_a_warning(documents):
    shares = {"largest_cluster": documents - 1, "largest_share": (documents - 1) / documents, "unverified_share": 0.9}
    facts = {**FACTS, "documents": documents, **shares}
    budgets = {"max_unverified_share": 0.5, "max_largest_share": 0.5}
    if documents == 100:
        with pytest.raises(BudgetError, match=r"90\.0% of 1,000"):
            check_alarms(facts, **budgets)
    else:
        pairs, cluster = check_alarms(facts, **budgets)
        assert "more than dedup.near.max_unverified_share" in pairs
        assert f"holds {documents - 1} of {documents} documents" in cluster
