"""kept.weight: curves over percentiles, their scale, and the product of all factors."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.filters.decide.weights import Curve, curve_factors, figures, percentiles, weighted

documents = st.lists(
    st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(1, 99), st.floats(-5, 5) | st.just(float("nan"))),
    min_size=1,
)


def kept_of(drawn):
    domain, heldout, sizes, values = zip(*drawn, strict=True)
    table = {"domain": list(domain), "heldout": list(heldout), "weight": pa.array([1.0] * len(drawn), pa.float32())}
    return pa.table(table), np.array(sizes), {"s": np.array(values)}


@given(documents, st.lists(st.floats(0.1, 9), min_size=2, max_size=4))
def test_a_domain_keeps_its_bytes_and_the_rest_its_weight(drawn, factors):
    kept, sizes, values = kept_of(drawn)
    curves = {"a": Curve("s", tuple(zip(np.linspace(0, 100, len(factors)).tolist(), factors, strict=True)))}
    found = curve_factors(kept, sizes, values, curves)
    weight = weighted(kept, sizes, [found, np.where(kept["domain"].to_numpy() == "a", 2.0, 1.0)])["weight"].to_numpy()
    domain, heldout = kept["domain"].to_numpy(), kept["heldout"].to_numpy()
    trained = (domain == "a") & ~heldout
    assert (weight[~trained] == 1).all()
    assert (found[trained & np.isnan(values["s"])] == 1).all()
    if trained.any():
        assert np.average(weight[trained], weights=sizes[trained]) == pytest.approx(1, rel=1e-5)
        ratio = weight[trained] / found[trained]  # one scale for all
        assert ratio == pytest.approx(np.full(len(ratio), ratio[0]), rel=1e-5)
        assert figures(kept, values, curves, ["a"])["a"].unmeasured == np.isnan(values["s"][trained]).sum()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1))
def test_percentiles_are_the_bytes_below_and_half_of_the_same(pairs):
    values, sizes = (np.array(column) for column in zip(*pairs, strict=True))
    for place, value in enumerate(percentiles(values.astype(float), sizes)):
        below, same = sizes[values < values[place]].sum(), sizes[values == values[place]].sum()
        assert value == pytest.approx(100 * (below + same / 2) / sizes.sum())


def test_where_every_factor_is_zero_nothing_changes():
    kept, sizes, _ = kept_of([("a", False, 1, 0.0)] * 3)
    assert weighted(kept, sizes, [np.zeros(3)])["weight"].to_pylist() == [1, 1, 1]
