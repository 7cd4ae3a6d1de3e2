"""Which entities give an answer away, against plain Python, and the kernel that draws neighbours at its limits."""

import re
import unicodedata

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.knowledge import _kernels_neighbours
from gristmill.knowledge.answer_names import MOST_WORDS, entity_names, name_words, revealing_entities
from gristmill.knowledge.neighbourhoods import hashed, mixed

WORDS = ["new", "York", "york", "CITY", "St.", "東", "京", "é", "ﬁn"]
NAME = st.lists(st.sampled_from(WORDS), min_size=1, max_size=MOST_WORDS + 2).map(" ".join)


def words(name):
    """Plain Python's reading of a name: NFKC, small letters, a Chinese character is a word."""
    wide = "\u4e00-\u9fff"
    return re.findall(rf"[{wide}]|[^\W{wide}]+", unicodedata.normalize("NFKC", name).lower())


def reveals(name, asked):
    """The name holds the words of what is asked; a longer one than MOST_WORDS must be equal."""
    name, asked = words(name), words(asked)
    if not asked:
        return False
    if len(asked) > MOST_WORDS:
        return name == asked
    return any(name[at : at + len(asked)] == asked for at in range(len(name) - len(asked) + 1))


def nothing_itself():
    return pl.DataFrame(schema={"key": pl.Int64, "entity": pl.Int32})


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(NAME, min_size=1, max_size=3), min_size=1, max_size=5), st.lists(NAME, min_size=1, max_size=3))
def test_revealing_entities_by_definition(names, asked):
    entities = pl.DataFrame(
        {"entity": range(len(names)), "label": [one[0] for one in names], "aliases": [one[1:] for one in names]},
        schema={"entity": pl.Int32, "label": pl.String, "aliases": pl.List(pl.String)},
    )
    keys = pl.DataFrame({"key": range(len(asked)), "label": asked}).with_columns(words=name_words(pl.col("label")))
    found = revealing_entities(keys.select("key", "words"), entity_names(entities), nothing_itself(), len(asked))
    for key, one in enumerate(asked):
        expected = [n for n, of_entity in enumerate(names) if any(reveals(name, one) for name in of_entity)]
        assert found.entities[found.offsets[key] : found.offsets[key + 1]].tolist() == expected


def test_an_entity_without_a_word_reveals_itself():
    entities = pl.DataFrame(
        {"entity": [0], "label": ["!?"], "aliases": [[]]},
        schema_overrides={"entity": pl.Int32, "aliases": pl.List(pl.String)},
    )
    itself = pl.DataFrame({"key": [0], "entity": [0]}, schema={"key": pl.Int64, "entity": pl.Int32})
    asked = pl.DataFrame({"key": [0], "words": [""]})
    found = revealing_entities(asked.filter(pl.col("words") != ""), entity_names(entities), itself, 1)
    assert found.entities.tolist() == [0]


def drawn(n_tails, most, keys, hidden=(), heads_too=False):
    """Neighbours of entity 0 in as many documents as there are keys; its triples go to 1 ... n_tails."""
    n = n_tails + 1
    offsets = np.full(n + 1, n_tails)
    offsets[0] = 0
    none = np.zeros(n + 1, np.int64)
    triples = (offsets, np.zeros(n_tails, np.int32), np.arange(1, n, dtype=np.int32))
    nothing = (none, np.empty(0, np.int32), np.empty(0, np.int32))
    answers = (
        np.append(0, np.full(len(keys), len(keys) and 1)).cumsum(),
        np.arange(len(keys)) * 0,
        np.array([0, len(hidden)]),
        np.array(sorted(hidden), np.int32),
    )
    found, n_found, counts = (
        np.empty((len(keys), most, 2), np.int32),
        np.zeros(len(keys), np.int64),
        np.zeros(2, np.int64),
    )
    names = (mixed(np.arange(n, dtype=np.uint64) + 7), mixed(np.arange(2, dtype=np.uint64) + 99))
    _kernels_neighbours.draw_neighbours(
        np.arange(len(keys)),
        np.zeros(len(keys), np.int64),
        np.array(keys, np.uint64),
        answers,
        triples,
        triples if heads_too else nothing,
        names,
        found,
        n_found,
        counts,
    )
    return found, n_found, counts, names


def test_the_smallest_keys_are_kept_in_order():
    keys = mixed(np.arange(40, dtype=np.uint64))
    found, n_found, counts, (entities, relations) = drawn(30, 4, keys, hidden=(3, 9))
    assert set(n_found) == {4}
    assert counts.tolist() == [2 * 40, 28 * 40]
    for one, key in zip(found, keys, strict=True):
        order = mixed(mixed(key ^ entities) ^ relations[0])
        expected = [n for n in np.argsort(order) if n not in (0, 3, 9)][:4]
        assert one[:, 1].tolist() == expected
        assert one[:, 0].tolist() == [0] * 4
    assert len({tuple(one[:, 1]) for one in found}) > 30  # other documents see others


def test_a_hub_is_drawn_from_a_stretch_and_all_of_it_over_many_documents():
    n = 3 * _kernels_neighbours.LOOKED
    found, _, counts, _ = drawn(n, 8, mixed(np.arange(400, dtype=np.uint64)))
    assert counts[1] == 400 * _kernels_neighbours.LOOKED
    seen = np.unique(found[:, :, 1])
    assert len(seen) > 2500
    assert np.ptp(np.histogram(seen, bins=6, range=(1, n))[0]) < 0.4 * len(seen) / 3


@pytest.mark.parametrize("most", [1, 7, 64])
def test_fewer_triples_than_room_are_all_kept_both_ways(most):
    found, n_found, counts, _ = drawn(3, most, mixed(np.arange(5, dtype=np.uint64)), heads_too=True)
    assert n_found.tolist() == [min(6, most)] * 5
    assert counts.tolist() == [0, 30]
    if most >= 6:
        both = {(int(r), int(e)) for r, e in found[0, :6]}
        assert both == {(way, tail) for way in (0, 1) for tail in (1, 2, 3)}


def test_hashes_are_of_names_and_no_two_ways_share_them():
    import pyarrow as pa

    one, other = (hashed(pa.array(["near", "far"]), before) for before in ("", "inverse "))
    assert len({*one.tolist(), *other.tolist()}) == 4
    assert np.array_equal(one, hashed(pa.array(["near", "far"])))
