"""JSON of dataclasses: there and back, and every wrong key named by its path."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import CardError
from gristmill.corpus.typed_json import from_json, to_json
from gristmill.data_cards.differences import differences


@dataclass(frozen=True)
class Leaf:
    n: int
    share: float
    text: str | None
    done: bool


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...]
    by_name: Mapping[str, Leaf | None]
    pair: tuple[int, float]
    free: Any
    old: int = 0
    more: Mapping[str, int] = field(default_factory=dict)


finite = st.floats(allow_nan=False, allow_infinity=False)
leaf = st.builds(Leaf, st.integers(), finite, st.none() | st.text(), st.booleans())
names = st.text(max_size=3)
tree = st.builds(
    Tree,
    st.lists(leaf, max_size=3).map(tuple),
    st.dictionaries(names, st.none() | leaf, max_size=3),
    st.tuples(st.integers(), finite),
    st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=4),
    st.integers(),
    st.dictionaries(names, st.integers(), max_size=3),
)


@given(tree)
def test_there_and_back(value):
    assert from_json(Tree, to_json(value), "x") == value
    assert list(differences(to_json(value), to_json(value), "x")) == []


@given(tree, tree)
def test_two_values_differ_somewhere_or_are_one(one, other):
    assert (to_json(one) == to_json(other)) >= (not any(differences(to_json(one), to_json(other), "x")))
    if to_json(one) != to_json(other):
        assert any(differences(to_json(one), to_json(other), "x"))


LEAF = {"n": 1, "share": 1, "text": None, "done": True}
GOOD = {"leaves": [LEAF], "by_name": {}, "pair": [1, 2.0], "free": {"a": 1}}


def test_a_key_with_a_default_may_be_missing():
    assert from_json(Tree, GOOD, "x").old == 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"leafs": []}, "x: unknown key 'leafs'; did you mean 'leaves'"),
        ({"pair": [1]}, "x.pair has 1 values, not 2"),
        ({"pair": [1.5, 2.0]}, r"x.pair\[0\] is a number, not a whole number"),
        ({"leaves": [{"n": 1, "share": 1.0, "text": None}]}, r"x.leaves\[0\] has no done"),
        ({"leaves": [{"n": True, "share": 1.0, "text": None, "done": True}]}, r"x.leaves\[0\].n is true or false"),
        (
            {"leaves": [{"n": 1, "share": None, "text": None, "done": True}]},
            r"x.leaves\[0\].share is null, not a number",
        ),
        (
            {"by_name": {"a": {"n": 1, "share": 1.0, "text": 3, "done": True}}},
            "x.by_name.a.text is a whole number, not t",
        ),
        ({"by_name": []}, "x.by_name is a list, not an object"),
    ],
)
def test_a_wrong_key_is_named_by_its_path(change, problem):
    with pytest.raises(CardError, match=problem):
        from_json(Tree, GOOD | change, "x")


def test_numbers_of_another_kind_differ():
    assert list(differences([1, True, 0], [1.0, 1, False], "x")) == [
        "x: [0] is 1, the run says 1.0",
        "x: [1] is true, the run says 1",
        "x: [2] is 0, the run says false",
    ]
