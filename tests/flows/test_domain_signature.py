"""The unigram signature of domains against loops over tokens, and what it finds of rows under a wrong label."""

from collections import Counter
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.domain_signature import (
    count_rows,
    distances,
    mislabelled_distances,
    nats,
    read_rows,
    smallest_share,
    threshold,
)
from gristmill.handoff.reader import ShardReader
from gristmill.tokenizer.stage import PAD_ID

VOCAB = 12
ROWS = st.lists(st.lists(st.integers(-1, VOCAB - 1), min_size=5, max_size=5), min_size=1, max_size=6)


def naive_nats(row, counts):
    """Add-one smoothed cost of a row's tokens, one after the other; -1 is padding."""
    total, real = sum(counts.values()) + VOCAB, [token for token in row if token != -1]
    return sum(log(total / (counts[token] + 1)) for token in real) / max(len(real), 1)


def counted(rows):
    return Counter(token for row in rows for token in row if token != -1)


@given(ROWS, ROWS)
def test_costs_equal_those_of_a_loop(rows, other):
    ours = count_rows(np.array(rows), VOCAB)
    wanted = [naive_nats(row, counted(other)) for row in rows]
    assert nats(ours, count_rows(np.array(other), VOCAB).sum(), own=False) == pytest.approx(wanted)
    wanted = [naive_nats(row, counted(rows[:at] + rows[at + 1 :])) for at, row in enumerate(rows)]
    assert nats(ours, ours.sum(), own=True) == pytest.approx(wanted)


@given(ROWS, ROWS, ROWS, st.data())
def test_a_rows_own_source_does_not_vouch_for_it(rows, second, third, data):
    sources = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows))))
    domains = {name: count_rows(np.array(of), VOCAB) for name, of in (("a", rows), ("b", second), ("c", third))}
    wanted = []
    for at, row in enumerate(rows):
        rest = counted([other for place, other in enumerate(rows) if sources[place] != sources[at]])
        if 2 * sum(rest.values()) < sum(counted(rows).values()):
            rest = counted(rows[:at] + rows[at + 1 :])
        wanted.append(naive_nats(row, rest) - min(naive_nats(row, counted(of)) for of in (second, third)))
    assert distances(domains, "a", sources) == pytest.approx(wanted)
    without = [counted(second[:at] + second[at + 1 :]) for at in range(len(second))]
    wanted = [
        naive_nats(row, counted(rows)) - min(naive_nats(row, rest), naive_nats(row, counted(third)))
        for row, rest in zip(second, without, strict=True)
    ]
    assert mislabelled_distances(domains, "a", "b") == pytest.approx(wanted)


def drawn(rng, rows, favoured):
    weights = np.ones(VOCAB)
    weights[favoured], weights[1] = 6, 0
    return count_rows(rng.choice(VOCAB, (rows, 64), p=weights / weights.sum()), VOCAB)


def test_a_share_of_rows_under_a_wrong_label_is_found_and_right_rows_ring_once_in_a_thousand():
    rng = np.random.default_rng(1)
    domains = {"a": drawn(rng, 3000, [2, 3, 4]), "b": drawn(rng, 500, [4, 5, 6])}
    right, wrong = distances(domains, "a", np.zeros(3000)), mislabelled_distances(domains, "a", "b")
    assert (right > threshold(right)).sum() == 3
    assert smallest_share(right, wrong) < 0.005
    assert smallest_share(right, right) > 0.3  # rows that are like the others ring no alarm


def test_where_nothing_lies_beyond_the_threshold_nothing_is_found():
    assert smallest_share(np.arange(1000.0), np.zeros(9)) == 1


def test_rows_are_read_as_they_stand_in_the_shards(small_run):
    reader = ShardReader(small_run / "shards" / "forum")
    tokens = reader.tokens(np.arange(reader.rows)).astype(np.int64)
    tokens[tokens == PAD_ID] = -1  # a tokenizer trained here: no document has the id
    whole = count_rows(tokens, reader.index["vocab_size"])
    found = read_rows(small_run / "shards" / "forum")
    for name in ("row", "token", "count", "tokens"):
        assert np.array_equal(getattr(found, name), getattr(whole, name))
    assert found.tokens.sum() == reader.index["tokens"]
