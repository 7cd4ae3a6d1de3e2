"""Rows in a shuffled order out of the loader beside a plain memory map and ``datasets``: equal tokens, CPU seconds.

    python bench/loader.py [--rows 120000] [--row-tokens 1024] [--batch-rows 32] [--json]

Every reader gives int64 rows in the order of one plan over four domains, in batches, and each pass is that of a new
process over files in the page cache. ``cold``: every record batch is digested on the way. ``warm``: a second pass of
the same loader. The memory map is one file of uint16 per domain, indexed by row numbers that are known beforehand: it
checks nothing, knows no documents, and its order was worked out before the clock ran. CPU seconds of all threads; the
best of ``--repeats`` passes, interleaved. ``--checked`` prints what checking costs in both passes: the same without it.
"""

import time

import numpy as np
import pyarrow as pa

from gristmill.handoff.durable import file_sha256
from gristmill.handoff.loader import Loader
from gristmill.handoff.mapped import MappedShard
from gristmill.handoff.plan import Domain, Plan
from gristmill.handoff.schedule import Segment, quantise
from gristmill.handoff.shards import INDEX, ShardWriter

SHARES = {"web": 0.55, "code": 0.2, "books": 0.15, "math": 0.1}
TARGETS = {"cold / warm": 0.8, "warm / memmap": 0.6, "checking, cold": 0.2, "checking, warm": 0.05}


def documents_of(rows, row_tokens, rng):
    """About six documents a row, their ids of 32 characters, as the column that a packer gives."""
    cuts = np.sort(rng.integers(1, row_tokens, (rows, 5)), axis=1)
    cuts += np.arange(5)
    bounds = np.concatenate([np.zeros((rows, 1), np.int64), np.minimum(cuts, row_tokens - 5 + np.arange(5))], axis=1)
    length = np.diff(np.concatenate([bounds, np.full((rows, 1), row_tokens)], axis=1), axis=1)
    ids = pa.array([f"{n:032x}" for n in range(rows * 6)])
    offset = pa.array(np.zeros(rows * 6, np.int64))
    columns = [ids, *(pa.array(c.reshape(-1).astype(np.int32)) for c in (bounds, length)), offset]
    structs = pa.StructArray.from_arrays(columns, ["doc_id", "start", "length", "offset"])
    return pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype=np.int32) * 6), structs)


def make_run(folder, rows, row_tokens):
    """A run directory of four domains, their rows as flat files beside it, and a plan of ``rows`` samples."""
    rng, domains = np.random.default_rng(11), []
    for name, share in SHARES.items():
        count = int(rows * share)
        shards = folder / "shards" / name
        sizes = {"row_tokens": row_tokens, "vocab_size": 32_000, "shard_rows": 16_384, "batch_rows": 256}
        with ShardWriter(shards, **sizes) as writer, (folder / f"{name}.bin").open("wb") as flat:
            for begin in range(0, count, 4096):
                n = min(4096, count - begin)
                tokens = rng.integers(0, 32_000, (n, row_tokens), dtype=np.uint16)
                writer.write(tokens, documents_of(n, row_tokens, rng))
                tokens.tofile(flat)
        domains.append(Domain(name, count, file_sha256(shards / INDEX)))
    shares = quantise(list(SHARES.values()))
    plan = Plan.build(tuple(domains), row_tokens=row_tokens, seed=3, segments=(Segment(rows, shares, shares),))
    plan.save(folder / "plan")


def one_pass(batches, probe):
    """CPU seconds, wall seconds and rows of a pass, and the sum of one token of every row: nothing else is touched."""
    rows, total, began, clock = 0, 0, time.process_time(), time.perf_counter()
    for tokens in batches:
        rows, total = rows + len(tokens), total + int(tokens[:, probe].sum())
    return {"cpu": time.process_time() - began, "wall": time.perf_counter() - clock, "rows": rows, "sum": total}


def loader_passes(folder, batch_rows, checked=True):
    """The cold and the warm pass of one loader."""
    if not checked:
        MappedShard.check = lambda *_: None
    loader = Loader(folder, batch_rows=batch_rows)
    start = loader.state
    for name in ("cold", "warm"):
        loader.resume(start)
        yield name, one_pass((batch.tokens for batch in loader), 5)


def memmap_pass(folder, batch_rows):
    """Rows of four memory maps in the plan's order, which is known before."""
    plan = Plan.load(folder / "plan")
    domain, _, row = plan.locate(0, plan.samples)
    maps = [np.memmap(folder / f"{d.name}.bin", np.uint16, "r", shape=(d.rows, plan.row_tokens)) for d in plan.domains]
    if (domain == 0).all():
        return

    def batches():
        for begin in range(0, plan.samples, batch_rows):
            part = slice(begin, begin + batch_rows)
            drawn, rows = domain[part], row[part]
            out = np.empty((len(rows), plan.row_tokens), np.int64)
            for number, tokens in enumerate(maps):
                place = np.flatnonzero(drawn == number)
                out[place] = tokens[rows[place]]
            yield out

    for name in ("cold", "warm"):
        yield name, one_pass(batches(), 5)
    whole = np.concatenate([np.asarray(m) for m in maps])
    whole.tofile(folder / "whole.bin")
    one = np.memmap(folder / "whole.bin", np.uint16, "r", shape=whole.shape)
    first = np.cumsum([0, *(d.rows for d in plan.domains)])[:-1]
    at = first[domain] + row
    for name in ("one file, cold", "one file, warm"):
        cuts = range(0, plan.samples, batch_rows)
        yield name, one_pass((one[at[begin : begin + batch_rows]].astype(np.int64) for begin in cuts), 5)
