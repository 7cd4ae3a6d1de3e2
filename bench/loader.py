"""Rows in a shuffled order out of the loader beside plain memory maps and ``datasets``: equal tokens, CPU seconds.

    python bench/loader.py [--rows 100000] [--row-tokens 1024] [--batch-rows 32] [--repeats 5] [--json]

Every reader gives int64 rows in the order of one plan over four domains, in batches; each is a new process over files
in the page cache. ``cold``: the first pass, in which the loader digests every record batch. ``warm``: the second.
``memmap``: a file of uint16 for each domain. ``one memmap``: all rows in one file, the easiest thing to be compared
with. Both check nothing, know no documents, and get row numbers that were worked out before the clock ran. ``datasets``
reads the same shards by ``load_from_disk``, the first 2,000 rows of the plan. ``unchecked``: our loader without its
digests, which says what they cost. CPU seconds of all threads, the best of ``--repeats`` interleaved processes.
With ``--peers`` also litdata, mosaicml-streaming and grain (over a memory map), asked for the same 2,000 rows one by
one in an environment of their own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

from bench.compare import run_peer
from gristmill.handoff.durable import file_sha256
from gristmill.handoff.loader import Loader
from gristmill.handoff.mapped import MappedShard
from gristmill.handoff.plan import Domain, Plan
from gristmill.handoff.schedule import Segment, quantise
from gristmill.handoff.shards import INDEX, ShardWriter
from gristmill.handoff.tiny_plan import plan_and_read

SHARES = {"web": 0.55, "code": 0.2, "books": 0.15, "math": 0.1}
PASSES = {"loader": ("cold", "warm"), "unchecked": ("cold", "warm"), "memmap": ("cold", "warm")}
PASSES |= {"one memmap": ("cold", "warm"), "datasets": ("warm",)}
PROBE = 5  # the token of each row that is summed: the sums of all readers must be equal
FEW = 2_000


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
    with (folder / "whole.bin").open("wb") as whole:
        for name in SHARES:
            whole.write((folder / f"{name}.bin").read_bytes())


def one_pass(batches):
    """CPU seconds and rows of a pass, and the sum of one token of every row: nothing else is touched."""
    rows, total, began = 0, 0, time.process_time()
    for tokens in batches:
        rows, total = rows + len(tokens), total + int(tokens[:, PROBE].sum())
    return {"cpu": time.process_time() - began, "rows": rows, "sum": total}


def loader_passes(folder, batch_rows):
    """The passes of one loader, after the kernels are there."""
    plan_and_read()
    loader = Loader(folder, batch_rows=batch_rows)
    start = loader.state
    while True:
        loader.resume(start)
        yield (batch.tokens for batch in loader)


def unchecked_passes(folder, batch_rows):
    MappedShard.check = lambda *_: None
    yield from loader_passes(folder, batch_rows)


def memmap_passes(folder, batch_rows):
    plan = Plan.load(folder / "plan")
    domain, _, row = plan.locate(0, plan.samples)
    maps = [np.memmap(folder / f"{d.name}.bin", np.uint16, "r", shape=(d.rows, plan.row_tokens)) for d in plan.domains]

    def batches():
        for begin in range(0, plan.samples, batch_rows):
            drawn, rows = domain[begin : begin + batch_rows], row[begin : begin + batch_rows]
            out = np.empty((len(rows), plan.row_tokens), np.int64)
            for number, tokens in enumerate(maps):
                place = np.flatnonzero(drawn == number)
                out[place] = tokens[rows[place]]
            yield out

    while True:
        yield batches()


def one_memmap_passes(folder, batch_rows):
    plan = Plan.load(folder / "plan")
    domain, _, row = plan.locate(0, plan.samples)
    first = np.cumsum([0, *(d.rows for d in plan.domains)])
    whole = np.memmap(folder / "whole.bin", np.uint16, "r", shape=(int(first[-1]), plan.row_tokens))
    at = first[domain] + row
    while True:
        yield (whole[at[n : n + batch_rows]].astype(np.int64) for n in range(0, plan.samples, batch_rows))


def datasets_passes(folder, batch_rows):
    import datasets

    plan = Plan.load(folder / "plan")
    parts = [datasets.load_from_disk(str(folder / "shards" / d.name)).select_columns("tokens") for d in plan.domains]
    whole = datasets.concatenate_datasets(parts).with_format("numpy")
    domain, _, row = plan.locate(0, min(FEW, plan.samples))
    at = np.cumsum([0, *(d.rows for d in plan.domains)])[domain] + row
    while True:
        yield (np.asarray(whole[at[n : n + batch_rows]]["tokens"], np.int64) for n in range(0, len(at), batch_rows))


def child(name, folder, batch_rows):
    """The passes of one reader, as a JSON line."""
    found = globals()[f"{name.replace(' ', '_')}_passes"](Path(folder), batch_rows)
    print(json.dumps({kind: one_pass(next(found)) for kind in PASSES[name]}))


def measured(folder, batch_rows, repeats):
    """M tokens for each CPU second, the best of all processes, by reader and pass; and whether sums are equal."""
    row_tokens, best, sums = Plan.load(folder / "plan").row_tokens, {}, {}
    for _ in range(repeats):
        for name in PASSES:
            command = [sys.executable, __file__, "--child", name, str(folder), "--batch-rows", str(batch_rows)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            for kind, one in json.loads(done.stdout.splitlines()[-1]).items():
                rate = one["rows"] * row_tokens / one["cpu"] / 1e6
                best[name, kind] = max(best.get((name, kind), 0), rate)
                sums.setdefault(one["rows"], set()).add(one["sum"])
    first = next(iter(Loader(folder, batch_rows=FEW)))
    sums[FEW].add(int(first.tokens[:, PROBE].sum()))
    return best, all(len(found) == 1 for found in sums.values())


def against_peers(folder, batch_rows):
    """M tokens for each CPU second of the readers in bench/peers, and whether their sums are ours."""
    plan = Plan.load(folder / "plan")
    domain, _, row = plan.locate(0, min(FEW, plan.samples))
    first = np.cumsum([0, *(d.rows for d in plan.domains)])
    ours = int(next(iter(Loader(folder, batch_rows=FEW))).tokens[:, PROBE].sum())
    request = {"whole": str(folder / "whole.bin"), "rows": int(first[-1]), "row_tokens": plan.row_tokens}
    request |= {"at": (first[domain] + row).tolist(), "batch_rows": batch_rows, "probe": PROBE, "scratch": str(folder)}
    found, equal = {}, True
    for peer in ("litdata", "mosaic", "grain"):
        read = run_peer("loader", "loader_read.py", {"peer": peer, **request})
        found[f"{peer} {read['version']}"] = len(request["at"]) * plan.row_tokens / read["cpu"] / 1e6
        equal &= read["sum"] == ours
    return found, equal


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--row-tokens", type=int, default=1024)
    parser.add_argument("--batch-rows", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(*arguments.child, arguments.batch_rows)
    with tempfile.TemporaryDirectory() as name:
        make_run(Path(name), arguments.rows, arguments.row_tokens)
        best, equal = measured(Path(name), arguments.batch_rows, arguments.repeats)
        peers, same = against_peers(Path(name), arguments.batch_rows) if arguments.peers else ({}, True)
    lines = {f"{name}, {kind}": (round(rate), "M tokens / CPU s") for (name, kind), rate in best.items()}
    ratios = {
        "cold / warm": (best["loader", "cold"] / best["loader", "warm"], 0.8),
        "warm / memmap": (best["loader", "warm"] / best["memmap", "warm"], 0.6),
        "warm / one memmap": (best["loader", "warm"] / best["one memmap", "warm"], 0.6),
        "checking, of the cold pass": (1 - best["loader", "cold"] / best["unchecked", "cold"], 0.2),
        "checking, of the warm pass": (1 - best["loader", "warm"] / best["unchecked", "warm"], 0.05),
        "warm / datasets": (best["loader", "warm"] / best["datasets", "warm"], None),
    }
    ratios |= {f"warm / {peer}": (best["loader", "warm"] / rate, None) for peer, rate in peers.items()}
    lines |= {peer: (round(rate, 1), "M tokens / CPU s") for peer, rate in peers.items()}
    lines |= {name: (round(ratio, 3), f"target {target}") for name, (ratio, target) in ratios.items()}
    for name, (value, note) in lines.items():
        print(json.dumps({"work": name, "value": value, "note": note}) if arguments.json else f"{name}: {value} {note}")
    print(f"tokens equal: {equal and same}")
    return 0 if equal and same else 1


if __name__ == "__main__":
    raise SystemExit(main())
