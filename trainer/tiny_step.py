"""A training step on a few tokens, in each precision, for the kernels that this compiles (``corpus.warmup``)."""

import numpy as np
import torch

from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.loss import cross_entropy
from gristmill.trainer.model.packed import pack
from gristmill.trainer.model.precision import matmuls
from gristmill.trainer.model.shape import Shape
from gristmill.trainer.training.optim import make_optimizer
from gristmill.trainer.training.step import train_step

TOKENS, VOCAB = 8, 16


def train_and_measure() -> None:
    """Take a step of a model with experts and measure its loss, in float32 and in bfloat16."""
    tokens = np.arange(TOKENS)[None]
    batch = pack(tokens, *(np.array([value]) for value in (0, 0, 0, TOKENS)))
    shape = Shape(layers=2, dense_layers=1, width=8, heads=1, experts=2, expert_width=8)
    for precision in ("float32", "bfloat16"):
        config = TrainConfig(vocab_size=VOCAB, row_tokens=TOKENS, model=shape, precision=precision)
        model = Model(shape, VOCAB)
        train_step(model, make_optimizer(model, 0.001), [batch], config)
        with torch.no_grad(), matmuls(precision, "cpu"):
            cross_entropy(model(batch).hidden[batch.inputs], model.embedding, batch.targets)
