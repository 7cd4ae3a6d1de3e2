"""The measuring loop holds every stage to what it declares; each fault is one error, and no table is left."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import StageError
from gristmill.corpus.measured_checks import check_measured
from gristmill.corpus.measuring import measure_part
from gristmill.corpus.schema import DOCUMENTS, SPAN
from gristmill.corpus.stage import Label, Measured, PartStage, SideTable, Signal

TEXTS = ["a plain text", "wörd and more", "", "日本語の文"]
SIDE = pa.schema([("doc_id", pa.string()), ("n", pa.int64())])


@dataclass(frozen=True)
class Facts:
    n: int


STAGE = PartStage(
    name="mine",
    version="3",
    measure=f"{__name__}:unused",
    table="mine.parquet",
    signals=(Signal("share", "share", 0, 1, ""), Signal("count", "things", None, None, "")),
    labels=(Label("kind", ""),),
    spans=True,
    facts=Facts,
    tables=(SideTable("side.parquet", f"{__name__}:SIDE", aligned=True),),
)


def batch_of(texts: list[str]) -> pa.RecordBatch:
    rows = [dict.fromkeys(DOCUMENTS.names, "x") | {"doc_id": f"d{n}", "text": text} for n, text in enumerate(texts)]
    return pa.RecordBatch.from_pylist(rows, DOCUMENTS)


BATCH = batch_of(TEXTS)


def spans_of(*spans: list[tuple[int, int, str]]) -> pa.Array:
    keys = ("start", "end", "reason")
    return pa.array([[dict(zip(keys, span, strict=True)) for span in one] for one in spans], pa.list_(SPAN))


NO_SPANS = spans_of([], [], [], [])


def good(**changed) -> Measured:
    columns = {
        "share": pa.array([0.0, 0.5, 1.0, 0.25]),
        "count": pa.array([-1e300, 0.0, 7.0, 1e300]),
        "kind": pa.array(["a", "b", "", "c"]),
    }
    tables = {"side.parquet": pa.record_batch([pa.array(["d0", "d1", "d2", "d3"]), pa.array(range(4))], schema=SIDE)}
    fields = {"columns": columns, "spans": NO_SPANS, "facts": Facts(4), "tables": tables}
    return Measured(**{**fields, **changed})


def with_column(name: str, values) -> Measured:
    return good(columns={**good().columns, name: values})


def with_side(ids: list[str]) -> Measured:
    return good(tables={"side.parquet": pa.record_batch([pa.array(ids), pa.array(range(len(ids)))], schema=SIDE)})


def test_what_is_as_declared_passes():
    check_measured(STAGE, None, BATCH, good())
    check_measured(STAGE, None, BATCH, good(spans=spans_of([(0, 1, "x"), (1, 12, "mask:A")], [(1, 3, "y")], [], [])))
    check_measured(STAGE, None, BATCH, with_column("doc_id", pa.array(["d0", "d1", "d2", "d3"])))
    check_measured(STAGE, None, BATCH, with_column("share", pa.array([0.0, 1 + 1e-12, -1e-12, 1.0])))
    check_measured(STAGE, None, BATCH.slice(1, 2), check_slice())


def check_slice() -> Measured:
    """What fits the second and third document alone."""
    whole = good()
    return Measured(
        {name: column.slice(1, 2) for name, column in whole.columns.items()},
        spans_of([(0, 3, "x")], []),
        Facts(2),
        {"side.parquet": whole.tables["side.parquet"].slice(1, 2)},
    )


WRONG = {
    "nothing": (None, "it returned nothing, expected Measured"),
    "another type": ({"share": [1.0]}, "it returned a dict, expected Measured"),
    "no mapping": (good(columns=[1.0]), "its columns are a list, expected a table by name"),
    "missing column": (good(columns={"share": good().columns["share"]}), "missing: count, kind, more: none"),
    "extra column": (with_column("other", pa.array([0.0] * 4)), "missing: none, more: other"),
    "too short": (with_column("share", pa.array([0.0])), "share has 1 values for 4 documents"),
    "too long": (with_column("share", pa.array([0.0] * 5)), "share has 5 values for 4 documents"),
    "numpy": (with_column("share", np.zeros(4)), "share is a ndarray, expected an Arrow array"),
    "chunked": (with_column("share", pa.chunked_array([[0.0] * 4])), "share is a ChunkedArray, expected an Arrow"),
    "integers": (with_column("share", pa.array([0, 0, 1, 1])), "share is int64, expected double"),
    "float": (with_column("share", pa.array([0.0] * 4, pa.float32())), "share is float, expected double"),
    "text": (with_column("share", pa.array(["0"] * 4)), "share is string, expected double"),
    "nan": (with_column("share", pa.array([0.0, 0.0, np.nan, 0.0])), "share is nan for document d2, declared 0 to 1"),
    "null": (with_column("share", pa.array([0.0, None, 0.0, 0.0])), "share is null for document d1, declared 0 to 1"),
    "infinite": (with_column("count", pa.array([0.0, 0.0, 0.0, np.inf])), "count is inf for document d3, declared fin"),
    "above": (with_column("share", pa.array([0.0, 0.0, 0.0, 1.1])), "share is 1.1 for document d3, declared 0 to 1"),
    "below": (with_column("share", pa.array([-0.1, 0.0, 0.0, 0.0])), "share is -0.1 for document d0, declared 0 to 1"),
    "null label": (with_column("kind", pa.array(["a", None, "", ""])), "kind is null for document d1; give a text"),
    "label of numbers": (with_column("kind", pa.array([1, 2, 3, 4])), "kind is int64, expected text"),
    "another order": (with_column("doc_id", pa.array(["d1", "d0", "d2", "d3"])), "d1 stands where d0 was given"),
    "numbered": (with_column("doc_id", pa.array([0, 1, 2, 3])), "0 stands where d0 was given"),
    "other documents": (with_column("doc_id", pa.array(["d0", "d1", "d2", "d9"])), "d9 stands where d3 was given"),
    "no spans": (good(spans=None), "it declares spans and gives nothing"),
    "spans of another type": (good(spans=pa.array([[1]] * 4)), "spans are list<"),
    "spans as a list": (good(spans=[[], [], [], []]), "it declares spans and gives a list"),
    "too few spans": (good(spans=spans_of([])), "of 1 documents, expected"),
    "null spans": (good(spans=pa.array([[], None, [], []], pa.list_(SPAN))), "spans are null for document d1"),
    "null span": (good(spans=pa.array([[None], [], [], []], pa.list_(SPAN))), "a span is null"),
    "no end": (good(spans=spans_of([(0, None, "x")], [], [], [])), "has no start or no end"),
    "overlap": (
        good(spans=spans_of([(0, 4, "x"), (3, 5, "y")], [], [], [])),
        "the span [3, 5) of document d0 (12 bytes) begins before the one before it ends",
    ),
    "out of order": (good(spans=spans_of([(4, 5, "x"), (0, 2, "y")], [], [], [])), "[0, 2) of document d0"),
    "split at the start": (
        good(spans=spans_of([], [(2, 5, "x")], [], [])),
        "the span [2, 5) of document d1 (14 bytes) splits a character",
    ),
    "split at the end": (good(spans=spans_of([], [], [], [(0, 4, "x")])), "[0, 4) of document d3 (15 bytes) splits"),
    "behind the text": (good(spans=spans_of([(5, 13, "x")], [], [], [])), "[5, 13) of document d0 (12 bytes) does not"),
    "before the text": (good(spans=spans_of([(-1, 3, "x")], [], [], [])), "does not lie in the text"),
    "in an empty text": (good(spans=spans_of([], [], [(0, 1, "x")], [])), "[0, 1) of document d2 (0 bytes) does not"),
    "empty span": (good(spans=spans_of([(3, 3, "x")], [], [], [])), "[3, 3) of document d0 (12 bytes) does not lie"),
    "turned round": (good(spans=spans_of([(5, 3, "x")], [], [], [])), "[5, 3) of document d0 (12 bytes) does not lie"),
    "null reason": (good(spans=spans_of([(0, 3, None)], [], [], [])), "[0, 3) of document d0 (12 bytes) has no reason"),
    "empty reason": (good(spans=spans_of([(0, 3, "")], [], [], [])), "has no reason"),
    "mask without a name": (good(spans=spans_of([(0, 3, "mask:")], [], [], [])), "has no reason"),
    "mask of signs": (good(spans=spans_of([(0, 3, "mask:--")], [], [], [])), "has no reason"),
    "no facts": (good(facts=None), "it gives no facts, expected a Facts"),
    "other facts": (good(facts={"n": 4}), "its facts are a dict, expected a Facts"),
    "no table": (good(tables={}), "side.parquet is nothing, expected a record batch"),
    "further table": (good(tables={**good().tables, "x.parquet": BATCH}), "the table x.parquet, which it does not"),
    "table of other rows": (with_side(["d0"]), "side.parquet has 1 rows for 4 documents"),
    "table in another order": (with_side(["d0", "d2", "d1", "d3"]), "side.parquet name the documents in another order"),
    "table without ids": (good(tables={"side.parquet": pa.record_batch({"n": range(4)})}), "has no column doc_id"),
}


@pytest.mark.parametrize(("measured", "told"), WRONG.values(), ids=WRONG)
def test_every_fault_is_told_with_stage_and_place(measured, told):
    with pytest.raises(StageError) as error:
        check_measured(STAGE, None, BATCH, measured)
    assert str(error.value).startswith("stage 'mine' (version 3): ")
    assert told in str(error.value)


def test_what_is_not_declared_is_told():
    bare = replace(STAGE, spans=False, facts=None, labels=(), tables=(), signals=(), table=None)
    check_measured(bare, None, BATCH, Measured())
    for measured, told in (
        (Measured(spans=NO_SPANS), "it gives spans, which it does not declare"),
        (Measured(facts=Facts(1)), "its facts are a Facts, expected none"),
        (Measured({"share": pa.array([0.0] * 4)}), "it declares no column; missing: none, more: share"),
    ):
        with pytest.raises(StageError, match=told):
            check_measured(bare, None, BATCH, measured)


@given(st.lists(st.text(max_size=8), min_size=1, max_size=4), st.data())
def test_spans_are_judged_as_a_naive_twin_judges_them(texts, data):
    sizes = [len(text.encode()) for text in texts]
    number = st.integers(-1, 12)
    span = st.tuples(number, number, st.sampled_from(["x", "mask:A", "mask:", ""]))
    spans = [data.draw(st.lists(span, max_size=3)) for _ in texts]
    expected = all(
        0 <= start < end <= size
        and reason not in ("", "mask:")
        and _whole(text, start, end)
        and (at == 0 or one[at - 1][1] <= start)
        for text, size, one in zip(texts, sizes, spans, strict=True)
        for at, (start, end, reason) in enumerate(one)
    )
    stage = PartStage(name="cuts", version="1", measure="x:y", spans=True)
    try:
        check_measured(stage, None, batch_of(texts), Measured(spans=spans_of(*spans)))
    except StageError:
        assert not expected
    else:
        assert expected


def _whole(text: str, start: int, end: int) -> bool:
    """Whether cutting leaves characters whole on all sides."""
    data = text.encode()
    try:
        return bool(data[:start].decode() + data[start:end].decode() + data[end:].decode()) or True
    except UnicodeDecodeError:
        return False


def measure_well(batch, options, state):
    """A built-in stage of this test; fails at a text that says so."""
    share = [0.5 if text != "out" else 2.0 for text in batch["text"].to_pylist()]
    return Measured({"share": pa.array(share)})


def test_built_in_stages_are_checked_in_the_loop_too(tmp_path, monkeypatch):
    import sys
    from types import ModuleType

    module = ModuleType("gristmill_test_stage")
    module.measure = measure_well
    monkeypatch.setitem(sys.modules, "gristmill_test_stage", module)
    stage = PartStage(
        name="own", version="1", measure="gristmill_test_stage:measure", table="own.parquet", signals=STAGE.signals[:1]
    )
    for name, texts in (("good", ["a", "b"]), ("none", []), ("bad", ["a", "b", "out"])):
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.Table.from_batches([batch_of(texts)], DOCUMENTS), path, row_group_size=1)
        folder = tmp_path / name
        folder.mkdir()
        if name != "bad":
            assert measure_part(stage, path, folder).rows == len(texts)
            assert pq.read_table(folder / "own.parquet")["share"].to_pylist() == [0.5] * len(texts)
        else:
            with pytest.raises(StageError, match=r"^stage 'own' \(version 1\): share is 2.0 for document d2"):
                measure_part(stage, path, folder)


@pytest.mark.parametrize("most", [0, 1, 2, 5])
def test_a_stage_is_given_no_more_rows_at_once_than_it_says(tmp_path, monkeypatch, most):
    given = []

    def measure(batch, options, state):
        given.append(batch.num_rows)
        return measure_well(batch, options, state)

    monkeypatch.setattr("gristmill.corpus.measuring.resolve", lambda *_, **__: measure)
    stage = PartStage(
        name="own", version="1", measure="a:b", table="own.parquet", signals=STAGE.signals[:1], rows_at_once=most
    )
    pq.write_table(pa.Table.from_batches([batch_of(["a"] * 5)], DOCUMENTS), tmp_path / "documents.parquet")
    assert measure_part(stage, tmp_path / "documents.parquet", tmp_path).rows == 5
    assert given == {0: [5], 1: [1] * 5, 2: [2, 2, 1], 5: [5]}[most]
    assert pq.read_table(tmp_path / "own.parquet")["doc_id"].to_pylist() == [f"d{n}" for n in range(5)]


def test_a_part_that_fails_leaves_nothing(tmp_path):
    """What the store does with it: the folder of a part that failed is gone."""
    from gristmill.corpus.store import LocalStore

    path = tmp_path / "documents.parquet"
    pq.write_table(pa.Table.from_batches([batch_of(["a"])], DOCUMENTS), path)
    missing = PartStage(name="own", version="1", measure="gristmill.nowhere:measure", table="own.parquet")
    store = LocalStore(tmp_path / "store")
    with pytest.raises(ModuleNotFoundError):
        store.produce("own", "key", lambda folder: measure_part(missing, path, folder))
    assert [found for found in Path(tmp_path / "store").rglob("*") if found.is_file()] == []
