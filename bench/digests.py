"""CPU time of the digests of rows beside that of the training step that they stand in.

    python bench/digests.py [--rows 8] [--row-tokens 256] [--steps 30]

Taken around the function itself, with one thread: ``row_figures`` on the tensors of each step, while ``train_step``
runs as it always does. The model is that of recipes/sample.toml; the rows are random tokens in documents of random
lengths. The target is below 3 %.
"""

import argparse
import json
import time

import numpy as np
import torch

from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.packed import pack
from gristmill.trainer.model.shape import Shape
from gristmill.trainer.training import consumption, step
from gristmill.trainer.training.session import begin

TARGET = 0.03


def batches(rows, row_tokens, vocab, count):
    rng = np.random.default_rng(7)
    for _ in range(count):
        cuts = [np.unique(np.r_[0, rng.integers(1, row_tokens, rng.integers(0, 8)), row_tokens]) for _ in range(rows)]
        row = np.repeat(np.arange(rows), [len(cut) - 1 for cut in cuts])
        start, length = np.concatenate([cut[:-1] for cut in cuts]), np.concatenate([np.diff(cut) for cut in cuts])
        yield pack(rng.integers(0, vocab, (rows, row_tokens)), np.zeros(rows, np.int64), row, start, length)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--row-tokens", type=int, default=256)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = {"layers": 2, "width": 128, "heads": 4, "expert_width": 128, "experts": 8}
    sizes = {"row_tokens": arguments.row_tokens, "batch_rows": arguments.rows}
    config = TrainConfig(vocab_size=8192, precision="float32", model=Shape(**model), **sizes)
    session, spent, real = begin(config), [], consumption.row_figures

    def timed(*args):
        began = time.process_time()
        found = real(*args)
        spent.append(time.process_time() - began)
        return found

    consumption.row_figures = timed
    took = []
    for batch in batches(arguments.rows, arguments.row_tokens, config.vocab_size, arguments.steps + 3):
        began = time.process_time()
        found = step.train_step(session.model, session.optimizer, [batch], config)
        consumption.figures_of_parts([batch], found.each)
        took.append(time.process_time() - began)
    digests, steps = float(np.median(spent[3:])), float(np.median(took[3:]))
    line = {"work": "digests of a step's rows", "unit": "CPU ms", "ours": round(digests * 1e3, 3)}
    line |= {"step": round(steps * 1e3, 1), "share": round(digests / steps, 4), "target": TARGET}
    print(json.dumps(line) if arguments.json else f"{line}")
    return 0 if digests / steps < TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
