"""Band tables on disk: no range, slice or block changes what is found, and memory is asked for by range."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import BudgetError
from gristmill.dedup.clusters import bands
from gristmill.dedup.clusters.bands import ENTRY_BYTES, BandTables

signatures_of_some = st.lists(st.lists(st.integers(0, 2), min_size=6, max_size=6), min_size=1, max_size=30)


def buckets(signatures, *, range_bytes=bands.RANGE_BYTES, batch=1000, scratch=None):
    index = BandTables(len(signatures), 3, 2, scratch, range_bytes)
    for start in range(0, len(signatures), batch):
        some = np.arange(start, min(start + batch, len(signatures)))
        index.add(some, signatures[some])
    return index.candidates()


def pairs_of(found):
    return [pair for a, b in found.pairs() for pair in zip(a.tolist(), b.tolist(), strict=True)]


@given(signatures_of_some, st.integers(1, 40), st.integers(0, 9))
def test_the_number_of_ranges_changes_no_byte(rows_of_values, batch, halvings):
    signatures = np.array(rows_of_values, np.uint64)
    whole = buckets(signatures)
    ranged = buckets(signatures, range_bytes=len(signatures) * ENTRY_BYTES >> halvings or 1, batch=batch)
    assert whole.members.array().tolist() == ranged.members.array().tolist()
    assert whole.stops.array().tolist() == ranged.stops.array().tolist()
    assert pairs_of(whole) == pairs_of(ranged)


@pytest.mark.parametrize(("range_bytes", "bits"), [(1 << 30, 0), (64 * 1000, 1), (64 * 999, 1), (64 * 100, 4)])
def test_ranges_are_as_many_as_the_budget_asks_for(range_bytes, bits):
    index = BandTables(1000, 3, 2, None, range_bytes)
    assert index._range_bits == bits
    keys = np.array([[0, 2**63 - 1, 2**63, 2**64 - 1]] * 3, np.uint64)
    last = (1 << bits) - 1
    half = (1 << bits) // 2
    expected = [cut + (band << bits) for band in range(3) for cut in (0, max(half - 1, 0), half, last)]
    assert index._cuts(keys).tolist() == expected


@pytest.mark.parametrize("at_once", [1, 7, 64, 10_000])
def test_slices_of_places_change_nothing(monkeypatch, at_once):
    signatures = np.random.default_rng(5).integers(0, 3, (200, 6)).astype(np.uint64)
    found = buckets(signatures)
    whole, nodes = pairs_of(found), found.nodes.tolist()
    monkeypatch.setattr(bands, "PLACES_AT_ONCE", at_once)
    assert pairs_of(found) == whole
    assert found.nodes.tolist() == nodes


def test_slices_of_more_documents_than_are_counted_singly(monkeypatch):
    """From 65,536 documents on the ranges of documents are found from counts of several together."""
    signatures = np.random.default_rng(6).integers(0, 400, (150_000, 6)).astype(np.uint64)
    found = buckets(signatures)
    whole = pairs_of(found)
    monkeypatch.setattr(bands, "PLACES_AT_ONCE", 50_000)
    assert len(list(found._ranges())) > 4
    assert pairs_of(found) == whole
    assert len(whole) == len(set(whole)) > 100_000


@pytest.mark.parametrize("range_bytes", [1, 1 << 30])
def test_the_guard_counts_a_band_whatever_its_ranges(monkeypatch, range_bytes):
    signatures = np.repeat(np.arange(10, dtype=np.uint64), 3)[:, None] * np.ones(6, np.uint64)
    monkeypatch.setattr(bands, "MAX_PAIRS", 30)  # ten buckets of three pairs
    assert len(pairs_of(buckets(signatures, range_bytes=range_bytes))) == 30
    monkeypatch.setattr(bands, "MAX_PAIRS", 29)
    with pytest.raises(BudgetError, match=r"pairs, more than 29.*dedup\.near\.rows"):
        buckets(signatures, range_bytes=range_bytes)


def test_tables_lie_in_the_folder_without_a_name(tmp_path):
    found = buckets(np.ones((4, 6), np.uint64), scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert pairs_of(found) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


def test_renumbered_buckets_hold_the_same_pairs():
    signatures = np.random.default_rng(7).integers(0, 9, (60, 6)).astype(np.uint64)
    found = buckets(signatures)
    number = np.full(60, -1, np.int32)
    number[found.nodes] = np.arange(len(found.nodes))
    again = found.renumbered(number)
    assert pairs_of(again) == [(number[a], number[b]) for a, b in pairs_of(found)]
    assert again.nodes.tolist() == list(range(len(found.nodes)))
