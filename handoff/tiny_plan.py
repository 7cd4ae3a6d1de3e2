"""A plan over a few rows, read to its end, for the kernels that this compiles (``corpus.warmup``)."""

import tempfile
from pathlib import Path

import numpy as np

from gristmill.handoff.buckets import Buckets
from gristmill.handoff.durable import file_sha256
from gristmill.handoff.loader import Loader
from gristmill.handoff.plan import Domain, Plan
from gristmill.handoff.schedule import ONE, Segment
from gristmill.handoff.shards import INDEX, ShardWriter

ROWS, ROW_TOKENS = 4, 8


def plan_and_read() -> None:
    """Write shards of a narrow and of a wide vocabulary, plan their rows, and read every batch."""
    with tempfile.TemporaryDirectory() as name:
        for vocab_size in (100, 100_000):  # ids in two bytes and in four
            _read(Path(name, str(vocab_size)), vocab_size)


def _read(folder: Path, vocab_size: int) -> None:
    shards = folder / "shards" / "d"
    with ShardWriter(shards, row_tokens=ROW_TOKENS, vocab_size=vocab_size, shard_rows=ROWS, batch_rows=2) as writer:
        slices = [[{"doc_id": str(row), "start": 0, "length": ROW_TOKENS, "offset": 0}] for row in range(ROWS)]
        writer.write(np.zeros((ROWS, ROW_TOKENS), np.int64), slices)
    domains = (Domain("d", ROWS, file_sha256(shards / INDEX)),)
    plan = Plan.build(domains, row_tokens=ROW_TOKENS, seed=1, segments=(Segment(2 * ROWS, (ONE,), (ONE,)),))
    plan.save(folder / "plan")
    plan.counts(1, 2)
    _two_domains()
    _in_order()
    for _ in Loader(folder, batch_rows=3):
        pass


def _in_order() -> None:
    """A domain in buckets, its rows near each other or not."""
    for window_rows in (0, 2):
        domains = (Domain("a", 4, "", Buckets((2, 2), ((2, 0), (0, 2)))), Domain("b", 4, ""))
        segments = (Segment(8, (ONE // 2, ONE // 2), (ONE // 2, ONE // 2)),)
        plan = Plan.build(domains, row_tokens=ROW_TOKENS, seed=1, segments=segments, window_rows=window_rows)
        plan.locate(0, 8)
        plan.find(0, np.arange(4))
        Plan.build(domains[1:], row_tokens=8, seed=1, segments=(Segment(4, (ONE,), (ONE,)),), window_rows=2).locate(
            0, 4
        )


def _two_domains() -> None:
    """One of them leaves and comes back."""
    half, one = (ONE // 2, ONE // 2), (ONE, 0)
    segments = (Segment(3, half, half), Segment(5, one, one), Segment(8, half, half))
    Plan.build((Domain("a", 1, ""), Domain("b", 1, "")), row_tokens=ROW_TOKENS, seed=1, segments=segments).locate(0, 8)
