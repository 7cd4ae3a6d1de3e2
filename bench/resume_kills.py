"""Trainings that are killed at random steps and go on: weights and log of consumed rows of one that was not.

    python bench/resume_kills.py [--kills 30] [--seed 1] [--ranks 1] [--json]

A training of a small model on a generated run, in a process of its own, gets SIGKILL as soon as it has printed a step
drawn at random, anywhere: between checkpoints, while one is written, while a table is sealed. It is started again until
it ends. Then every file of the training is compared, bytes with bytes, but for the clock's columns. With several ranks
each is a process of one gloo group, and all are killed.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from gristmill.corpus.files import file_sha256
from gristmill.handoff.plan import Domain, Plan
from gristmill.handoff.schedule import Segment, quantise
from gristmill.handoff.shards import ShardWriter

ROW, VOCAB, ROWS, SAMPLES, BATCH = 64, 256, 60, 400, 4
STEPS = SAMPLES // BATCH
TRAIN = """
import sys
from pathlib import Path
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.shape import Shape
from gristmill.trainer.training.loop import train
rank, world, meeting = int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
if world > 1:
    from torch import distributed
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=world)
model = dict(layers=1, width=16, heads=1, experts=4, expert_width=16, dropout=0.1)
sizes = dict(vocab_size=256, row_tokens=64, batch_rows=4, checkpoint_steps=7, keep=2)
config = TrainConfig(precision="float32", model=Shape(**model), **sizes)
train(Path(sys.argv[1]), Path(sys.argv[2]), config, on_step=lambda step: print(step.step, flush=True))
"""


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
    """Train until the end, or until a step from ``kill_at`` on has been printed; returns whether it was killed."""
    with tempfile.TemporaryDirectory() as meeting:
        command = [sys.executable, "-c", TRAIN, str(run), str(out)]
        running = [
            subprocess.Popen([*command, str(rank), str(ranks), f"{meeting}/point"], stdout=subprocess.PIPE, text=True)
            for rank in range(ranks)
        ]
        for line in running[0].stdout:
            if kill_at is not None and int(line) >= kill_at:
                for one in running:
                    one.send_signal(signal.SIGKILL)
                break
        for one in running:
            one.communicate()
    ended = [one.returncode for one in running]
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
    with tempfile.TemporaryDirectory() as name:
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
    }
    print(json.dumps(line | {"files": len(whole), "equal": equal}))
    return 0 if equal and len(killed) == arguments.kills else 1


if __name__ == "__main__":
    raise SystemExit(main())
