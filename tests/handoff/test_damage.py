"""Damaged shards: the file is named, and no batch with one of its damaged rows leaves the loader."""

import shutil

import numpy as np
import pyarrow as pa
import pytest

from gristmill.handoff.durable import file_sha256
from gristmill.handoff.failures import StoreError
from gristmill.handoff.loader import Loader
from gristmill.handoff.plan import Domain, Plan
from gristmill.handoff.schedule import ONE, Segment
from gristmill.handoff.shards import ShardWriter

SHARDS, ROWS, L = 4, 32, 8


@pytest.fixture(scope="module")
def equal_shards(tmp_path_factory):
    """A run of one domain in four shards of equal size."""
    folder = tmp_path_factory.mktemp("equal")
    tokens = np.random.default_rng(3).integers(0, 100, (ROWS, L))
    slices = [[{"doc_id": f"{row:032x}", "start": 0, "length": L, "offset": 0}] for row in range(ROWS)]
    sizes = {"row_tokens": L, "vocab_size": 100, "shard_rows": ROWS // SHARDS, "batch_rows": 4}
    with ShardWriter(folder / "shards" / "d", **sizes) as writer:
        writer.write(tokens, slices)
    domain = Domain("d", ROWS, file_sha256(folder / "shards" / "d" / "index.json"))
    Plan.build((domain,), row_tokens=L, seed=1, segments=(Segment(2 * ROWS, (ONE,), (ONE,)),)).save(folder / "plan")
    return folder, tokens


def flip(path, other):
    content = bytearray(path.read_bytes())
    tokens = pa.ipc.open_stream(path).read_next_batch()["tokens"].flatten().to_numpy().tobytes()
    content[bytes(content).index(tokens) + 21] ^= 1
    path.write_bytes(content)


def cut(path, other):
    path.write_bytes(path.read_bytes()[:-200])


def swap(path, other):
    first, second = path.read_bytes(), other.read_bytes()
    assert len(first) == len(second)
    path.write_bytes(second)
    other.write_bytes(first)


def lose(path, other):
    path.unlink()


DAMAGES = {
    flip: "record batch 0 .rows 0 to 3",
    cut: "bytes, it was written with",
    swap: "record batch",
    lose: "is missing",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("batch_rows", [1, 5])
def test_damage_is_named_before_a_batch_of_it_leaves(equal_shards, tmp_path, damage, batch_rows):
    folder = shutil.copytree(equal_shards[0], tmp_path / "run")
    shards = folder / "shards" / "d"
    damage(shards / "data-00002-of-00004.arrow", shards / "data-00001-of-00004.arrow")
    left = []
    with pytest.raises(StoreError, match=rf"data-0000[12]-of-00004\.arrow.*{DAMAGES[damage]}"):
        left += [batch for batch in Loader(folder, batch_rows=batch_rows)]  # noqa: C416
    loader = Loader(equal_shards[0], batch_rows=batch_rows)
    assert [batch.tokens.tolist() for batch in left] == [b.tokens.tolist() for b, _ in zip(loader, left, strict=False)]
    damaged = {flip: range(16, 20), swap: range(8, 24)}.get(damage, range(ROWS))
    assert not set(damaged) & {row for batch in left for row in batch.row.tolist()}
