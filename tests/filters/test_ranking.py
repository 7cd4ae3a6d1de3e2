"""The distance between two corpora, against its definition; and the bound it proposes, by trying every other."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import SchemaError
from gristmill.filters.decide.ranking import RANKING, in_order, rank_signals, separate

some_values = st.lists(st.integers(-20, 20).map(lambda n: n / 4), min_size=1, max_size=12).map(np.array)


def naive_distance(better: np.ndarray, worse: np.ndarray) -> float:
    """Mean distance of the sorted values, each corpus repeated to the same size."""
    left, right = np.sort(np.repeat(better, len(worse))), np.sort(np.repeat(worse, len(better)))
    deviation = np.concatenate([better, worse]).std()
    return np.abs(left - right).mean() / deviation if deviation else 0.0


@given(some_values, some_values)
def test_the_distance_equals_its_definition(better, worse):
    assert separate(better, worse).distance == pytest.approx(naive_distance(better, worse), abs=1e-12)
    assert separate(worse, better).distance == pytest.approx(separate(better, worse).distance, abs=1e-12)


def loses(side: str, threshold: float, values: np.ndarray) -> float:
    kept = values >= threshold if side == "at_least" else values <= threshold
    return 1 - kept.mean()


@given(some_values, some_values)
def test_no_other_bound_parts_them_better(better, worse):
    found = separate(better, worse)
    assert found.lost_better == pytest.approx(loses(found.side, found.threshold, better))
    assert found.lost_worse == pytest.approx(loses(found.side, found.threshold, worse))
    gains = [
        loses(side, threshold, worse) - loses(side, threshold, better)
        for side in ("at_least", "at_most")
        for threshold in np.concatenate([better, worse])
    ]
    assert found.lost_worse - found.lost_better == pytest.approx(max(0, *gains), abs=1e-12)


@given(some_values, some_values, st.sampled_from([0.5, 8.0]), st.integers(-9, 9))
def test_unit_and_origin_do_not_matter(better, worse, scale, shift):
    moved = separate(better * scale + shift, worse * scale + shift)
    assert moved.distance == pytest.approx(separate(better, worse).distance, abs=1e-9)


def test_the_most_telling_signal_comes_first():
    same = np.arange(50.0)
    better = pa.table({"doc_id": ["x"] * 50, "same": same, "apart": same + 1000, "shifted": same + 10})
    worse = pa.table({"doc_id": ["y"] * 50, "same": same, "apart": same, "shifted": same})
    ranking = rank_signals(better, worse)
    assert ranking.schema == RANKING
    assert ranking["signal"].to_pylist() == ["apart", "shifted", "same"]
    first = ranking.to_pylist()[0]
    assert (first["side"], first["threshold"]) == ("at_least", 1000.0)
    assert (first["lost_better"], first["lost_worse"]) == (0.0, 1.0)
    apart = [rank_signals(better.select([name]), worse.select([name])) for name in ("same", "shifted", "apart")]
    assert in_order(apart).equals(ranking)


def test_corpora_that_cannot_be_compared():
    one = pa.table({"a": [1.0]})
    with pytest.raises(SchemaError, match="the worse corpus has no signal 'a'"):
        rank_signals(one, pa.table({"b": [1.0]}))
    with pytest.raises(SchemaError, match="the better corpus has no documents"):
        rank_signals(one.slice(0, 0), one)
