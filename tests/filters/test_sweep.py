"""A sweep equals one decision after another; nothing is judged twice."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import UnknownNameError
from gristmill.corpus.schema import CLUSTERS
from gristmill.filters.decide.bound_sweep import SWEEP, sweep
from gristmill.filters.decide.evidence import DROP, KEEP, KEPT, Evidence, gather, judge
from gristmill.filters.decide.rules import Rule

PUNCT = Rule("punct", "punct_share", at_most=0.2)


def variants_of(bounds: list[float]) -> dict[float, dict[str, tuple[Rule, ...]]]:
    """Web alone follows the swept bound; both domains share a rule."""
    return {bound: {"web": (PUNCT, Rule("words", "words", at_least=bound)), "code": (PUNCT,)} for bound in bounds}


def evidence_of(rows: list[dict]) -> Evidence:
    ids = pa.array([f"{number:032x}" for number in range(len(rows))], pa.string())
    documents = pa.table(
        {
            "doc_id": ids,
            "source": pa.array([row["source"] for row in rows], pa.string()),
            "domain": pa.array([row["domain"] for row in rows], pa.string()),
            "lang_id": pa.nulls(len(rows), pa.string()),
            "bytes": pa.array([row["bytes"] for row in rows], pa.int64()),
            "part": pa.array(np.zeros(len(rows), np.int32)),
            "row": pa.array(np.arange(len(rows))),
        }
    )
    columns = {name: pa.array([float(row[name]) for row in rows]) for name in ("words", "punct_share")}
    linked = [row["cluster"] is not None for row in rows]
    clusters = pa.table(
        {
            "doc_id": ids.filter(pa.array(linked, pa.bool_())),
            "cluster": pa.array([row["cluster"] for row in rows if row["cluster"]], pa.string()),
            "size": pa.array([2] * sum(linked), pa.int32()),
            "kind": pa.array(["near"] * sum(linked), pa.string()),
            "jaccard": pa.array([0.9] * sum(linked), pa.float32()),
        }
    ).cast(CLUSTERS)
    return gather(documents, pa.table({"doc_id": ids, **columns}), clusters, {"books": 3})


some_rows = st.lists(
    st.fixed_dictionaries(
        {
            "source": st.sampled_from(["web", "books"]),
            "domain": st.sampled_from(["web", "code"]),
            "bytes": st.integers(0, 9),
            "words": st.integers(0, 9),
            "punct_share": st.sampled_from([0.1, 0.3]),
            "cluster": st.sampled_from(["a", "b", None]),
        }
    ),
    min_size=1,
    max_size=14,
)


@given(some_rows, st.lists(st.integers(0, 10), min_size=1, max_size=5, unique=True), st.data())
def test_each_bound_equals_a_decision_of_its_own(rows, bounds, data):
    evidence, variants = evidence_of(rows), variants_of([float(bound) for bound in bounds])
    size = len(rows)
    said = np.array(data.draw(st.lists(st.sampled_from([0, KEEP, DROP]), min_size=size, max_size=size)), np.int8)
    expected = []
    for bound, rules in variants.items():
        kept = judge(evidence, rules, said).codes == KEPT
        total = sum(row["bytes"] for row, is_kept in zip(rows, kept, strict=True) if is_kept)
        for source in sorted({row["source"] for row in rows}):
            mine = [
                row["bytes"] for row, is_kept in zip(rows, kept, strict=True) if is_kept and row["source"] == source
            ]
            expected.append((bound, source, len(mine), sum(mine), sum(mine) / max(total, 1)))
    table = sweep(evidence, variants, said)
    assert table.schema == SWEEP
    assert [tuple(row.values()) for row in table.to_pylist()] == expected


@given(some_rows)
def test_a_higher_bound_never_keeps_more_documents(rows):
    alone = [{**row, "cluster": None} for row in rows]
    table = sweep(evidence_of(alone), variants_of([float(bound) for bound in range(11)]))
    kept = np.zeros(11, int)
    np.add.at(kept, table["bound"].to_numpy().astype(int), table["kept_documents"].to_numpy())
    assert (np.diff(kept) <= 0).all()


def test_an_unknown_signal_is_named():
    evidence = evidence_of(
        [{"source": "w", "domain": "web", "bytes": 1, "words": 1, "punct_share": 0, "cluster": None}]
    )
    with pytest.raises(UnknownNameError, match="lang_score"):
        sweep(evidence, {1.0: {"web": (Rule("score", "lang_score", at_least=1),)}})


def test_no_bounds_give_no_rows():
    assert sweep(evidence_of([]), {}).num_rows == 0
