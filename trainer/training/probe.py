"""What a model knows of planted facts: of all values, which one it finds most likely after each key."""

import numpy as np
import torch

from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.decoder import Model
from gristmill.trainer.model.loss import cross_entropy
from gristmill.trainer.model.packed import Packed, pack
from gristmill.trainer.model.precision import matmuls
from gristmill.trainer.training.fact_pairs import FactTokens

SEQUENCES = 2048  # scored at a time; each has a key and a value, some 4 tokens


@torch.no_grad()
def facts_known(model: Model, facts: FactTokens, config: TrainConfig) -> int:
    """How many keys have their own value as the most likely of all; 1 is what chance gives.

    Nothing is changed and no random number drawn. N facts cost as much as a batch of N * N sequences of a key and a
    value: 16,000 tokens for 64 facts.
    """
    was_training = model.training
    model.eval()
    n, nats = len(facts.keys), []
    for start in range(0, n * n, SEQUENCES):
        pairs = [divmod(at, n) for at in range(start, min(start + SEQUENCES, n * n))]
        nats.append(_nats(model, [facts.keys[key] for key, _ in pairs], [facts.values[v] for _, v in pairs], config))
    model.train(was_training)
    best = np.concatenate(nats).reshape(n, n).argmin(axis=1)
    return int((best == np.arange(n)).sum())


def _nats(model: Model, keys: list[tuple[int, ...]], values: list[tuple[int, ...]], config: TrainConfig) -> np.ndarray:
    """Nats of each value after its key, float64[n]."""
    lengths = np.array([len(key) + len(value) for key, value in zip(keys, values, strict=True)])
    tokens = np.zeros((len(keys), lengths.max()), np.int64)
    counts = np.zeros(tokens.shape, bool)  # places whose token is predicted: those of the value
    for row, (key, value) in enumerate(zip(keys, values, strict=True)):
        tokens[row, : lengths[row]] = key + value
        counts[row, len(key) : lengths[row]] = True
    each = np.arange(len(keys))
    batch: Packed = pack(tokens, np.zeros(len(keys), np.int64), each, np.zeros_like(each), lengths, counts)
    batch = batch.to(config.device)
    with matmuls(config.precision, config.device):
        _, lost = cross_entropy(model(batch).hidden[batch.inputs], model.embedding, batch.targets)
    row = np.repeat(each, counts.sum(axis=1))
    return np.bincount(row, weights=lost.double().cpu().numpy(), minlength=len(keys))
