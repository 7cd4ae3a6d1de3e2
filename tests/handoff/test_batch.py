"""A batch's masks, positions and bounds, and how long its memory is its own."""

from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.handoff import _kernels_rows
from gristmill.handoff.batch import IGNORED, Batch
from gristmill.handoff.loader import Loader
from gristmill.handoff.reader import ShardReader, Slices
from gristmill.handoff.row_digest import NO_TARGET, seen_in_rows
from gristmill.handoff.shards import ShardWriter
from gristmill.handoff.step_arrays import StepArrays, rows_of_run, step_arrays

L = 7
cuts = st.lists(st.sets(st.integers(0, L), max_size=6).map(sorted), max_size=4)  # of every row: where slices may begin


def batch_of(rows, kept, seed=0, masked=False):
    """A batch whose rows are cut at ``rows``; of the pieces between two cuts some are slices, the others gaps."""
    rng, found = np.random.default_rng(seed), []
    for row, bounds in enumerate(rows):
        found += [(row, a, b - a) for a, b in pairwise(bounds) if kept(a, b)]
    slices = Slices(*np.array(found, np.int64).reshape(-1, 3).T)
    tokens, mask = rng.integers(0, 99, (len(rows), L)), rng.random((len(rows), L)) < 0.6 if masked else None
    zero = np.zeros(len(rows), np.int64)
    return Batch(0, 0, zero, tokens, zero, zero, zero, slices, mask)


@given(cuts, st.integers(0, 2), st.booleans())
def test_layout_equals_its_definition(rows, odd, masked):
    batch = batch_of(rows, lambda a, b: (a + b) % 3 != odd, masked=masked)
    counted, positions, bounds = batch.layout()
    owner = np.zeros(batch.tokens.shape, int)  # 0 in gaps
    for number, (row, start, length) in enumerate(np.transpose(batch.slices).tolist(), 1):
        owner[row, start : start + length] = number
    begins = [0 if t == 0 else None for t in range(L)]
    expected = []
    for row in range(len(rows)):
        for t in range(L):
            begins[t] = t if t == 0 or owner[row, t] != owner[row, t - 1] else begins[t - 1]
            assert positions[row, t] == t - begins[t]
            inside = owner[row, t] > 0 and begins[t] < t
            assert counted[row, t] == (inside and (batch.mask is None or bool(batch.mask[row, t])))
            expected += [row * L + t] if begins[t] == t else []
    assert bounds.tolist() == [*expected, len(rows) * L]


@given(cuts, st.booleans())
def test_targets_are_those_of_the_row_digest(rows, masked):
    batch = batch_of(rows, lambda a, b: (a + b) % 3 != 0, masked=masked)
    row, start, length = batch.slices
    seen = seen_in_rows(batch.tokens, batch.domain, batch.epoch, batch.slices, batch.mask)
    flat = np.concatenate(
        [np.arange(r * L + s, r * L + s + n) for r, s, n in zip(row, start, length, strict=True)] or [[]]
    )
    found = np.full(batch.tokens.size, IGNORED)
    found[flat.astype(int)] = np.where(seen.targets == NO_TARGET, IGNORED, seen.targets)
    assert batch.targets().reshape(-1).tolist() == found.tolist()
    arrays = step_arrays(batch, digests=True)
    assert arrays["targets"].tolist() == batch.targets().tolist()
    assert arrays["labels"][:, 1:].tolist() == batch.targets()[:, :-1].tolist()
    assert (arrays["labels"] != IGNORED).tolist() == arrays["loss_mask"].tolist()
    assert arrays["segment_ids"].max(initial=0) <= L
    assert arrays["digest"].tolist() == batch.digest.tolist()


def test_a_slice_that_leaves_its_row_writes_nowhere_else():
    counted, positions = np.ones((1, 4), bool), np.zeros((1, 4), np.int32)
    bounds = np.empty(4, np.int32)
    one = np.ones(1, np.int64)
    assert _kernels_rows.lay_out(one * 0, one, one * 99, counted, positions, bounds) == 3
    assert positions.tolist() == [[0, 0, 1, 2]]


@pytest.mark.parametrize("vocab_size", [100, 100_000])
def test_rows_of_both_widths_are_copied(tmp_path, vocab_size):
    tokens = np.random.default_rng(1).integers(0, vocab_size, (5, 4))
    with ShardWriter(tmp_path, row_tokens=4, vocab_size=vocab_size, shard_rows=3, batch_rows=2) as writer:
        writer.write(tokens, [[]] * 5)
    assert ShardReader(tmp_path).tokens(np.array([4, 0, 3])).tolist() == tokens[[4, 0, 3]].tolist()


def test_a_batch_stays_as_it_is(written):
    held = [(batch, batch.tokens.copy()) for batch in Loader(written[0], batch_rows=8)]
    assert all((batch.tokens == tokens).all() for batch, tokens in held)


@pytest.mark.parametrize("reuse", [1, 2, 5])
def test_reused_memory_is_valid_for_as_many_batches_as_were_asked_for(written, reuse):
    batches = iter(Loader(written[0], batch_rows=8, reuse=reuse))
    held = [(batch, batch.tokens.copy()) for batch in islice(batches, reuse)]
    for _ in range(10):
        assert all((batch.tokens == tokens).all() for batch, tokens in held)
        following = next(batches)
        oldest, tokens = held.pop(0)
        assert oldest.tokens.base is following.tokens.base
        assert (oldest.tokens != tokens).any()
        held.append((following, following.tokens.copy()))


def test_arrays_can_be_saved_and_set_back(written):
    steps = StepArrays(written[0], batch_rows=8)
    whole = [next(steps)["input_ids"].copy() for _ in range(5)]
    state = steps.get_state()
    rest = [arrays["input_ids"] for arrays in steps]
    again = StepArrays(written[0], batch_rows=8)
    again.set_state(state)
    assert np.array_equal(np.concatenate([a["input_ids"] for a in again]), np.concatenate(rest))
    rows = list(rows_of_run(str(written[0]), 8))
    assert np.array_equal([row["input_ids"] for row in rows], np.concatenate([*whole, *rest]))
    assert [int(row["sample"]) for row in rows] == list(range(203))


def test_datasets_streams_rows_in_the_order_of_the_plan(written):
    datasets = pytest.importorskip("datasets")
    place = {"folder": str(written[0]), "batch_rows": 8, "rank": 1, "world": 3}
    stream = datasets.IterableDataset.from_generator(rows_of_run, gen_kwargs=place)
    expected = list(rows_of_run(**place))
    found = list(stream)
    for name in ("input_ids", "labels", "sample"):
        assert np.array_equal([row[name] for row in found], [row[name] for row in expected])
