"""Sums over any ledger against the same sums in plain Python."""

from collections import defaultdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.schema import LEDGER
from gristmill.data_cards.parts.ledger import dropped_by_rule, merged_by_kind, verdicts

RULES = {"words": ">= 50", "lines": "<= 2", "entropy": ">= 3.5"}
documents = st.lists(
    st.fixed_dictionaries(
        {
            "source": st.sampled_from(["web", "books"]),
            "domain": st.sampled_from(["web", "prose"]),
            "bytes": st.integers(0, 10**12),
            "fate": st.one_of(
                st.just("kept"),
                st.sampled_from(["duplicate_exact", "duplicate_near"]),
                st.sets(st.sampled_from(sorted(RULES)), min_size=1),
            ),
        }
    ),
    max_size=30,
)


def ledger_rows(documents):
    for number, document in enumerate(documents):
        fate = document["fate"]
        row = {key: document[key] for key in ("source", "domain", "bytes")} | {"doc_id": f"{number}", "stage": "decide"}
        if isinstance(fate, set):
            for rule in sorted(fate):
                failed = {"rule": rule, "signal": rule, "bound": RULES[rule], "value": float(number), "profile": "p v1"}
                yield row | {"verdict": "dropped"} | failed
        else:
            yield row | ({"verdict": "kept"} if fate == "kept" else {"verdict": "merged", "rule": fate, "other": "0"})


def verdict_of(document):
    fate = document["fate"]
    return "dropped" if isinstance(fate, set) else "kept" if fate == "kept" else "merged"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("ledger") / "ledger.parquet"


@given(documents)
def test_verdicts_equal_naive_sums(path, documents):
    pq.write_table(pa.Table.from_pylist(list(ledger_rows(documents)), LEDGER), path)
    naive = defaultdict(lambda: [0, 0])
    for document in documents:
        total = naive[document["source"], document["domain"], verdict_of(document)]
        total[0] += 1
        total[1] += document["bytes"]
    found = [(row.source, row.domain, row.verdict, row.documents, row.bytes) for row in verdicts(path)]
    assert found == sorted((*key, *total) for key, total in naive.items())


@given(documents)
def test_drops_equal_naive_sums(path, documents):
    pq.write_table(pa.Table.from_pylist(list(ledger_rows(documents)), LEDGER), path)
    failed = {name: [d for d in documents if isinstance(d["fate"], set) and name in d["fate"]] for name in RULES}
    rules = dropped_by_rule(path)
    assert {rule.rule for rule in rules} == {name for name, some in failed.items() if some}
    for rule in rules:
        some = failed[rule.rule]
        assert rule.bound == RULES[rule.rule]
        assert rule.documents == len(some)
        assert rule.bytes == sum(document["bytes"] for document in some)
        assert rule.alone == sum(len(document["fate"]) == 1 for document in some)
        for source, number in rule.sources.items():
            assert number == sum(document["source"] == source for document in some)
        numbers = [number for number, document in enumerate(documents) if document in some]
        assert rule.lowest >= min(numbers)
        assert rule.highest <= max(numbers)


@given(documents)
def test_merges_equal_naive_sums(path, documents):
    pq.write_table(pa.Table.from_pylist(list(ledger_rows(documents)), LEDGER), path)
    merged = [document for document in documents if verdict_of(document) == "merged"]
    found = merged_by_kind(path)
    assert sum(kind.documents for kind in found) == len(merged)
    for kind in found:
        assert kind.bytes == sum(document["bytes"] for document in merged if document["fate"] == kind.rule)


@given(documents, st.randoms())
def test_order_of_the_ledger_changes_nothing(path, documents, random):
    rows = list(ledger_rows(documents))
    answers = []
    for _ in range(2):
        pq.write_table(pa.Table.from_pylist(rows, LEDGER), path)
        answers.append((verdicts(path), dropped_by_rule(path), merged_by_kind(path)))
        random.shuffle(rows)
    assert answers[0] == answers[1]
