"""What layers that run again cost and spare: bytes kept for the gradient of a step, and its CPU seconds.

    python bench/recompute.py [--quick] [--json]

Steps of 8 rows of 256 tokens, width 128, 8 experts, vocabulary 8,192, by number of layers. ``ours`` and ``theirs`` are
megabytes with and without ``trainer.recompute`` behind the forward pass; on the way back a layer's are made at a time.
The gradients must be equal to the bit.
"""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for bench.compare

import numpy as np
import torch

from bench.compare import Comparison, cpu_seconds, options, peak_rss_mb, say
from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.packed import Packed, pack
from gristmill.trainer.model.shape import Shape
from gristmill.trainer.training.gradients import add_gradients
from gristmill.trainer.training.session import begin

ROWS, ROW, VOCAB = 8, 256, 8192


def random_batch() -> Packed:
    """Rows of two documents each."""
    rng = np.random.default_rng(1)
    tokens, cuts = rng.integers(0, VOCAB, (ROWS, ROW)), rng.integers(1, ROW, ROWS)
    start = np.stack([np.zeros_like(cuts), cuts], 1).ravel()
    length = np.stack([cuts, ROW - cuts], 1).ravel()
    return pack(tokens, np.zeros(ROWS, np.int64), np.repeat(np.arange(ROWS), 2), start, length)


def kept_bytes(config: TrainConfig, batch: Packed) -> tuple[int, torch.Tensor]:
    """Of all tensors that the gradient of a step keeps, parameters left out; and the gradient."""
    model, kept = begin(config).model, {}
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        add_gradients(model, [batch], config)
    n_bytes = sum(one.untyped_storage().nbytes() for place, one in kept.items() if place not in own)
    return n_bytes, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def compare(layers: int, repeats: int) -> Comparison:
    """One number of layers."""
    config = TrainConfig(
        vocab_size=VOCAB, row_tokens=ROW, model=Shape(layers=layers, width=128, heads=4, expert_width=128)
    )
    config, batch, found = replace(config, precision="float32"), random_batch(), []
    for recompute in (True, False):
        here = replace(config, recompute=recompute)
        n_bytes, gradient = kept_bytes(here, batch)
        model = begin(here).model
        seconds, _ = cpu_seconds(lambda model=model, here=here: add_gradients(model, [batch], here), repeats)
        found.append((n_bytes, gradient, seconds))
    (ours, gradient, slow), (theirs, other, fast) = found
    return Comparison(
        work=f"{layers} layers",
        peer="without",
        peer_version="",
        unit="MB",
        ours=ours / 1e6,
        theirs=theirs / 1e6,
        ratio=theirs / ours,
        target="fewer bytes",
        equal=torch.equal(gradient, other),
        rss_mb=peak_rss_mb(),
        note=f"{slow:.2f} CPU seconds a step for {fast:.2f}, {slow / fast:.2f} times",
    )


def main() -> None:
    """Print one line for each number of layers."""
    given = options(__doc__).parse_args()
    torch.set_num_threads(1)
    for layers in (2,) if given.quick else (2, 8, 16):
        say(compare(layers, 2 if given.quick else 3), given.json)


if __name__ == "__main__":
    main()
