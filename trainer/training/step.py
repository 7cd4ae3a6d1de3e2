"""One optimizer step: forward, loss, balance, backward, update."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gristmill.trainer.config import TrainConfig
from gristmill.trainer.model.balance import balance_terms, update_biases
from gristmill.trainer.model.decoder import Forward, Model
from gristmill.trainer.model.loss import cross_entropy
from gristmill.trainer.model.packed import Packed
from gristmill.trainer.model.precision import matmuls
from gristmill.trainer.training.consumption import RowFigures, row_figures


class StepResult(NamedTuple):
    """What a step measured."""

    loss: float  # nats a predicted token, before the update, without balance terms
    each: Tensor  # float32[P], loss of every predicted token
    counts: Tensor  # int64[layers, E], tokens each expert took
    grad_norm: float  # before clipping
    rows: RowFigures  # of every row that the model was given

    @property
    def is_finite(self) -> bool:
        """Whether the model was updated."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


def train_step(model: Model, optimizer: torch.optim.Optimizer, batch: Packed, config: TrainConfig) -> StepResult:
    """Move the model one step along ``batch``; where loss or gradient is not finite, leave it as it is."""
    loss, each, out = _losses(model, batch, config)
    (loss + balance_terms(out.routings, batch.positions, config.balance)).backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
    counts = torch.stack([routing.counts for routing in out.routings])
    result = StepResult(loss.item(), each, counts, norm.item(), row_figures(batch, each))
    if result.is_finite:
        optimizer.step()
        update_biases([router.bias for router in model.routers], counts, config.balance)
    optimizer.zero_grad(set_to_none=True)
    return result


class Probe(NamedTuple):
    """Whether a model can be trained on: loss of a batch, in nats per predicted token, and norm of its gradient."""

    loss: float
    grad_norm: float


def probe(model: Model, batch: Packed, config: TrainConfig) -> Probe:
    """Look at a batch without dropout; nothing is changed, no random number is drawn."""
    was_training = model.training
    model.eval()
    loss, _, out = _losses(model, batch, config)
    (loss + balance_terms(out.routings, batch.positions, config.balance)).backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    model.zero_grad(set_to_none=True)
    model.train(was_training)
    return Probe(loss.item(), norm.item())


def _losses(model: Model, batch: Packed, config: TrainConfig) -> tuple[Tensor, Tensor, Forward]:
    """Mean loss, the loss of each predicted token, and what the model gave."""
    with matmuls(config.precision, config.device):
        out = model(batch)
        return *cross_entropy(out.hidden[batch.inputs], model.embedding, batch.targets), out
