"""A training step of the sample's model by this version and by version 0.1.0, on the same rows: CPU seconds.

    git archive c04e527 | tar -x -C DIR && python bench/step_since.py DIR [--rounds 3] [--precision float32 bfloat16]

0.1.0 is that commit, the last before the packages had one name. Both versions run in processes of their own, in turn,
one thread each: 12 steps, of which the first two warm up, on 8 rows of 256 tokens with three documents each, vocabulary
8,192. Both print the loss of their first step. 0.1.0 took bfloat16 by itself where the CPU has it; this version takes
float32 on every CPU unless the recipe says other.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent
ROWS = """
import json, sys, time
import numpy as np
rng = np.random.default_rng(0)
V, rows, length, documents = 8192, 8, 256, 3
tokens = rng.integers(0, V, (rows, length))
cuts = np.sort(rng.permuted(np.tile(np.arange(1, length), (rows, 1)), axis=1)[:, : documents - 1], axis=1)
lengths = np.diff(cuts, axis=1, prepend=0, append=length)
begins = np.cumsum(lengths, axis=1) - lengths
slices = (np.repeat(np.arange(rows), documents), begins.reshape(-1), lengths.reshape(-1))
shape = dict(layers=2, width=128, heads=4, experts=8, expert_width=128, top_k=2)
rest = dict(vocab_size=V, row_tokens=length, precision=sys.argv[1])
"""
BEFORE = """
from trainer.config import TrainConfig
import torch
from trainer.data import pack
from trainer.model import Model
from trainer.optim import make_optimizer
from trainer.step import train_step
config = TrainConfig(**shape, **rest)
torch.manual_seed(0)
model = Model(config)
"""
NOW = """
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.shape import Shape
import torch
from gristmill.trainer.model.packed import pack
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.training.optim import make_optimizer
from gristmill.trainer.training.step import train_step as step_of_parts
config = TrainConfig(model=Shape(**shape), **rest)
torch.manual_seed(0)
model = Model(config.model, V)
def train_step(model, optimizer, batch, config):
    return step_of_parts(model, optimizer, [batch], config)
"""
STEPS = """
torch.set_num_threads(1)
batch = pack(tokens, np.zeros(rows, np.int64), *slices)
optimizer, seconds, losses = make_optimizer(model, config.learning_rate), [], []
for _ in range(12):
    began = time.process_time()
    losses.append(train_step(model, optimizer, batch, config).loss)
    seconds.append(time.process_time() - began)
print(json.dumps({"seconds": seconds[2:], "loss": losses[0]}))
"""


def measured(folder: Path, code: str, precision: str) -> dict:
    """CPU seconds of the steps of a process that runs ``code`` in ``folder``, and its first loss."""
    command = [sys.executable, "-c", ROWS + code, precision]
    environment = {"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "PATH": ""}
    done = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", nargs="*", default=["float32", "bfloat16"])
    arguments = parser.parse_args()
    for precision in arguments.precision:
        found = {"before": [], "now": []}
        for _ in range(arguments.rounds):
            found["before"].append(measured(arguments.before.resolve(), BEFORE + STEPS, precision))
            found["now"].append(measured(HOUSE, NOW + STEPS, precision))
        medians = {
            name: statistics.median(one for run in runs for one in run["seconds"]) for name, runs in found.items()
        }
        losses = {name: runs[0]["loss"] for name, runs in found.items()}
        ratio = medians["now"] / medians["before"]
        print(json.dumps({"precision": precision, "cpu_seconds": medians, "ratio": ratio, "first_loss": losses}))


if __name__ == "__main__":
    main()
