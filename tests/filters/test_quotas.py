"""Quotas of types: documents under them are drawn more often, saturated ones are not, domains keep their bytes."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.filters.decide.quotas import NEAR, Quotas, naming, quota_factors, quota_figures
from gristmill.filters.decide.weights import scaled

KINDS = ("p", "q", "r")
documents = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.booleans(), st.integers(1, 99), st.sets(st.sampled_from(KINDS)), st.floats(0.5, 2)
    ),
    min_size=1,
    max_size=30,
)
asked = st.dictionaries(st.sampled_from(KINDS), st.integers(1, 40), min_size=1)


def table(drawn):
    domain, heldout, sizes, kinds, before = zip(*drawn, strict=True)
    kept = pa.table({"domain": list(domain), "heldout": list(heldout)})
    lists = pa.array(
        [[{"type": kind} for kind in sorted(some)] for some in kinds], pa.list_(pa.struct({"type": "string"}))
    )
    return kept, np.array(sizes), lists, np.array(before)


@given(documents, asked, st.floats(1, 9))
def test_quotas_are_reached_or_every_document_of_the_type_is_raised_as_far_as_it_may(drawn, quotas, most):
    kept, sizes, types, before = table(drawn)
    trained = ~kept["heldout"].to_numpy()
    places = naming(types, trained, quotas)
    assert {name: at.tolist() for name, at in places.items()} == {
        name: [n for n, (_, heldout, _, kinds, _) in enumerate(drawn) if name in kinds and not heldout]
        for name in quotas
    }
    factor = quota_factors(kept, sizes, before, places, Quotas(quotas, most))
    assert ((factor >= 1) & (factor <= most)).all()
    named = np.zeros(len(kept), bool)
    named[np.concatenate(list(places.values()))] = True
    assert (factor[~named] == 1).all()
    without, weight = scaled(kept, sizes, before), scaled(kept, sizes, before * factor)
    for name, one in quota_figures(places, without, weight, Quotas(quotas, most)).items():
        at = places[name]
        assert one.drawn == pytest.approx(sum(weight[n] for n in at), abs=1e-3)
        assert one.reached == (sum(weight[n] for n in at) >= one.asked * NEAR)
        if not one.reached and one.drawn < 0.95 * one.asked:
            assert factor[at] == pytest.approx(np.full(len(at), most))
    if all(without[at].sum() >= quotas[name] for name, at in places.items()):
        assert (factor == 1).all()  # saturated from the start


def test_a_rare_type_is_raised_and_a_saturated_one_is_not():
    kept, sizes, types, before = table(
        [("a", False, 10, {"p"}, 1), ("a", False, 10, {"q"}, 1), *[("a", False, 10, set(), 1)] * 8]
    )
    quotas = Quotas({"p": 3, "q": 1}, 9.0)
    places = naming(types, np.ones(10, bool), quotas.documents)
    weight = scaled(kept, sizes, before * quota_factors(kept, sizes, before, places, quotas))
    assert weight[0] == pytest.approx(3, rel=2e-3)
    assert weight[1] == pytest.approx(1, rel=2e-3)  # raised no more than what the scale of the domain took
    assert weight.sum() == pytest.approx(10)


@given(documents, asked, st.randoms(use_true_random=False))
def test_the_order_of_documents_and_of_quotas_does_not_matter(drawn, quotas, rng):
    def factors(some, named):
        kept, sizes, types, before = table(some)
        places = naming(types, ~kept["heldout"].to_numpy(), named)
        return quota_factors(kept, sizes, before, places, Quotas(named, 4.0))

    order = list(range(len(drawn)))
    rng.shuffle(order)
    turned = factors([drawn[n] for n in order], dict(reversed(quotas.items())))
    assert turned == pytest.approx(factors(drawn, quotas)[order], rel=1e-6)


def test_documents_that_are_held_out_raise_nothing_and_count_nowhere():
    kept, sizes, types, before = table(
        [("a", True, 10, {"p"}, 1), ("a", False, 10, {"p"}, 1), ("a", False, 10, set(), 1)]
    )
    quotas = Quotas({"p": 2}, 4.0)
    places = naming(types, ~kept["heldout"].to_numpy(), quotas.documents)
    factor = quota_factors(kept, sizes, before, places, quotas)
    assert (factor[0], factor[2]) == (1, 1)
    assert quota_figures(places, before, before, quotas)["p"].documents == 1


def test_what_cannot_be_reached_is_told():
    kept, sizes, types, before = table([("a", False, 10, {"p"}, 1)] * 4)
    quotas = Quotas({"p": 100, "q": 1}, 4.0)
    places = naming(types, np.ones(4, bool), quotas.documents)
    factor = quota_factors(kept, sizes, before, places, quotas)
    figures = quota_figures(places, before, scaled(kept, sizes, before * factor), quotas)
    assert (figures["p"].drawn, figures["p"].reached) == (4, False)  # all of the domain: its tokens stay
    assert (figures["q"].documents, figures["q"].drawn, figures["q"].reached) == (0, 0, False)
