"""Every packing against its definition, length classes, and targets where pieces lie in rows."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.length_classes import classes, limits_of
from gristmill.corpus.stage import load
from gristmill.handoff.reader import ShardReader
from gristmill.tokenizer.domain_tokens import Targets
from gristmill.tokenizer.encode import tokens_schema
from gristmill.tokenizer.pack import Layout, pack_domain
from gristmill.tokenizer.packings import best_fit
from gristmill.tokenizer.row_targets import rows_with_targets, targets_in_rows
from gristmill.tokenizer.stage import PACKINGS as NAMES

PACKINGS = {name: load(reference) for name, reference in NAMES.items()}
lengths = st.lists(st.integers(0, 70), max_size=40).map(lambda found: np.array(found, np.int64))


@pytest.mark.parametrize("name", PACKINGS)
@given(lengths, st.integers(8, 32))
def test_every_token_has_one_place_and_pieces_do_not_overlap(name, lengths, row_tokens):
    packing = PACKINGS[name](lengths, row_tokens)
    seen = [np.zeros(length, int) for length in lengths]
    rows = np.zeros((packing.rows, row_tokens), int)
    for document, offset, length, row, start in zip(*packing[:5], strict=True):
        assert length > 0
        seen[document][offset : offset + length] += 1
        rows[row, start : start + length] += 1
    assert all((one == 1).all() for one in seen)
    assert rows.max(initial=0) <= 1
    assert (rows.sum(axis=1) > 0).all()
    assert (np.lexsort((packing.start, packing.row)) == np.arange(len(packing.row))).all()


@given(lengths, st.integers(8, 32))
def test_chop_is_the_concatenation_cut_into_rows(lengths, row_tokens):
    packing = PACKINGS["chop"](lengths, row_tokens)
    stream = [(document, token) for document, length in enumerate(lengths) for token in range(length)]
    cut = [(document, offset + i) for document, offset, length in zip(*packing[:3], strict=True) for i in range(length)]
    assert cut == stream
    assert packing.rows == -(-len(stream) // row_tokens)


@given(lengths, st.integers(8, 32))
def test_one_document_is_alone_in_its_row_and_classes_do_not_mix(lengths, row_tokens):
    assert len(set(PACKINGS["one_document"](lengths, row_tokens).row)) == len(
        PACKINGS["one_document"](lengths, row_tokens).row
    )
    packing = PACKINGS["classes"](lengths, row_tokens)
    size = classes(packing.length, limits_of(row_tokens)).size
    assert all(len(set(size[packing.row == row])) == 1 for row in range(packing.rows))
    assert best_fit(lengths, row_tokens).rows <= packing.rows <= PACKINGS["one_document"](lengths, row_tokens).rows


@given(st.lists(st.integers(0, 128)), st.floats(0, 1))
def test_groups_of_a_class_are_alike_and_as_few_as_can_be(found, tolerance):
    size, group = classes(np.array(found, np.int64), limits_of(128), tolerance)
    bounds = [0, *limits_of(128)]
    for length, kind in zip(found, size, strict=True):
        assert bounds[kind] < length or kind == 0
        assert length <= bounds[kind + 1]
    by_group = {n: [one for one, of in zip(found, group, strict=True) if of == n] for n in group.tolist()}
    for n, members in by_group.items():
        assert max(members) <= min(members) * (1 + tolerance)
        if n + 1 in by_group and size[group == n][0] == size[group == n + 1][0]:
            assert min(by_group[n + 1]) > min(members) * (1 + tolerance)


@pytest.mark.parametrize(("found", "limits"), [([9], (8,)), ([1], (4, 4))])
def test_a_length_beyond_the_limits_is_refused(found, limits):
    with pytest.raises(ValueError, match="limits"):
        classes(np.array(found), limits)


stretches = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), max_size=5)


@given(st.lists(st.tuples(st.integers(1, 70), stretches), max_size=12), st.sampled_from(list(PACKINGS)))
def test_targets_are_those_of_the_documents_but_first_tokens_of_pieces(documents, name):
    marks = [np.zeros(length, bool) for length, _ in documents]
    for mark, (_, found) in zip(marks, documents, strict=True):
        for start, length in found:
            mark[start : start + length] = True
    packing = PACKINGS[name](np.array([len(mark) for mark in marks], np.int64), 16)
    wanted = np.zeros((packing.rows, 16), bool)
    for document, offset, length, row, start in zip(*packing[:5], strict=True):
        wanted[row, start : start + length] = marks[document][offset : offset + length]
        wanted[row, start] = False
    found = targets_in_rows(packing, _targets(marks))
    packed, kept = rows_with_targets(packing, found)
    assert np.array_equal(_drawn(found.of(0, packing.rows).to_pylist()), wanted)
    assert np.array_equal(_drawn(kept.of(0, packed.rows).to_pylist()), wanted[wanted.any(axis=1)])
    assert set(packed.row.tolist()) == set(range(packed.rows))


def _targets(marks):
    lists = [[(i, 1) for i in np.flatnonzero(mark)] for mark in marks]
    flat = np.array([one for found in lists for one in found], np.int64).reshape(-1, 2)
    return Targets(np.cumsum([0, *map(len, lists)]), flat[:, 0], flat[:, 1])


def _drawn(rows):
    found = np.zeros((len(rows), 16), bool)
    for row, places in zip(found, rows, strict=True):
        for one in places:
            row[one["start"] : one["start"] + one["length"]] = True
    return found


@pytest.fixture
def mixed(tmp_path):
    """A part of texts and one of conversations in one domain: of three, one has its answer far behind."""

    def write(name, lists, targets):
        schema = tokens_schema(100, targets=targets is not None)
        ids = [f"{name}{n}" for n in range(len(lists))]
        columns = [ids, [name] * len(ids), ["d"] * len(ids), [False] * len(ids), [True] * len(ids), lists]
        arrays = [pa.array(c, f.type) for c, f in zip([*columns, targets], schema, strict=False)]
        pq.write_table(pa.table(arrays, schema=schema), tmp_path / f"{name}.parquet")
        return tmp_path / f"{name}.parquet"

    text = write("a", [[5] * 6], None)
    answers = [
        [{"start": 2, "length": 2}],
        [{"start": 20, "length": 3}],
        [{"start": 1, "length": 1}, {"start": 4, "length": 3}],
    ]
    return [text, write("b", [[7] * 5, [8] * 23, [9] * 8], answers)]


def test_a_row_without_targets_is_never_packed_and_what_is_left_out_is_counted(mixed, tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()
    layout = Layout(row_tokens=8, shard_rows=10, batch_rows=4, packing="one_document")
    facts = pack_domain(mixed, folder, domain="d", heldout=False, vocab_size=100, layout=layout).facts
    assert (facts["rows"], facts["rows_without_targets"], facts["tokens_without_targets"]) == (4, 2, 16)
    assert facts["tokens"] + facts["tokens_without_targets"] == 6 + 5 + 23 + 8
    assert facts["padding_best_fit"] == round(1 - 42 / 48, 6)
    reader = ShardReader(folder)
    lists = [reader.documents(np.array([row]))[0] for row in range(4)]
    table = pa.concat_tables(pa.ipc.open_stream(path).read_all() for path in sorted(folder.glob("*.arrow")))
    found = {one[0]["doc_id"]: places for one, places in zip(lists, table["targets"].to_pylist(), strict=True)}
    assert found == {
        "a0": [{"start": 1, "length": 5}],
        "b0": [{"start": 2, "length": 2}],
        "b1": [{"start": 4, "length": 3}],
        "b2": [{"start": 1, "length": 1}, {"start": 4, "length": 3}],
    }
    assert table["documents"].to_pylist()[2][0]["offset"] == 16
