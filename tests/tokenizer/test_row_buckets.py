"""Documents in buckets before packing: equal tokens in ascending order, one bucket for each row, nothing lost."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.corpus.errors import RecipeError
from gristmill.corpus.schema import KEPT
from gristmill.handoff.reader import ShardReader
from gristmill.tokenizer.domain_tokens import DomainTokens, Targets
from gristmill.tokenizer.pack import Layout
from gristmill.tokenizer.row_buckets import LEVELS, RowOrder, document_buckets, pack_ordered
from tests.tokenizer.test_pack_domain import write_tokens

LAYOUT = Layout(row_tokens=16, shard_rows=8, batch_rows=3)


@given(
    st.lists(st.tuples(st.integers(1, 30), st.floats(0, 9) | st.just(float("nan")), st.integers(0, 20)), min_size=1),
    st.integers(1, 6),
)
def test_buckets_hold_equal_tokens_in_order(documents, n):
    lengths, values, weights = (np.array(column) for column in zip(*documents, strict=True))
    order = RowOrder("d", "s", n, weighted=True)
    if n > max(1, lengths.sum() // 16):
        with pytest.raises(RecipeError, match=rf"mixing\.order\.d\.buckets: {n} buckets, but"):
            document_buckets(lengths, values, weights, order, 16)
        return
    found = document_buckets(lengths, values, weights, order, 16)
    assert set(found.bucket.tolist()) == set(range(len(found.described)))
    group = np.array([one["group"] for one in found.described])[found.bucket]
    ends = [np.nan_to_num(values[group == number], nan=10.0) for number in range(group.max() + 1)]
    assert all(one.max() <= other.min() for one, other in pairwise(ends))
    sums = np.bincount(group, weights=lengths)
    assert (np.abs(sums - lengths.sum() / n) <= 2 * lengths.max()).all() or len(sums) < n
    for number, one in enumerate(found.described):
        inside = found.bucket == number
        assert one["weight"] == pytest.approx(np.average(weights[inside], weights=lengths[inside]))
        assert (found.bucket[group == one["group"]]).max() < number + LEVELS


@pytest.fixture
def stored(tmp_path):
    """Twenty documents of 5 to 24 tokens in one part, the longest with the least value; two weights."""
    lists = [[10 + n] * (5 + n) for n in range(20)]
    tokens = write_tokens(tmp_path / "tokens.parquet", lists)
    ids = [f"web-{20 - n:04}" for n in range(20)]
    values = {"doc_id": ids, "source": ["web"] * 20, "domain": ["web"] * 20, "part": [0] * 20, "row": list(range(20))}
    values |= {"spans": [[]] * 20, "weight": [1.0 + 2.0 * (n % 2) for n in range(20)], "heldout": [False] * 20}
    kept = pa.table([pa.array(values[field.name], field.type) for field in KEPT], schema=KEPT)
    pq.write_table(kept, tmp_path / "kept.parquet")
    signal = [float(-n) if n else float("nan") for n in range(20)]
    pq.write_table(pa.table({"doc_id": ids, "ease": signal}), tmp_path / "signals.parquet")
    return tokens, {"kept": tmp_path / "kept.parquet", "signals": [tmp_path / "signals.parquet"]}


def packed(stored, folder, **changes):
    tokens, tables = stored
    folder.mkdir()
    order = RowOrder(**({"domain": "web", "signal": "ease", "buckets": 3} | changes))
    outcome = pack_ordered([tokens], folder, order=order, stored=tables, vocab_size=100, layout=LAYOUT)
    return outcome, ShardReader(folder)


def test_every_row_has_one_bucket_and_every_token_is_there(stored, tmp_path):
    outcome, reader = packed(stored, tmp_path / "rows")
    assert reader.index["format"] == "gristmill-rows-2"
    assert not reader.has_targets
    assert outcome.facts["documents_without_signal"] == 1
    described = reader.index["buckets"]
    assert [one["group"] for one in described] == [0, 1, 2]
    assert sum(one["rows"] for one in described) == reader.rows == outcome.rows
    lengths, first = {}, 0
    for one in described:
        for pieces in reader.documents(np.arange(first, first + one["rows"])):
            for piece in pieces:
                n = 20 - int(piece["doc_id"][4:])
                lengths[n] = lengths.get(n, 0) + piece["length"]
                assert n == 0 or one["low"] <= -n <= one["high"]
        first += one["rows"]
    assert lengths == {n: 5 + n for n in range(20)}
    files = [pa.OSFile(str(path)) for path in sorted((tmp_path / "rows").glob("*.arrow"))]
    column = np.concatenate([pa.ipc.open_stream(file).read_all()["bucket"].to_numpy() for file in files])
    assert column.tolist() == np.repeat([0, 1, 2], [one["rows"] for one in described]).tolist()


def test_one_bucket_keeps_the_bytes_of_rows_without(stored, tmp_path):
    from gristmill.tokenizer.pack import pack_domain

    packed(stored, tmp_path / "one", buckets=1)
    (tmp_path / "plain").mkdir()
    pack_domain([stored[0]], tmp_path / "plain", domain="web", heldout=False, vocab_size=100, layout=LAYOUT)
    for path in (tmp_path / "plain").iterdir():
        assert path.read_bytes() == (tmp_path / "one" / path.name).read_bytes()


def test_weights_stand_with_their_rows(stored, tmp_path):
    _, reader = packed(stored, tmp_path / "rows", signal=None, buckets=1, weighted=True)
    assert [(one["group"], one["weight"]) for one in reader.index["buckets"]] == [(0, 1.0), (0, 3.0)]


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3)), max_size=3), min_size=1, max_size=8), st.data()
)
def test_documents_are_taken_with_their_targets(targets, data):
    n = len(targets)
    offsets, flat = np.cumsum([0, *map(len, targets)]), [one for lists in targets for one in lists]
    start, length = (np.array([one[i] for one in flat], np.int64) for i in (0, 1))
    ids = pa.array([f"d{number}" for number in range(n)], pa.large_string())
    numbers = np.arange(n)
    gathered = DomainTokens(ids, ids, numbers * 10, numbers, numbers, Targets(offsets, start, length))
    at = np.array(data.draw(st.lists(st.integers(0, n - 1), unique=True)), np.int64)
    found = gathered.take(at)
    assert found.doc_ids.to_pylist() == [f"d{number}" for number in at]
    assert found.begins.tolist() == (at * 10).tolist()
    bounds = found.targets.offsets.tolist()
    pairs = list(zip(found.targets.start.tolist(), found.targets.length.tolist(), strict=True))
    assert [pairs[a:b] for a, b in pairwise(bounds)] == [targets[number] for number in at]
