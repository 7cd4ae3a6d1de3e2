"""Trainings that are killed at random steps and go on: weights and log of consumed rows of one that was not.

    python bench/resume_kills.py [--kills 30] [--seed 1] [--ranks 1] [--json]

A training of a small model on a generated run, in a process of its own, gets SIGKILL as soon as it has done a step
drawn at random, anywhere: between checkpoints, while one is written, while a table is sealed. It is started again until
it ends. Then every file of the training is compared, bytes with bytes, but for the clock's columns. With several ranks
each is a process of one gloo group, and all are killed. The files lie in memory where the system has such a folder: a
kill spares what a disk has not written yet, and waiting for a busy disk took four fifths of a trial (119 s for 23).
"""

import argparse
import json
import math
import multiprocessing
import random
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from gristmill.corpus.files import file_sha256
from gristmill.handoff.plan import Domain, Plan
from gristmill.handoff.schedule import Segment, quantise
from gristmill.handoff.shards import ShardWriter

ROW, VOCAB, ROWS, SAMPLES, BATCH = 64, 256, 60, 400, 4
STEPS = SAMPLES // BATCH
IN_MEMORY = Path("/dev/shm")
FORKS = multiprocessing.get_context("forkserver")  # a process for each training, with imports done: seconds a start
FORKS.set_forkserver_preload(["torch.distributed", "gristmill.trainer.training.loop", "gristmill.handoff.shards"])


def one_rank(run, out, rank, ranks, meeting, steps):
    """A training in a process of its own; it sends the number of every step done to ``steps``."""
    from gristmill.trainer.config import TrainConfig
    from gristmill.trainer.model.shape import Shape
    from gristmill.trainer.training.loop import train

    if ranks > 1:
        from torch import distributed

        distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)
    shape = Shape(layers=1, width=16, heads=1, experts=4, expert_width=16, dropout=0.1)
    sizes = {"vocab_size": VOCAB, "row_tokens": ROW, "batch_rows": BATCH, "checkpoint_steps": 7, "keep": 2}
    config = TrainConfig(precision="float32", model=shape, **sizes)
    train(run, out, config, on_step=lambda step: steps.send(step.step))


def make_run(folder):
    rng = np.random.default_rng(4)
    for name in ("a", "b"):
        options = {"row_tokens": ROW, "vocab_size": VOCAB, "shard_rows": 32, "batch_rows": 8}
        with ShardWriter(folder / "shards" / name, **options) as writer:
            cuts = rng.integers(1, ROW, ROWS)
            slices = [
                [
                    {"doc_id": f"{name}{row}", "start": at, "length": n, "offset": 0}
                    for at, n in ((0, cut), (cut, ROW - cut))
                ]
                for row, cut in enumerate(cuts.tolist())
            ]
            writer.write(rng.integers(0, VOCAB, (ROWS, ROW)), slices)
    domains = [Domain(name, ROWS, file_sha256(folder / "shards" / name / "index.json")) for name in ("a", "b")]
    shares = quantise([0.4, 0.6])
    Plan.build(tuple(domains), row_tokens=ROW, seed=2, segments=(Segment(SAMPLES, shares, shares),)).save(
        folder / "plan"
    )


def train(run, out, ranks, kill_at=None):
    """Train until the end, or until a step from ``kill_at`` on is done; returns whether it was killed."""
    with tempfile.TemporaryDirectory() as meeting:
        pipes = [FORKS.Pipe(duplex=False) for _ in range(ranks)]
        running = [
            FORKS.Process(target=one_rank, args=(run, out, rank, ranks, f"{meeting}/point", sender))
            for rank, (_, sender) in enumerate(pipes)
        ]
        for one, (_, sender) in zip(running, pipes, strict=True):
            one.start()
            sender.close()
        with suppress(EOFError):  # the training has ended
            while pipes[0][0].recv() < (kill_at or math.inf):
                pass
            for one in running:
                one.kill()
        for one in running:
            one.join()
    ended = [one.exitcode for one in running]
    if kill_at is None and any(ended):
        raise SystemExit(f"training ended with status {ended}")
    return -signal.SIGKILL in ended


def outcome(out):
    """Digest of every file of a training; of metrics without the clock's columns."""
    found = {path.relative_to(out).as_posix(): file_sha256(path) for path in (out / "checkpoints").rglob("*.*s*")}
    found |= {name: file_sha256(out / name) for name in ("consumption.parquet", "summary.json")}
    metrics = pq.read_table(out / "metrics.parquet").drop_columns(["seconds", "tokens_per_second"])
    return found | {"metrics": str(metrics.to_pydict())}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    draw, killed, trainings, equal = random.Random(arguments.seed), [], 0, True
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as name:
        folder = Path(name)
        make_run(folder)
        train(folder, folder / "whole", arguments.ranks)
        whole = outcome(folder / "whole")
        while len(killed) < arguments.kills:
            out, trainings, last = folder / f"killed{trainings}", trainings + 1, 0
            while last < STEPS - 1 and len(killed) < arguments.kills:
                last = draw.randint(last + 1, min(last + STEPS // 3, STEPS))
                if train(folder, out, arguments.ranks, last):
                    killed.append(last)
            train(folder, out, arguments.ranks)
            equal &= outcome(out) == whole
    line = {
        "work": "resume after SIGKILL",
        "ranks": arguments.ranks,
        "kills": len(killed),
        "at_steps": killed,
        "trainings": trainings,
        "seconds_a_kill": round((time.monotonic() - began) / max(len(killed), 1), 1),
    }
    print(json.dumps(line | {"files": len(whole), "equal": equal}))
    return 0 if equal and len(killed) == arguments.kills else 1


if __name__ == "__main__":
    raise SystemExit(main())
