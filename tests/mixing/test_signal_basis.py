"""A frozen basis: cells of equal bytes, a file that answers for itself, histograms of what was consumed."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import PlanError
from gristmill.mixing.signal_basis import BINS, Axis, Basis, consumed, freeze, row_histograms

numbers = st.floats(-5, 5) | st.just(float("nan"))
texts = st.lists(st.tuples(numbers, numbers, st.integers(1, 50)), min_size=1, max_size=80)


@given(texts)
def test_cells_are_those_of_the_naive_search_and_hold_equal_bytes(drawn):
    a, b, sizes = (np.array(column) for column in zip(*drawn, strict=True))
    basis = freeze({"a": a, "b": b}, sizes, {"web": ["s"]})
    assert [axis.signal for axis in basis.axes] == ["a", "b"]
    assert all(len(axis.edges) < BINS and list(axis.edges) == sorted(set(axis.edges)) for axis in basis.axes)
    first = 0
    for axis, values, cells in zip(basis.axes, (a, b), basis.cells_of({"a": a, "b": b}).T, strict=True):
        naive = [
            axis.cells - 1 if np.isnan(value) else sum(value >= edge for edge in axis.edges)
            for value in values.tolist()
        ]
        assert (cells - first).tolist() == naive
        first += axis.cells
        known = ~np.isnan(values)
        if len(np.unique(values[known])) == known.sum() and len(axis.edges) == BINS - 1:
            held = np.bincount(np.array(naive)[known], weights=sizes[known], minlength=BINS)
            assert (np.abs(held - sizes[known].sum() / BINS) <= 2 * sizes.max()).all()
    assert first == basis.cells


@given(texts, st.integers(0, 99))
def test_a_run_consumed_what_its_rows_hold(drawn, seed):
    a, b, sizes = (np.array(column) for column in zip(*drawn, strict=True))
    basis, rng = freeze({"a": a, "b": b}, sizes, {}), np.random.default_rng(seed)
    cells = basis.cells_of({"a": a, "b": b})
    piece = np.repeat(np.arange(len(a)), 2)  # two pieces of each document
    row, length = np.sort(rng.integers(0, 9, len(piece))), rng.integers(1, 20, len(piece))
    rows = row_histograms(cells, piece, row, length, (9, basis.cells))
    times = rng.integers(0, 4, 9)
    expected = np.zeros(basis.cells)
    for document, place, tokens in zip(piece, row, length, strict=True):
        for cell in cells[document]:
            expected[cell] += times[place] * tokens
    found = consumed([(rows[:4], times[:4]), (rows[4:], times[4:])])
    assert found == pytest.approx(expected / max(expected.sum(), 1e-300))
    assert found.sum() == pytest.approx(1 if times[row].any() else 0)


def test_a_basis_is_a_file_that_answers_for_itself(tmp_path):
    path, basis = tmp_path / "basis.json", Basis((Axis("a", (0.5, 1.5)), Axis("b", ())), {"web": ("s",)})
    basis.save(path)
    assert Basis.load(path).digest == basis.digest
    assert Basis.load(path).axes == basis.axes
    assert basis.digest != Basis((Axis("a", (0.5, 1.6)), Axis("b", ())), {"web": ("s",)}).digest
    assert basis.digest != Basis(basis.axes, {"web": ("s", "t")}).digest
    value = json.loads(path.read_text())
    for broken, message in (
        ({**value, "axes": value["axes"][:1]}, "is not what its digest says"),
        ({**value, "digest": "0"}, "is not what its digest says"),
        ({"axes": 3}, "cannot read the basis"),
        ([], "cannot read the basis"),
    ):
        path.write_text(json.dumps(broken))
        with pytest.raises(PlanError, match=message):
            Basis.load(path)
    with pytest.raises(PlanError, match="cannot read the basis"):
        Basis.load(tmp_path / "none.json")


def test_texts_without_any_signal_lie_in_the_last_cell():
    basis = freeze({"a": np.full(3, np.nan)}, np.ones(3, np.int64), {})
    assert basis.cells_of({"a": np.array([np.nan, 1.0])}).tolist() == [[1], [0]]
